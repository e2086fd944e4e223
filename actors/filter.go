package actors

import "sync/atomic"

// Filter chooses by Discord's t which events are published. It may be changed while shards run. The
// zero value lets everything through.
type Filter struct {
	rules atomic.Pointer[rules]
}

type rules struct{ allow, deny map[string]bool }

// Set replaces the rules: with allow, only these names pass; names in deny never do.
func (f *Filter) Set(allow, deny []string) {
	f.rules.Store(&rules{allow: set(allow), deny: set(deny)})
}

// Pass reports whether a dispatch of this name is published. Any goroutine may call it.
func (f *Filter) Pass(name []byte) bool {
	r := f.rules.Load()
	if r == nil {
		return true
	}
	return !r.deny[string(name)] && (len(r.allow) == 0 || r.allow[string(name)])
}

func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}
