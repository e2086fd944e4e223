package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// fixture is one defect: a text of a file that becomes another one, what is tested then, and what has to refuse it.
//
//	fixture: an ingress open to the world
//	file: modules/pgbouncer/network.tf
//	near: "clients"                      the first "-" behind this; optional
//	- referenced_security_group_id = each.value
//	+ cidr_ipv4 = "0.0.0.0/0"            without "-": put at the file's end
//	unit: modules/pgbouncer              the file's own where it is missing
//	want: ingress: port 6432 from …      an assertion's message; or "rule: …"; or "error: " and a part of one
type fixture struct {
	name, file, near, unit string
	old, fresh, want       []string
}

func (t tool) readFixtures() ([]*fixture, error) {
	files, err := filepath.Glob(filepath.Join(t.root, "terraform", "fixtures", "*.txt"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no fixtures: %w", err)
	}
	var all []*fixture
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var f *fixture
		for i, line := range strings.Split(string(text), "\n") {
			head, rest, _ := strings.Cut(line, " ")
			switch head {
			case "fixture:":
				f = &fixture{name: rest}
				all = append(all, f)
			case "file:":
				f.file = rest
				f.unit = strings.Join(strings.Split(rest, "/")[:2], "/")
			case "near:":
				f.near = rest
			case "unit:":
				f.unit = rest
			case "want:":
				f.want = append(f.want, rest)
			case "-":
				f.old = append(f.old, rest)
			case "+":
				f.fresh = append(f.fresh, rest)
			case "", "#":
			default:
				return nil, fmt.Errorf("%s:%d: %q is no line of a fixture", filepath.Base(file), i+1, line)
			}
		}
	}
	for _, f := range all {
		if f.file == "" || len(f.want) == 0 {
			return nil, fmt.Errorf("fixture %q needs a file and what is wanted", f.name)
		}
		if !t.fit([]*fixture{f}) {
			return nil, fmt.Errorf("fixture %q: %s has no such place any more: %q", f.name, f.file, f.old)
		}
	}
	return all, nil
}

// fixtures runs all of them, each in a copy of its own or, to be quick, several in one, and marks the assertions that refused one.
func (t tool) fixtures(assertions map[string]bool, alone bool) (int, int, error) {
	all, err := t.readFixtures()
	if err != nil {
		return 0, 0, err
	}
	batches, err := t.batches(all, alone)
	if err != nil {
		return 0, 0, err
	}
	var (
		lock  sync.Mutex
		found []error
		idle  = map[string]bool{tableRule: true}
	)
	for _, r := range rules {
		idle[r.name] = true
	}
	err = twoAtATime(len(batches), func(i int) error {
		batch := batches[i]
		refusals, err := t.refusals(batch)
		if err != nil {
			return fmt.Errorf("fixture %q and those with it: %w", batch[0].name, err)
		}
		lock.Lock()
		defer lock.Unlock()
		for _, f := range batch {
			if err := f.judge(refusals); err != nil {
				found = append(found, fmt.Errorf("fixture %q: %w", f.name, err))
				continue
			}
			fmt.Printf("  refused: %s\n", f.name)
		}
		for _, r := range refusals {
			if _, ok := assertions[r]; ok {
				assertions[r] = true
			}
			for rule := range idle {
				if strings.HasPrefix(r, "rule: "+rule+":") {
					idle[rule] = false
				}
			}
		}
		return nil
	})
	found = append(found, err)
	var never []string
	for id, refused := range assertions {
		if !refused {
			never = append(never, id)
		}
	}
	slices.Sort(never)
	if len(never) > 0 {
		found = append(found, fmt.Errorf("assertions that refuse no fixture:\n  %s", strings.Join(never, "\n  ")))
	}
	if unused := sorted(idle); len(unused) > 0 {
		found = append(found, fmt.Errorf("rules that refuse no fixture:\n  %s", strings.Join(unused, "\n  ")))
	}
	return len(all), len(batches), errors.Join(found...)
}

