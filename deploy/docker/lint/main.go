// Command lint reads Dockerfiles with BuildKit's own parser and linter, and wants of them what drover's image promises.
//
//	lint Dockerfile
//
// It must be without fault. Then it is broken on purpose, in every way of breaks.go, and each of these must be refused for its reason.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: lint Dockerfile")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "lint:", err)
		os.Exit(1)
	}
}

func run(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	faults, err := lint(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s:\n  %s", path, strings.Join(faults, "\n  "))
	}
	fmt.Printf("%s: without fault\n", path)
	for _, b := range breaks {
		if err := b.refused(string(text)); err != nil {
			return err
		}
	}
	fmt.Printf("result: BuildKit's parser and linter find nothing, %d promises hold, %d broken copies refused\n", len(promises), len(breaks))
	return nil
}

// lint returns what BuildKit warns of, then the promises that do not hold.
func lint(text []byte) (faults []string, err error) {
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	for _, w := range parsed.Warnings {
		faults = append(faults, w.Short)
	}
	rules := linter.New(&linter.Config{ExperimentalAll: true, Warn: func(rule, _, _, text string, at []parser.Range) {
		if quiet[rule] {
			return
		}
		line := 0
		if len(at) > 0 {
			line = at[0].Start.Line
		}
		faults = append(faults, fmt.Sprintf("line %d: %s: %s", line, rule, text))
	}})
	stages, args, err := instructions.Parse(parsed.AST, rules)
	if err != nil {
		return faults, err
	}
	f := file{args: args, stages: stages, directives: directives(text)}
	for _, p := range promises {
		if err := p.holds(f); err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", p.name, err))
		}
	}
	return faults, nil
}

// quiet are experimental rules that do not suit: a comment over FROM need not begin with the stage's name.
var quiet = map[string]bool{"InvalidDefinitionDescription": true}

// directives are the parser directives (syntax, escape, check) in front of everything else.
func directives(text []byte) map[string]string {
	found := map[string]string{}
	for _, key := range []string{"syntax", "escape", "check"} {
		if value, _, _, ok := parser.ParseDirective(key, text); ok {
			found[key] = value
		}
	}
	return found
}

// file is a Dockerfile, parsed.
type file struct {
	args       []instructions.ArgCommand // before the first FROM
	stages     []instructions.Stage
	directives map[string]string
}

// last is the stage that becomes the image.
func (f file) last() instructions.Stage { return f.stages[len(f.stages)-1] }

// only is the one command of a kind in a stage.
func only[T any](s instructions.Stage) (T, error) {
	var found []T
	for _, c := range s.Commands {
		if t, ok := c.(T); ok {
			found = append(found, t)
		}
	}
	var none T
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return none, errors.New("the image's stage has none")
	}
	return none, fmt.Errorf("the image's stage has %d", len(found))
}
