package config

import (
	"fmt"
	"strings"
)

// Error is a configuration that cannot be used. It lists everything that is
// wrong, not only the first thing.
type Error struct {
	Problems []Problem
}

// Problem is one broken rule.
type Problem struct {
	// Key is the configuration key, pool.size. Empty: the whole file.
	Key string
	// Text says what is wrong and what to do. It never holds a secret.
	Text string
	// Source is where the value stands: drover.yaml:12, DROVER_POOL_SIZE or
	// --set. Empty when it is not known.
	Source string
}

// Error names the problem, or counts them and lists them one per line.
func (e *Error) Error() string {
	var b strings.Builder
	noun := "problems"
	if len(e.Problems) == 1 {
		noun = "problem"
	}
	fmt.Fprintf(&b, "%d %s in the configuration:", len(e.Problems), noun)
	for _, p := range e.Problems {
		b.WriteString("\n  - " + p.Error())
	}
	return b.String()
}

// Unwrap gives each problem as an error of its own.
func (e *Error) Unwrap() []error {
	errs := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		errs[i] = p
	}
	return errs
}

// ExitCode is the process's exit code for a wrong configuration.
func (e *Error) ExitCode() int { return 2 }

// Error is "key: what is wrong: remedy [source]" on one line.
func (p Problem) Error() string {
	text := p.Text
	if p.Key != "" {
		text = p.Key + ": " + text
	}
	if p.Source != "" {
		text += " [" + p.Source + "]"
	}
	return text
}

// problems collects while a configuration is read and checked.
type problems []Problem

func (ps *problems) add(key, source, format string, args ...any) {
	*ps = append(*ps, Problem{Key: key, Source: source, Text: fmt.Sprintf(format, args...)})
}

// err is nil when nothing was collected.
func (ps problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return &Error{Problems: ps}
}
