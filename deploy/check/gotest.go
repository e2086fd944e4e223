package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// tally is what became of the tests of a package. A test that is skipped shows nothing, and one that was renamed or is gone shows nothing
// either: whoever tells what the tests show has to count them.
type tally struct {
	passed   []string // without subtests
	subtests int      // that passed
	skipped  []string // with subtests
	failed   []string
	output   map[string][]string // of tests that have not passed, and may never end
}

// goTest is the verb gotest: it runs the tests of the package args[0] whose names begin with one of the others, prints what failed or was
// skipped, and a result of numbers for the table. It returns the exit code.
func goTest(w io.Writer, args []string) int {
	if len(args) < 2 {
		fmt.Fprintln(w, "usage: check gotest PACKAGE NAME…")
		return 2
	}
	pkg, names := args[0], args[1:]
	cmd := exec.Command(cmp.Or(os.Getenv("GO"), "go"), "test", "-json", "-count=1", "-run", "^("+strings.Join(names, "|")+")", pkg)
	cmd.Stderr = w
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	var t tally
	if err == nil {
		t.read(out, w)
		err = cmd.Wait()
	}
	sentence, err := t.sentence(names, err)
	if err != nil {
		fmt.Fprintf(w, "result: %s: %v\n", pkg, err)
		return 1
	}
	fmt.Fprintf(w, "result: %s: %s\n", pkg, sentence)
	return 0
}

// read takes what go test -json writes, and writes to w what a person wants to see of it.
func (t *tally) read(from io.Reader, w io.Writer) {
	t.output = map[string][]string{}
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(line, &e) != nil {
			_, _ = w.Write(line) // the go command's own words; nowhere is left to report that this failed
		} else {
			t.count(e.Action, e.Test, e.Output, w)
		}
		if err != nil { // the end; Wait tells of others
			break
		}
	}
	for _, test := range slices.Sorted(maps.Keys(t.output)) {
		t.show(test, w) // it still ran when the program ended
	}
}

func (t *tally) count(action, test, output string, w io.Writer) {
	switch {
	case output != "" && test == "":
		fmt.Fprint(w, output)
	case output != "":
		t.output[test] = append(t.output[test], output)
	case test == "": // the package as a whole
	case action == "pass" && strings.Contains(test, "/"):
		t.subtests++
		delete(t.output, test)
	case action == "pass":
		t.passed = append(t.passed, test)
		delete(t.output, test)
	case action == "fail":
		t.failed = append(t.failed, test)
		t.show(test, w)
	case action == "skip":
		t.skipped = append(t.skipped, test)
		t.show(test, w)
	}
}

func (t *tally) show(test string, w io.Writer) {
	fmt.Fprint(w, strings.Join(t.output[test], ""))
	delete(t.output, test)
}

// sentence says what the tests show, or why they do not. ended is how go test did.
func (t *tally) sentence(names []string, ended error) (string, error) {
	if len(t.failed) > 0 {
		return "", fmt.Errorf("%d tests failed: %s", len(t.failed), strings.Join(t.failed, ", "))
	}
	if ended != nil {
		return "", fmt.Errorf("go test: %w", ended)
	}
	if len(t.skipped) > 0 {
		return "", fmt.Errorf("%d tests were skipped and show nothing: %s", len(t.skipped), strings.Join(t.skipped, ", "))
	}
	var of []string
	for _, name := range names {
		n := 0
		for _, test := range t.passed {
			if strings.HasPrefix(test, name) {
				n++
			}
		}
		if n == 0 {
			return "", fmt.Errorf("no test whose name begins with %s ran: was it renamed?", name)
		}
		if name != "Test" {
			of = append(of, fmt.Sprintf("%s %d", name, n))
		}
	}
	text := fmt.Sprintf("%d tests with %d subtests passed, none was skipped", len(t.passed), t.subtests)
	if len(of) > 0 {
		text += " (" + strings.Join(of, ", ") + ")"
	}
	return text, nil
}
