package deploy

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// workflow is what the test reads of .github/workflows/ci.yml.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]job
}

type job struct {
	If             string
	Uses           string
	TimeoutMinutes int `yaml:"timeout-minutes"`
	Container      struct{ Image, Options string }
	Strategy       struct{ Matrix matrix }
	Steps          []struct{ Uses, Run string }
}

// matrix has the words of each variable, and what some of the combinations get besides.
type matrix struct {
	Include []map[string]string
	Words   map[string][]string `yaml:",inline"`
}

var (
	makeCommand = regexp.MustCompile(`(?m)^\s*(?:exec )?make (.+)$`)
	matrixWord  = regexp.MustCompile(`\$\{\{ *matrix\.([a-z]+) *\}\}`)
	makeTarget  = regexp.MustCompile(`(?m)^([a-z-]+):`)
	byDigest    = regexp.MustCompile(`^golang:(\d+\.\d+)\.\d+-[a-z]+@sha256:[0-9a-f]{64}$`)
	moreRights  = regexp.MustCompile(`--(?:privileged|cap-add|security-opt|device|pid|volume|mount)|-v\b`)
	byCommit    = regexp.MustCompile(`@[0-9a-f]{40}$`)
	goDirective = regexp.MustCompile(`(?m)^go (\d+\.\d+)`)
)

func TestWorkflow_runs_the_same_targets_as_ci_run_and_nothing_that_is_not_pinned(t *testing.T) {
	faults := workflowFaults(repository(t))
	for _, fault := range faults {
		t.Error(fault)
	}
}

// What the test above would overlook it could as well not look for.
func TestWorkflow_faults_are_noticed(t *testing.T) {
	tests := []struct {
		name     string
		file     string
		old, new string
		want     string
	}{
		{"a target that .ci/run does not have", ".github/workflows/ci.yml", "[test, ", "[test, cover, ", "every commit"},
		{"a target that .ci/run has alone", ".ci/run", "make test", "make test\nmake demo", "every commit"},
		{"a target that there is not", ".github/workflows/ci.yml", "audit,", "odit,", "odit"},
		{"a target that there is not, by include", ".github/workflows/ci.yml", "- target: deploy-check-all\n", "- target: deploy-chuck\n", "deploy-chuck"},
		{"an action by its tag", ".github/workflows/ci.yml", "      - *checkout\n", "      - *checkout\n      - uses: actions/cache@v4\n", "actions/cache@v4"},
		{"an image by its tag", ".github/workflows/ci.yml", "@sha256:a6", ":", "digest"},
		{"another Go than go.mod's", "go.mod", "\ngo 1.", "\ngo 2.", "go.mod"},
		{"a token that may write", ".github/workflows/ci.yml", "contents: read", "contents: write", "permissions"},
		{"a container that may do anything, for every commit", ".github/workflows/ci.yml", "options: --init #", "options: --init --privileged #", "rights"},
		{"all weekly containers may do anything", ".github/workflows/ci.yml", "--init ${{ matrix.options }}", "--init --privileged", "rights"},
		{"another target may do anything", ".github/workflows/ci.yml", "- target: deploy-check-all\n", "- target: audit\n", "rights"},
		{"no namespaces for buildah and runc", ".github/workflows/ci.yml", "options: --privileged", "options: --memory=8g", "rights"},
		{"a job without an end", ".github/workflows/ci.yml", "timeout-minutes: 120", "continue-on-error: false", "timeout-minutes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := repository(t)
			if !strings.Contains(files[tt.file], tt.old) {
				t.Fatalf("%s has no %q to break", tt.file, tt.old)
			}
			files[tt.file] = strings.Replace(files[tt.file], tt.old, tt.new, 1)
			if got := strings.Join(workflowFaults(files), "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want a fault with %q", got, tt.want)
			}
		})
	}
}

