package audit

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"drover/messages"
)

func TestPlans_are_complete_and_named_once(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for _, p := range Plans() {
		if !name.MatchString(p.Name) || seen[p.Name] || p.Sentence == "" || strings.HasSuffix(p.Sentence, ".") || p.Script == nil {
			t.Errorf("plan %q: want a name of its own, a sentence without a full stop, and a script", p.Name)
		}
		seen[p.Name] = true
		for _, v := range p.Env {
			if key, value, ok := strings.Cut(v, "="); !ok || value == "" || !strings.HasPrefix(key, "DROVER_") {
				t.Errorf("plan %q: %q is no variable of drover's", p.Name, v)
			}
		}
		if p.Memory && strings.Contains(p.Name, "file") {
			t.Errorf("plan %q is about files and has memory streams", p.Name)
		}
	}
	for _, want := range []string{
		"kill-drover", "term-drover", "nats-term-file", "nats-kill-file", "nats-stop-file", "nats-term-memory", "nats-kill-memory",
		"nats-stop-memory", "cut", "blackhole", "gateway-refused", "gateway-drop-all", "invalid-session", "dead-resume-host", "disk-full", "random",
	} {
		if !seen[want] {
			t.Errorf("there is no plan %s", want)
		}
	}
}

func TestPlanNamed_suggests_what_was_meant(t *testing.T) {
	if p, err := PlanNamed("cut"); err != nil || p.Name != "cut" {
		t.Errorf("got %q and %v, want the plan cut", p.Name, err)
	}
	tests := []struct{ name, want string }{
		{"nats-kill", "nats-kill-file or nats-kill-memory"},
		{"kill-drovers", "kill-drover"},
		{"x", "--list"},
		{"", "--list"},
	}
	for _, tt := range tests {
		if _, err := PlanNamed(tt.name); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want it to name %q", tt.name, err, tt.want)
		}
	}
}

func TestSelfTest_has_a_trial_for_each_sabotage(t *testing.T) {
	for _, s := range messages.Sabotages {
		if !slices.ContainsFunc(trials, func(t trial) bool { return t.sabotage == s }) {
			t.Errorf("nothing catches %s", s)
		}
	}
	for _, trial := range trials {
		if _, err := PlanNamed(trial.plan); err != nil || !slices.Contains(messages.Sabotages, trial.sabotage) {
			t.Errorf("trial %+v: want a sabotage and a plan that exist (%v)", trial, err)
		}
	}
}

func TestOptions_check(t *testing.T) {
	good := Options{Drover: "d", Broker: []string{"d"}, Dir: "."}
	tests := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"good", func(*Options) {}, ""},
		{"shards", func(o *Options) { o.Shards = 1000 }, "1000 shards"},
		{"negative shards", func(o *Options) { o.Shards = -1 }, "-1 shards"},
		{"rate", func(o *Options) { o.Rate = 1 }, "1 events per second"},
		{"events", func(o *Options) { o.Events = -1 }, "-1 events"},
		{"for", func(o *Options) { o.For = time.Millisecond }, "1ms"},
		{"lasts", func(o *Options) { o.Lasts = -time.Second }, "-1s"},
		{"program", func(o *Options) { o.Drover = "" }, "a program"},
	}
	for _, tt := range tests {
		o := good
		tt.change(&o)
		err := o.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", tt.name, err, tt.want)
		}
	}
	o := good
	if err := o.Check(); err != nil || o.Shards != 4 || o.Rate != 800 || o.For != 0 {
		t.Errorf("got %+v and %v, want the defaults", o, err)
	}
}

func TestGapComplaints(t *testing.T) {
	g := func(reason string, shard int) Gap { return Gap{Reason: reason, Shard: shard} }
	one := Expect{Gaps: gapsOf("session_lost", 1, 1)}
	tests := []struct {
		name string
		gaps []Gap
		e    Expect
		want int
	}{
		{"none wanted, none there", nil, Expect{}, 0},
		{"none wanted", []Gap{g("session_lost", 0)}, Expect{}, 1},
		{"one each", []Gap{g("session_lost", 0), g("session_lost", 1)}, one, 0},
		{"one shard is silent", []Gap{g("session_lost", 0)}, one, 1},
		{"one shard says it twice", []Gap{g("session_lost", 0), g("session_lost", 1), g("session_lost", 1)}, one, 1},
		{"another reason", []Gap{g("session_lost", 0), g("session_lost", 1), g(Shed, 1)}, one, 1},
	}
	for _, tt := range tests {
		byReason := map[string]int{}
		if got := gapComplaints(tt.gaps, tt.e, 2, byReason); len(got) != tt.want {
			t.Errorf("%s: got %q, want %d", tt.name, got, tt.want)
		}
		sum := 0
		for _, n := range byReason {
			sum += n
		}
		if sum != len(tt.gaps) {
			t.Errorf("%s: got %v counted, want %d", tt.name, byReason, len(tt.gaps))
		}
	}
}

func TestReport_says_what_failed_and_how_to_repeat_it(t *testing.T) {
	results := []Result{
		{Plan: "cut", Passed: true, Sent: 12345, Stored: 12345, Identifies: 4, Faults: []Strike{{"cutting", 213, 1.25}, {"cutting", 40, 0.5}}},
		{
			Plan: "kill-drover", Seed: 7, Logs: "/tmp/x", Lost: 2, Gaps: map[string]int{"session_lost": 3}, Complaints: []string{"lost: 2"},
			Examples: []Finding{{Kind: Lost, Session: sessionA, Seq: 9, Shard: 1, T: "MESSAGE_CREATE"}},
		},
	}
	var b bytes.Buffer
	if err := WriteTable(&b, results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"12,345", " 40 ", "1.2 s", "pass", "FAIL", "kill-drover FAILED", "lost: shard 1, session aaaaaaaa, seq 9, MESSAGE_CREATE", "--plan kill-drover --seed 7", "/tmp/x", "3 session_lost",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := WriteJSON(&b, results); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Passed bool
		Plans  []Result
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil || doc.Passed || len(doc.Plans) != 2 || doc.Plans[1].Lost != 2 {
		t.Errorf("got %+v and %v, want both plans and passed false", doc, err)
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := grouped(n); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
