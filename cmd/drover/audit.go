package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"drover/system"
	"drover/system/audit"
)

// auditing is drover audit: its flags, and where it writes.
type auditing struct {
	audit.Options
	plans, sabotages []string
	all, list        bool
	selfTest, asJSON bool
	source, keep     string
	parallel         int
	seeded           bool

	out, progress io.Writer
	lock          sync.Mutex // of progress
}

func newAuditCommand() *cobra.Command {
	a := &auditing{}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Break things on purpose, and count what was lost, doubled, reordered or altered",
		Long: `Audit checks drover's promises on this machine. It plays Discord, runs drover and a NATS server as processes
of their own with a network between them that can fail, sends events, breaks something in a planned way, and
compares everything that was sent with everything that the streams took. It needs no token and no other
program, and touches nothing outside its own temporary folder.

Each line of the result is a plan. All of lost, twice, reordered and altered must be 0. "declared" are events
that Discord or a memory stream no longer had, and that a shard.gap event names; "gaps" is the number of those.
"unacked" is how many events were unacknowledged when the fault struck: a plan that needs some and finds none
fails, for it would prove nothing. "recovery" is the longest time from the end of a fault until drover
was ready and everything sent before that was acknowledged.

The exit code is 0 when every plan passed, and 1 when anything was lost silently, doubled, reordered or altered,
or cost more than the plan allows. What failed is printed with the seed to repeat it and the folder of the logs.`,
		Example: `  drover audit --list                                 what can go wrong
  drover audit --plan kill-drover                     one plan, in about 10 s
  drover audit --plan nats-kill-file,cut --rate 2000  two, under more load
  drover audit --plan random --for 10m --seed 42      a mix of all faults
  drover audit --plan outage-long --lasts 10m --rate 1000
  drover audit --all --json > audit.json              everything, for other programs
  drover audit --plan cut --nats-server $(which nats-server)
  drover audit --self-test --source ~/src/drover      does the audit notice a drover that cheats?`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.out, a.progress = cmd.OutOrStdout(), cmd.OutOrStdout()
			if a.asJSON {
				a.progress = cmd.ErrOrStderr()
			}
			a.seeded = cmd.Flags().Changed("seed")
			return a.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&a.plans, "plan", nil, "plans to run, comma-separated; --list shows them")
	f.BoolVar(&a.all, "all", false, "run every plan")
	f.BoolVar(&a.list, "list", false, "list the plans")
	f.BoolVar(&a.selfTest, "self-test", false, "build drovers that break a promise on purpose, and check that each is caught (needs Go and the source)")
	f.StringSliceVar(&a.sabotages, "sabotage", nil, "for --self-test: the promises to break, comma-separated (default: all)")
	f.StringVar(&a.source, "source", ".", "drover's source tree, for --self-test")
	f.DurationVar(&a.For, "for", 0, "how long the plans random and random-memory go on (default 1m0s), and after which cluster-random begins no further fault (default: it inflicts 40)")
	f.DurationVar(&a.Lasts, "lasts", 0, "how long a fault lasts that lasts; 0: the plan's own time")
	f.Uint64Var(&a.Seed, "seed", 0, "choice of ids, events and random faults (default: a new one, which is printed)")
	f.Float64Var(&a.Rate, "rate", 800, "events per second over all shards")
	f.IntVar(&a.Shards, "shards", 4, "shards of the bot")
	f.Int64Var(&a.Options.Events, "events", 0, "make at least so many events; 0: as many as the faults take")
	f.IntVar(&a.parallel, "parallel", 1, "plans at a time; they mostly wait, but more of them make each other slower, so that times of hand-overs are told and not judged")
	f.StringVar(&a.NATS, "nats-server", "", "a nats-server program to run (default: the server inside this program, as a process of its own)")
	f.StringVar(&a.keep, "keep", "", "folder that keeps logs, stores and spools (default: kept only when a plan fails)")
	f.BoolVar(&a.asJSON, "json", false, "the result as one JSON document; progress goes to standard error")
	f.BoolVar(&a.Verbose, "verbose", false, "drover logs at debug")
	cmd.MarkFlagsMutuallyExclusive("plan", "all", "list", "self-test")
	_ = cmd.RegisterFlagCompletionFunc("plan", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, p := range audit.Plans() {
			names = append(names, p.Name+"\t"+p.Sentence)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// run does what the flags say.
func (a *auditing) run(ctx context.Context) error {
	if a.list {
		return a.showPlans()
	}
	plans, err := a.chosen()
	if err == nil {
		err = a.prepare()
	}
	if err != nil {
		return &system.Error{Code: exitUsage, Text: "audit", Err: err}
	}
	dir, kept := a.keep, true
	if dir == "" {
		if dir, err = os.MkdirTemp("", "drover-audit-"); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		kept = false
	}
	a.Dir = dir
	ok, err := a.perform(ctx, plans)
	if !kept && (ok || err != nil && ctx.Err() != nil) {
		_ = os.RemoveAll(dir) // what is left is in a temporary folder
	}
	if ctx.Err() != nil { // an answer that did not come is no good news: not 0, as for other verbs
		return &system.Error{Code: exitFailure, Text: "the audit was interrupted and shows nothing"}
	}
	if err != nil {
		return err
	}
	if !ok {
		return &system.Error{Code: exitFailure, Text: "the audit failed: see above"}
	}
	return nil
}

// perform runs plans or the self-test, prints what came of it, and says whether everything is as it should be.
func (a *auditing) perform(ctx context.Context, plans []audit.Plan) (bool, error) {
	if a.selfTest {
		return a.testSelf(ctx)
	}
	results, err := a.runPlans(ctx, plans)
	if err != nil {
		return false, err
	}
	if a.asJSON {
		return audit.Passed(results), audit.WriteJSON(a.out, results)
	}
	_, _ = fmt.Fprintln(a.out)
	return audit.Passed(results), audit.WriteTable(a.out, results)
}

// runPlans runs some at a time. The first that cannot even begin ends all.
func (a *auditing) runPlans(ctx context.Context, plans []audit.Plan) ([]audit.Result, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	results := make([]audit.Result, len(plans))
	turns := make(chan struct{}, a.parallel)
	a.Untimed = a.parallel > 1
	var all sync.WaitGroup
	for i, p := range plans {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() { // ends with the plan, at the latest when ctx does
			defer func() { <-turns }()
			r, err := audit.Run(ctx, p, a.Options)
			if err != nil {
				fail(fmt.Errorf("plan %s: %w; logs: %s", p.Name, err, r.Logs))
			}
			results[i] = r
		})
	}
	all.Wait()
	return results, context.Cause(ctx)
}

// testSelf runs the self-test.
func (a *auditing) testSelf(ctx context.Context) (bool, error) {
	catches, err := audit.SelfTest(ctx, a.source, a.sabotages, a.Options)
	if err != nil {
		return false, err
	}
	ok := true
	for _, c := range catches {
		ok = ok && c.Caught
	}
	if a.asJSON {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		return ok, enc.Encode(map[string]any{"passed": ok, "builds": catches})
	}
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "\nsabotage\tplan\tlost\ttwice\treordered\taltered\tverdict")
	for _, c := range catches {
		verdict := "caught"
		switch {
		case c.Want == "" && c.Caught:
			verdict = "passed, as it should"
		case c.Want == "":
			verdict = "FAILED, and is the honest build: " + strings.Join(c.Result.Complaints, "; ")
		case !c.Caught:
			verdict = "NOT CAUGHT: nothing " + string(c.Want)
		}
		r := c.Result
		_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", c.Sabotage, r.Plan, r.Lost, r.Twice, r.Reordered, r.Altered, verdict)
	}
	return ok, t.Flush()
}

