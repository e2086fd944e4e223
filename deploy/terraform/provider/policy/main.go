// Command policy tests the modules: each by its own `terraform test`, then everything that is planned by rules that hold whatever a
// resource is called (rules.go), and then the tests themselves, by copies with one defect each (../../fixtures), every one of which must be
// refused by what its description names. An assertion or a rule that refuses none of them is a failure too.
//
//	go run ./policy -terraform FILE -data FOLDER [-write]
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// units are what is initialised, validated and tested by itself.
var units = []string{"modules/task", "modules/drover", "modules/nats", "modules/pgbouncer", "modules/database", "examples/complete"}

func main() {
	var t tool
	var write, alone bool
	flag.StringVar(&t.terraform, "terraform", "terraform", "the program")
	flag.StringVar(&t.data, "data", "", "folder for what terraform keeps, and for rendered configuration")
	flag.StringVar(&t.root, "root", "../..", "the repository's folder deploy")
	flag.BoolVar(&write, "write", false, "write the tables of inputs and outputs into README.md, and those of security groups")
	flag.BoolVar(&alone, "alone", false, "each broken copy has one defect only; otherwise several that do not touch one another")
	flag.Parse()
	if err := run(t, write, alone); err != nil {
		fmt.Fprintln(os.Stderr, "policy:", err)
		os.Exit(1)
	}
}

func run(t tool, write, alone bool) error {
	began := time.Now()
	assertions := map[string]bool{}
	outcomes := make([]*outcome, len(units))
	err := twoAtATime(len(units), func(i int) error {
		u := units[i]
		if err := t.initialise(u); err != nil {
			return err
		}
		if err := t.validate(u); err != nil {
			return err
		}
		out, err := t.test(t.root, u)
		outcomes[i] = out
		return err
	})
	if err != nil {
		return err
	}
	fmt.Printf("%d modules are valid\n", len(units))
	runs, resources := 0, 0
	for i, u := range units {
		out := outcomes[i]
		ids, err := t.assertions(u)
		if err != nil {
			return err
		}
		for _, id := range ids {
			assertions[id] = false
		}
		if len(out.failed) > 0 || len(out.errors) > 0 || out.passed == 0 {
			return fmt.Errorf("%s: %d passed, failed: %v %v", u, out.passed, out.failed, out.errors)
		}
		for _, s := range out.states {
			if write && u == "examples/complete" {
				if err := os.WriteFile(filepath.Join(t.root, "terraform", s.tableFile()), []byte(s.table()), 0o644); err != nil {
					return err
				}
			}
			resources += len(s.resources)
			if found := t.check(s, u); len(found) > 0 {
				return fmt.Errorf("%s: %v", u, found)
			}
		}
		if u == "examples/complete" {
			if err := t.render(out.states[0]); err != nil {
				return err
			}
		}
		runs += out.passed
	}
	fmt.Printf("%d runs with %d assertions pass, and %d rules on %d planned resources (%.0f s)\n", runs, len(assertions), len(rules), resources, time.Since(began).Seconds())

	refused, copies, err := t.fixtures(assertions, alone)
	if err != nil {
		return err
	}
	fmt.Printf("%d defects in %d copies are refused, each by what is meant to; no assertion and no rule is idle (%.0f s)\n", refused, copies, time.Since(began).Seconds())

	inputs, err := t.documents(write)
	if err != nil {
		return err
	}
	fmt.Printf("%d inputs and outputs are described, typed and in README.md\n", inputs)
	return nil
}

// twoAtATime calls f for 0 to n-1; terraform alone keeps one processor busy.
func twoAtATime(n int, f func(int) error) error {
	var busy sync.WaitGroup
	work, errs := make(chan int), make([]error, n)
	for range 2 {
		busy.Go(func() {
			for i := range work {
				errs[i] = f(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	busy.Wait()
	return errors.Join(errs...)
}

func sorted(set map[string]bool) []string {
	var out []string
	for name, in := range set {
		if in {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
