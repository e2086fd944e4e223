package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"drover/system/audit"
	"drover/system/process"
)

// judge wants everything to run that was started, ends the traffic, waits until everything is stored and applied, ends the processes in order, and compares.
func (s *stack) judge(ctx context.Context) error {
	alive, err := s.r.alive()
	if err != nil {
		return err
	}
	s.sim.SetRate(0)
	err = process.Until(ctx, patience, "all is stored", func() (bool, string) {
		missing := s.witness.Missing(audit.SentBy(s.sim))
		return missing == 0, fmt.Sprintf("%d events are missing", missing)
	})
	if err != nil {
		s.say("%v", err) // the comparison says what is lost
	}
	sent := audit.SentBy(s.sim)
	owner := s.db.OwnerURL("drover")
	u, err := url.Parse(owner)
	if err != nil {
		return err
	}
	u.User = url.UserPassword("postgres", *s.p.Services["postgres"].Environment["POSTGRES_PASSWORD"])
	var have, want rows
	rowsErr := process.Until(ctx, patience, "the worker's rows are those that the stored events make", func() (bool, string) {
		stored, _, err := s.witness.Stored()
		if err == nil {
			want, err = expected(sent, stored)
		}
		if err == nil {
			have, err = held(ctx, u.String())
		}
		if err != nil {
			return false, err.Error()
		}
		why := have.differs(want)
		return why == "", why
	})
	_, firing, _, err := s.prom.alerts(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{"drover-1", "drover-2", "worker"} {
		s.r.running[name].Signal(syscall.SIGTERM)
	}
	for _, name := range []string{"drover-1", "drover-2", "worker"} {
		if code, err := s.r.running[name].Await(patience); err != nil || code != 0 {
			return fmt.Errorf("%s ended with exit code %d (%w) after SIGTERM; see %s", name, code, err, s.r.log(name))
		}
	}
	stored, gaps, err := s.witness.Stored()
	if err != nil {
		return fmt.Errorf("the witness ended: %w", err)
	}
	c := audit.Compare(sent, stored, gaps, nil)
	var wrong []string
	for _, k := range audit.Kinds {
		if n := c.Count(k); n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s, e.g. %v", n, k, c.Findings[slices.IndexFunc(c.Findings, func(f audit.Finding) bool { return f.Kind == k })]))
		}
	}
	if rowsErr != nil {
		wrong = append(wrong, rowsErr.Error())
	}
	counts := s.sim.Counts()
	if int(counts.Identifies) != s.shards() {
		wrong = append(wrong, fmt.Sprintf("%d IDENTIFYs, want one for each of %d shards: the rest is resumed", counts.Identifies, s.shards()))
	}
	for _, v := range s.sim.Violations() {
		wrong = append(wrong, "against Discord's protocol: "+v.What)
	}
	if len(wrong) > 0 {
		s.say("sent %d, stored %d", c.Sent, c.Stored)
		return errors.New(strings.Join(wrong, "\n  "))
	}
	if err := teeth(sent, stored, gaps, have, want); err != nil {
		return err
	}
	s.say("SIGTERM: exit code 0 of both nodes and the worker. Alerts firing at the end: %s", orNone(firing))
	s.say("sent %d, stored %d, lost 0, twice 0, reordered 0, altered 0, gaps %d; IDENTIFYs %d for %d shards, %d sessions resumed", c.Sent, c.Stored, len(gaps), counts.Identifies, s.shards(), counts.Resumed)
	s.say("rows: %d communities and %d members, as the stored events make them; %d events, each with exactly one audit row", count(have.communities), count(have.profiles), len(have.events))
	fmt.Printf("result: %d processes by compose.yaml, %d × SIGKILL: %d events sent, all stored once, 0 lost, 0 twice; the worker's %d rows and %d audit rows agree; Prometheus saw both nodes and each failover\n",
		alive, s.o.kills, c.Sent, len(have.communities)+len(have.profiles), len(have.events))
	return nil
}

// teeth shows that the judge would have found it: an event left out, one doubled, a row missing.
func teeth(sent []audit.Sent, stored []audit.Stored, gaps []audit.Gap, have, want rows) error {
	i := slices.IndexFunc(stored, func(e audit.Stored) bool { return e.Session != "" })
	if i < 0 {
		return errors.New("nothing of Discord's is stored")
	}
	without := slices.Delete(slices.Clone(stored), i, i+1)
	if n := audit.Compare(sent, without, gaps, nil).Count(audit.Lost); n != 1 {
		return fmt.Errorf("the judge finds %d events lost where one is left out", n)
	}
	twice := append(slices.Clone(stored), stored[i])
	if n := audit.Compare(sent, twice, gaps, nil).Count(audit.Twice); n != 1 {
		return fmt.Errorf("the judge finds %d events twice where one is doubled", n)
	}
	if len(have.events) == 0 || len(have.communities) == 0 || len(have.profiles) == 0 {
		return errors.New("the tables are empty")
	}
	have.events = have.events[1:]
	if have.differs(want) == "" {
		return errors.New("a missing audit row is not found")
	}
	fmt.Println("refused, as it must be: a record with one event left out (1 lost), with one doubled (1 twice), tables with one audit row less")
	return nil
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