// chosen are the plans that the flags name.
func (a *auditing) chosen() ([]audit.Plan, error) {
	if a.all || a.selfTest {
		return audit.Plans(), nil
	}
	if len(a.plans) == 0 {
		return nil, errors.New("choose what to run: --plan kill-drover, --all, or --list to see all plans")
	}
	var out []audit.Plan
	for _, name := range a.plans {
		p, err := audit.PlanNamed(name)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// prepare fills in what the flags leave open, and checks the rest.
func (a *auditing) prepare() error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("where this program is: %w", err)
	}
	a.Drover, a.Broker = program, []string{program, natsChild}
	if !a.seeded {
		a.Seed = rand.Uint64N(1_000_000)
	}
	began := time.Now()
	a.Say = func(line string) {
		a.lock.Lock()
		defer a.lock.Unlock()
		_, _ = fmt.Fprintf(a.progress, "%6.1fs %s\n", time.Since(began).Seconds(), line)
	}
	if a.parallel < 1 || a.parallel > 64 {
		return fmt.Errorf("--parallel is %d: choose 1 to 64", a.parallel)
	}
	o := a.Options
	o.Dir = "." // chosen later
	return o.Check()
}

// showPlans is --list.
func (a *auditing) showPlans() error {
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, p := range audit.Plans() {
		_, _ = fmt.Fprintf(t, "%s\t%s\n", p.Name, p.Sentence)
	}
	return t.Flush()
}