// batches puts fixtures together that are tested by the same files, want nothing in common and change different places: then what refuses
// one of them tells which. One whose test ends in an error stays alone.
func (t tool) batches(all []*fixture, alone bool) ([][]*fixture, error) {
	var out [][]*fixture
next:
	for _, f := range all {
		if !alone && !f.errs() {
			for i, b := range out {
				if b[0].unit == f.unit && !b[0].errs() && !slices.ContainsFunc(b, f.clashes) && t.fit(append(slices.Clone(b), f)) {
					out[i] = append(b, f)
					continue next
				}
			}
		}
		out = append(out, []*fixture{f})
	}
	return out, nil
}

func (f *fixture) errs() bool { return strings.HasPrefix(f.want[0], "error: ") }

func (f *fixture) clashes(g *fixture) bool {
	return slices.ContainsFunc(f.want, func(w string) bool { return slices.Contains(g.want, w) })
}

// fit reports whether every change finds its place behind the others.
func (t tool) fit(batch []*fixture) bool {
	texts := map[string]string{}
	for _, f := range batch {
		text, ok := texts[f.file]
		if !ok {
			b, err := os.ReadFile(filepath.Join(t.root, "terraform", f.file))
			if err != nil {
				return false
			}
			text = string(b)
		}
		changed, err := f.change(text)
		if err != nil {
			return false
		}
		texts[f.file] = changed
	}
	return true
}

// refusals makes the copy, tests it, and lists everything that was said against it.
func (t tool) refusals(batch []*fixture) ([]string, error) {
	deploy, err := os.MkdirTemp(t.data, "copy")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(deploy)
	for _, part := range []string{"nats", "pgbouncer", "terraform/modules", "terraform/examples", "terraform/mocks"} {
		if err := copyFolder(filepath.Join(deploy, part), filepath.Join(t.root, part)); err != nil {
			return nil, err
		}
	}
	for _, f := range batch {
		file := filepath.Join(deploy, "terraform", f.file)
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		changed, err := f.change(string(text))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
			return nil, err
		}
	}
	unit := batch[0].unit
	file := filepath.Base(unit) + ".tftest.hcl"
	if strings.Contains(batch[0].want[0], "Missing expected failure") {
		file = "inputs.tftest.hcl"
	}
	out, err := t.test(deploy, unit, file)
	if err != nil {
		return nil, err
	}
	refusals := out.failed
	for _, e := range out.errors {
		refusals = append(refusals, "error: "+e)
	}
	for _, s := range out.states {
		for _, finding := range t.check(s, unit) {
			refusals = append(refusals, "rule: "+finding)
		}
	}
	return refusals, nil
}

func (f *fixture) change(text string) (string, error) {
	old, fresh := strings.Join(f.old, "\n"), strings.Join(f.fresh, "\n")
	if old == "" {
		return text + "\n" + fresh + "\n", nil
	}
	head, tail, ok := strings.Cut(text, f.near)
	if !ok {
		return "", fmt.Errorf("%s has no %q", f.file, f.near)
	}
	before, after, ok := strings.Cut(tail, old)
	if !ok {
		return "", fmt.Errorf("%s has no %q behind %q", f.file, old, f.near)
	}
	return head + f.near + before + fresh + after, nil
}

// judge wants each that the fixture names, and no test that ends for another reason.
func (f *fixture) judge(refusals []string) error {
	if len(refusals) == 0 {
		return errors.New("nobody refuses it")
	}
	for _, want := range f.want {
		if !slices.ContainsFunc(refusals, func(r string) bool {
			switch {
			case strings.HasPrefix(want, "error: "):
				return strings.HasPrefix(r, "error: ") && strings.Contains(r, strings.TrimPrefix(want, "error: "))
			case strings.HasPrefix(want, "rule: "):
				return strings.HasPrefix(r, want+":")
			default:
				return strings.HasSuffix(r, " | "+want)
			}
		}) {
			return fmt.Errorf("not refused by %q, but by %.2000q", want, refusals)
		}
	}
	for _, r := range refusals {
		if strings.HasPrefix(r, "error: ") && !slices.ContainsFunc(f.want, func(w string) bool { return strings.HasPrefix(w, "error: ") }) {
			return fmt.Errorf("the test itself fails: %s", r)
		}
	}
	return nil
}

func copyFolder(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rest), 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rest), text, 0o644)
	})
}
