package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestUsage_of_flags_that_make_no_sense_is_told_with_the_flag(t *testing.T) {
	tests := []struct {
		args string
		want string
	}{
		{"tail --shard -4", "--shard is -4"},
		{"tail --guild abc", `--guild is "abc"`},
		{"tail --since -5m", "--since is -5m0s"},
		{"tail --nats none", "--nats"},
		{"demo --shards 0", "--shards is 0"},
		{"demo --shards many", "--shards"},
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