// repository is the text of the files that have to agree.
func repository(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{".github/workflows/ci.yml", ".ci/run", "Makefile", "go.mod"} {
		text, err := os.ReadFile("../" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return files
}

// workflowFaults says in words what does not agree, or is not pinned.
func workflowFaults(files map[string]string) (faults []string) {
	var w workflow
	if err := yaml.Unmarshal([]byte(files[".github/workflows/ci.yml"]), &w); err != nil {
		return []string{err.Error()}
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf("ci.yml: "+format, args...)) }
	if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
		fault("permissions are %v, want contents: read and nothing else", w.Permissions)
	}
	var always, all, trusted []string
	for name, j := range w.Jobs {
		targets := j.targets()
		if len(targets) == 0 {
			fault("job %s runs no target of the Makefile", name)
		}
		all = append(all, targets...)
		trusted = append(trusted, j.trusted()...)
		if j.If == "github.event_name != 'schedule'" || j.If == "" {
			always = append(always, targets...)
		}
		if j.TimeoutMinutes == 0 {
			fault("job %s has no timeout-minutes", name)
		}
		image := byDigest.FindStringSubmatch(j.Container.Image)
		if image == nil {
			fault("job %s: the image %q is not golang of a version with its digest", name, j.Container.Image)
		} else if mod := goDirective.FindStringSubmatch(files["go.mod"]); mod == nil || mod[1] != image[1] {
			fault("job %s: the image has Go %s, and go.mod says %q", name, image[1], mod)
		}
		for _, uses := range append(j.uses(), j.Uses) {
			if uses != "" && !byCommit.MatchString(uses) {
				fault("job %s uses %s: pin it by the whole SHA of its commit", name, uses)
			}
		}
	}
	var here []string
	for _, words := range makeCommand.FindAllStringSubmatch(files[".ci/run"], -1) {
		here = append(here, strings.Fields(words[1])...)
	}
	slices.Sort(here)
	slices.Sort(always)
	if !slices.Equal(here, always) {
		fault("for every commit it runs make %s, and .ci/run runs make %s", always, here)
	}
	// What a pull request brings must not run with the rights of the machine, and without them deploy-check-all can run half of what it should.
	slices.Sort(trusted)
	trusted = slices.Compact(trusted)
	if !slices.Equal(trusted, []string{"deploy-check-all"}) || slices.Contains(always, "deploy-check-all") {
		fault("%s get containers with more rights, want deploy-check-all alone, and not for every commit", trusted)
	}
	known := map[string]bool{}
	for _, name := range makeTarget.FindAllStringSubmatch(files["Makefile"], -1) {
		known[name[1]] = true
	}
	for _, name := range all {
		if !known[name] {
			fault("the Makefile has no target %s", name)
		}
	}
	return faults
}

// targets are what the job's steps make, with the words of its matrix put in.
func (j job) targets() (targets []string) {
	for _, step := range j.Steps {
		for _, words := range makeCommand.FindAllStringSubmatch(step.Run, -1) {
			for _, word := range strings.Fields(matrixWord.ReplaceAllString(words[1], "matrix:$1")) {
				if name, ok := strings.CutPrefix(word, "matrix:"); ok {
					targets = append(targets, j.Strategy.Matrix.words(name)...)
				} else {
					targets = append(targets, word)
				}
			}
		}
	}
	return targets
}

// words are what the variable stands for, one after the other: an entry of include with another word than the list makes a combination of its own.
func (m matrix) words(name string) []string {
	all := slices.Clone(m.Words[name])
	for _, more := range m.Include {
		if word := more[name]; word != "" && !slices.Contains(all, word) {
			all = append(all, word)
		}
	}
	return all
}

// trusted are the targets whose container may do more than others.
func (j job) trusted() (targets []string) {
	if moreRights.MatchString(j.Container.Options) {
		targets = append(targets, j.targets()...)
	}
	for _, word := range matrixWord.FindAllStringSubmatch(j.Container.Options, -1) {
		for _, more := range j.Strategy.Matrix.Include {
			if moreRights.MatchString(more[word[1]]) {
				targets = append(targets, more["target"])
			}
		}
	}
	return targets
}

func (j job) uses() (uses []string) {
	for _, step := range j.Steps {
		uses = append(uses, step.Uses)
	}
	return uses
}
