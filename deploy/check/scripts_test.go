package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// stage is a folder of programs that come before those of the machine.
type stage struct {
	t   *testing.T
	dir string
}

func newStage(t *testing.T) stage { return stage{t, t.TempDir()} }

// put writes a program. $DIR in it is the folder.
func (s stage) put(name, script string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte("#!/bin/sh\nDIR="+s.dir+"\n"+script+"\n"), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

func (s stage) read(name string) string {
	text, _ := os.ReadFile(filepath.Join(s.dir, name)) // "" where there is none
	return string(text)
}

// command is a program of the repository, with the stage before everything else.
func (s stage) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), "bash", args...)
	cmd.Env = append(os.Environ(), "PATH="+s.dir+":/usr/bin:/bin")
	return cmd
}

// An apt-get that turns the second one away, as dpkg does, and takes a moment, so that two that do not wait meet.
const oneAtATime = `[ "$1" = install ] || exit 0
echo once >>"$DIR/runs"
mkdir "$DIR/busy" || { echo "Could not get lock"; exit 100; }
sleep 0.5
for name in "$@"; do
  case $name in drover-test-*) printf '#!/bin/sh\n' >"$DIR/$name"; chmod +x "$DIR/$name" ;; esac
done
rmdir "$DIR/busy"`

func TestPackages_side_by_side_wait_for_each_other(t *testing.T) {
	for _, tt := range []struct {
		name       string
		one, other string
		runs       int
	}{
		{"different ones", "drover-test-a", "drover-test-b", 2},
		{"the same, which the second finds there", "drover-test-a", "drover-test-a", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := stageWithApt(t, oneAtATime)
			var outputs [2]strings.Builder
			var runs [2]*exec.Cmd
			for i, name := range []string{tt.one, tt.other} {
				runs[i] = s.command("../../.ci/packages", name+":"+name)
				runs[i].Stdout, runs[i].Stderr = &outputs[i], &outputs[i]
				if err := runs[i].Start(); err != nil {
					t.Fatal(err)
				}
			}
			for i, run := range runs {
				if err := run.Wait(); err != nil || strings.Contains(outputs[i].String(), "***") {
					t.Errorf("got %v and\n%s\nwant no complaint", err, outputs[i].String())
				}
			}
			if s.read(tt.one) == "" || s.read(tt.other) == "" {
				t.Errorf("got %q and %q, want both commands there", s.read(tt.one), s.read(tt.other))
			}
			if n := strings.Count(s.read("runs"), "once"); n != tt.runs {
				t.Errorf("got %d installations, want %d", n, tt.runs)
			}
		})
	}
}

func TestPackages_says_what_is_still_missing(t *testing.T) {
	for name, apt := range map[string]string{"apt-get fails": "echo no such package; exit 100", "apt-get installs something else": "exit 0"} {
		t.Run(name, func(t *testing.T) {
			s := stageWithApt(t, apt)
			s.put("drover-test-there", "")
			out, err := s.command("../../.ci/packages", "drover-test-there:drover-test-there", "drover-test-gone:gone-package").CombinedOutput()
			if err != nil || !strings.Contains(string(out), "*** could not be installed: gone-package ***") {
				t.Errorf("got %v and\n%s\nwant exit code 0 and what is missing", err, out)
			}
		})
	}
}

func stageWithApt(t *testing.T, apt string) stage {
	t.Helper()
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("there is no flock here, and nothing to wait with: ", err)
	}
	if _, err := os.Stat("/var/lib/dpkg"); err != nil {
		t.Skip("this is no Debian: ", err)
	}
	s := newStage(t)
	s.put("id", "echo 0")
	s.put("apt-get", apt)
	return s
}

// Where Terraform's source cannot be had, nothing is built, and above all not drover's own go.mod changed instead.
func TestTerraform_check_touches_no_go_mod_when_the_source_is_not_to_be_had(t *testing.T) {
	script, err := filepath.Abs("../terraform/check")
	if err != nil {
		t.Fatal(err)
	}
	for name, downloaded := range map[string]string{
		"no answer":                  "",
		"a folder that is not there": `printf '{\n\t"Dir": "%s",\n}\n' "$DIR/none"`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.put("terraform", "exit 1") // the machine's own would spare us the building
			s.put("go", `echo "$PWD: $*" >>"$DIR/calls"; case "$*" in "mod download"*) `+downloaded+` ;; esac`)
			cmd := s.command(script)
			cmd.Env = append(cmd.Env, "GO="+filepath.Join(s.dir, "go"), "TOOLS="+filepath.Join(s.dir, "tools"))
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != notRun || !strings.Contains(string(out), "\nresult: "+notRunWords) {
				t.Errorf("got exit code %d, error %v and\n%s\nwant %d and the reason", code, err, out, notRun)
			}
			if calls := s.read("calls"); !strings.Contains(calls, "mod download") || strings.Contains(calls, "mod edit") || strings.Contains(calls, "build") {
				t.Errorf("got these calls of go:\n%s\nwant the download and nothing else", calls)
			}
		})
	}
}

// Two checks run side by side: each has a range of ports of its own, below those that the kernel gives away. Those that are Go programs draw from the range of
// process.FreeAddr, one port at a time, and none of the others' may be in it.
func TestChecks_have_ports_of_their_own(t *testing.T) {
	starts := regexp.MustCompile(`(?m)^\s*first ?= ?(?:\$\(\()?(\d+) \+ (?:RANDOM|os\.getpid\(\)) % (\d+)`)
	files := map[string]int{"docker/check": 8, "systemd/contained.py": 8, "terraform/rendered": 48, "otel/check": 8} // how many each takes at most
	var spans []span
	text, err := os.ReadFile("../../system/process/until.go")
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(\d+)\+rand\.IntN\((\d+)\)`).FindSubmatch(text); m == nil {
		t.Error("system/process/until.go: got no line that draws a port")
	} else {
		spans = append(spans, spanOf("system/process/until.go", m, 0))
	}
	for file, ports := range files {
		text, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		m := starts.FindSubmatch(text)
		if m == nil {
			t.Errorf("%s: got no line that chooses its first port like the others", file)
			continue
		}
		spans = append(spans, spanOf(file, m, ports))
	}
	for i, a := range spans {
		if a.from < 1024 || a.to > 32768 {
			t.Errorf("%s: got ports %d to %d, want them between 1024 and 32768", a.file, a.from, a.to)
		}
		for _, b := range spans[i+1:] {
			if a.from < b.to && b.from < a.to {
				t.Errorf("%s has ports %d to %d, %s %d to %d: want no overlap", a.file, a.from, a.to, b.file, b.from, b.to)
			}
		}
	}
}

// span is which ports a file takes.
type span struct {
	file     string
	from, to int
}

// spanOf reads what an expression has found: the first port, and how many there are to begin with.
func spanOf(file string, found [][]byte, ports int) span {
	from, _ := strconv.Atoi(string(found[1])) // digits
	some, _ := strconv.Atoi(string(found[2]))
	return span{file, from, from + some + ports}
}
