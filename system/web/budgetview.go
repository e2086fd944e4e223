package web

import (
	"fmt"
	"time"

	"drover/messages"
)

// budgetView is the day's allowance of IDENTIFYs, and what shards wait for it, in words.
type budgetView struct {
	Known      bool
	Left       string // "973 of 1,000"
	Share      int    // percent that is left
	Low        bool
	Resets     string // "in 5 h"
	ResetsAt   time.Time
	Waiting    string // "100 shards"
	ETA        string // "in about 35 s"; empty: nobody waits
	DoneAt     time.Time
	AtOnce     string
	Reserve    string
	Repeated   string
	Held       string // why the budget holds shards back; empty: it does not
	Enough     string // whether what is left suffices for those that wait
	NotEnough  bool
	OfThisNode bool // the waiting ones are this node's only
}

func newBudget(b *messages.Budget, now time.Time) budgetView {
	v := budgetView{Known: b.Total > 0, Waiting: "no shard", AtOnce: fmt.Sprintf("%d at a time, every 5\u00a0s", max(b.MaxConcurrency, 1))}
	if !v.Known {
		v.Resets = "–"
	} else {
		v.Left, v.Share = count(b.Remaining)+" of "+count(b.Total), max(0, b.Remaining)*100/b.Total
		v.Low = v.Share < 20
		v.Resets = "now"
		if b.ResetAt.After(now) {
			v.Resets, v.ResetsAt = "in "+about(b.ResetAt.Sub(now)), b.ResetAt.UTC().Truncate(time.Minute)
		}
		v.Reserve = count(b.Reserve)
		v.Repeated = fmt.Sprintf("%s of at most %s", count(b.Repeated), count(b.Total/2))
	}
	if b.Waiting == 0 {
		return v
	}
	v.Waiting = plural(b.Waiting, "shard")
	switch free := b.Waiting - b.Held; {
	case !v.Known:
		v.ETA = "when Discord has told the budget"
	case b.Held > 0:
		v.Held = fmt.Sprintf("%s held back: %s", plural(b.Held, "shard"), b.Reason)
		fallthrough
	default:
		v.ETA, v.DoneAt = "in about "+about(b.ETA), now.Add(b.ETA).UTC().Truncate(time.Second)
		if v.NotEnough = b.Remaining < b.Waiting; v.NotEnough {
			v.Enough = fmt.Sprintf("%s more than are left: they wait until the reset", count(b.Waiting-b.Remaining))
		} else if free > 0 {
			v.Enough = "enough are left for all of them"
		}
	}
	return v
}
