package main

import (
	"bytes"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestMemory_says_once_what_the_runtime_keeps_to_and_whose_it_is(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want []string
	}{
		{"nothing set", nil, []string{`"limit_from":"container"`, `"limit_bytes":78643200`, `"collector":"adaptive"`}},
		{"another share", map[string]string{"AUTOMEMLIMIT": "0.5"}, []string{`"limit_from":"container"`, `"limit_bytes":52428800`}},
		{"a limit of the user's", map[string]string{"GOMEMLIMIT": "200MiB"}, []string{`"limit_from":"GOMEMLIMIT"`, `"limit_bytes":209715200`, `"collector":"adaptive"`}},
		{"a collector of the user's", map[string]string{"GOGC": "70"}, []string{`"collector":"GOGC=70"`}},
		{"no limit wanted", map[string]string{"AUTOMEMLIMIT": "off"}, []string{`"limit_from":"none"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
			t.Cleanup(func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) })
			debug.SetMemoryLimit(math.MaxInt64)
			for _, name := range []string{"GOGC", "GOMEMLIMIT", "AUTOMEMLIMIT"} {
				t.Setenv(name, tt.env[name])
			}
			if tt.env["GOMEMLIMIT"] != "" {
				debug.SetMemoryLimit(200 * mib) // as the runtime does at its start
			}
			var out bytes.Buffer
			stop := keepMemory(slog.New(slog.NewJSONHandler(&out, nil)), memlimit.Limit(100*mib))
			stop()
			for _, want := range tt.want {
				if strings.Count(out.String(), `"msg":"memory"`) != 1 || !strings.Contains(out.String(), want) {
					t.Errorf("got %s, want one line with %s", out.String(), want)
				}
			}
			if got := debug.SetMemoryLimit(-1); tt.env["GOMEMLIMIT"] != "" && got != 200*mib {
				t.Errorf("got a limit of %d bytes, want the user's", got)
			}
		})
	}
}

func TestMemory_reads_the_runtime(t *testing.T) {
	debug.FreeOSMemory() // so that a collection has been
	u := readUsage()
	if u.allocated == 0 || u.live < 1<<10 || u.held < u.live {
		t.Errorf("got %+v, want what is held above what lives", u)
	}
}
