package main

import (
	"bytes"
	"strings"
	"testing"

	"drover/system/audit"
)

func TestAudit_lists_every_plan_with_its_sentence(t *testing.T) {
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"audit", "--list"}, &out, &errs); code != 0 || errs.Len() > 0 {
		t.Fatalf("got exit code %d and %q, want 0", code, errs.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	plans := audit.Plans()
	if len(lines) != len(plans) {
		t.Fatalf("got %d lines, want %d", len(lines), len(plans))
	}
	for i, p := range plans {
		if !strings.HasPrefix(lines[i], p.Name+" ") || !strings.HasSuffix(lines[i], p.Sentence) {
			t.Errorf("got %q, want %s with its sentence", lines[i], p.Name)
		}
	}
}

func TestAudit_help_teaches(t *testing.T) {
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"audit", "--help"}, &out, &errs); code != 0 {
		t.Fatalf("got exit code %d", code)
	}
	for _, want := range []string{
		"drover audit --list", "--plan random --for 10m --seed 42", "--self-test", "lost, twice, reordered and altered must be 0", "exit code is 0",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestAudit_nats_is_not_for_people(t *testing.T) {
	var out, errs bytes.Buffer
	if execute(t.Context(), []string{"--help"}, &out, &errs); strings.Contains(out.String(), natsChild) {
		t.Errorf("the help shows %s, which is for drover audit alone", natsChild)
	}
	if !strings.Contains(out.String(), "  audit ") {
		t.Errorf("the help does not show audit:\n%s", out.String())
	}
}

func TestAudit_refuses_what_makes_no_sense(t *testing.T) {
	tests := []struct{ args, want string }{
		{"audit", "--list"},
		{"audit --plan nats-kill", "nats-kill-file"},
		{"audit --plan cut --shards 0x", "--shards"},
		{"audit --plan cut --shards -1", "-1 shards"},
		{"audit --plan cut --rate 1", "1 events per second"},
		{"audit --plan cut --parallel 0", "--parallel is 0"},
		{"audit --plan cut --all", "all"},
		{"audit --plan random --for 1ms", "1ms"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := execute(t.Context(), strings.Fields(tt.args), &out, &errs)
			if code != exitUsage || !strings.Contains(errs.String(), tt.want) || out.Len() > 0 {
				t.Errorf("got exit code %d, %q and output %q; want 2 and %q", code, errs.String(), out.String(), tt.want)
			}
		})
	}
}
