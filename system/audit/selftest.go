package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"drover/messages"
)

// trial is a sabotage and how it must be caught.
type trial struct {
	sabotage messages.Sabotage
	plan     string
	want     Kind
	lasts    time.Duration // of the plan's faults; 0: the plan's own time
}

// trials has one for each of messages.Sabotages.
var trials = []trial{
	{messages.CheckpointReceived, "kill-drover", Lost, 0},
	{messages.RandomIDs, "kill-drover", Altered, 0},
	{messages.RetryOutOfOrder, "cut", Reordered, 0},
	{messages.AcksIgnored, "cut", Lost, 0},
	{messages.FenceIgnored, "cluster-cut", Unleased, 2 * leaseTTL},
	{messages.PaceIgnored, "cluster-start", Hasty, 0},
}

// Catch is what a self-test found out about one build.
type Catch struct {
	Sabotage string `json:"sabotage"` // "none" for the honest build
	Want     Kind   `json:"want"`     // what must be found; empty for the honest build
	Caught   bool   `json:"caught"`   // or, of the honest build: it passed
	Result   Result `json:"result"`

	trial trial
}

// SelfTest shows that the audit has teeth: it builds drover from source with the tag sabotage, runs each way to break a
// promise through a plan that must notice, and the honest o.Drover through the same plans, which must pass. only names the ways to
// try; none: all. A plan that could not begin is an error.
func SelfTest(ctx context.Context, source string, only []string, o Options) ([]Catch, error) {
	for _, name := range only {
		if !slices.Contains(messages.Sabotages, messages.Sabotage(name)) {
			return nil, fmt.Errorf("audit: there is no sabotage %q: there are %v", name, messages.Sabotages)
		}
	}
	program, err := buildSabotaged(ctx, source, o)
	if err != nil {
		return nil, err
	}
	var catches []*Catch
	honest := map[string]bool{}
	for _, t := range trials {
		if len(only) > 0 && !slices.Contains(only, string(t.sabotage)) {
			continue
		}
		if !honest[t.plan] {
			honest[t.plan] = true
			catches = append(catches, &Catch{Sabotage: "none", trial: t})
		}
		catches = append(catches, &Catch{Sabotage: string(t.sabotage), Want: t.want, trial: t})
	}
	if err := o.tryAll(ctx, program, catches); err != nil {
		return nil, err
	}
	out := make([]Catch, len(catches))
	for i, c := range catches {
		out[i] = *c
		out[i].Caught = c.Result.Passed
		if c.Want != "" {
			out[i].Caught = !c.Result.Passed && c.Result.found(c.Want) > 0
		}
	}
	return out, nil
}

// tryAll fills the results in, some at a time: a plan mostly waits. The first that cannot even begin ends all.
func (o Options) tryAll(ctx context.Context, program string, catches []*Catch) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	turns := make(chan struct{}, 3)
	var all sync.WaitGroup
	for _, c := range catches {
		all.Go(func() { // ends with the plan, at the latest when ctx does
			turns <- struct{}{}
			defer func() { <-turns }()
			o := o
			folder := "honest-" + c.trial.plan
			if c.Want != "" {
				folder, o.Drover = c.Sabotage, program
				o.Env = append(append([]string(nil), o.Env...), "DROVER_SABOTAGE="+c.Sabotage)
			}
			o.Lasts = cmp.Or(o.Lasts, c.trial.lasts)
			var err error
			if c.Result, err = o.try(ctx, c.trial.plan, folder); err != nil {
				fail(fmt.Errorf("audit: self-test of %s: %w", c.Sabotage, err))
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// try runs a plan in a folder of its own.
func (o Options) try(ctx context.Context, plan, folder string) (Result, error) {
	p, err := PlanNamed(plan)
	if err != nil {
		return Result{}, err
	}
	o.Dir = filepath.Join(o.Dir, folder)
	if say := o.Say; say != nil {
		o.Say = func(line string) { say("[" + folder + "] " + line) }
	}
	return Run(ctx, p, o)
}

// found is how many findings of a kind there are.
func (r Result) found(k Kind) int {
	n := cmp.Or(r.Nodes, &Nodes{})
	return map[Kind]int{
		Lost: r.Lost, Twice: r.Twice, Reordered: r.Reordered, Altered: r.Altered, Unknown: r.Unknown, Unleased: n.Unleased, Hasty: n.Hasty,
	}[k]
}

// buildSabotaged compiles cmd/drover of the source tree into o.Dir.
func buildSabotaged(ctx context.Context, source string, o Options) (string, error) {
	mod, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil || !strings.HasPrefix(string(mod), "module drover\n") {
		return "", fmt.Errorf("audit: the self-test builds drover from source, and %s is not its source tree: give it with --source", source)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", errors.New("audit: the self-test builds drover from source, and there is no go command: install Go and put it into PATH")
	}
	program, err := filepath.Abs(filepath.Join(o.Dir, "drover-sabotaged"))
	if err != nil {
		return "", fmt.Errorf("audit: %w", err)
	}
	if o.Say != nil {
		o.Say("self-test: building drover with the tag sabotage")
	}
	build := exec.CommandContext(ctx, "go", "build", "-tags", "sabotage", "-o", program, "./cmd/drover")
	build.Dir = source
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("audit: go build -tags sabotage: %w\n%s", err, text)
	}
	return program, nil
}
