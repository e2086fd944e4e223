package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"drover/messages"
)

// awaitDemo waits until the demo at page shows 25 ready shards, and checks that it took no longer than promised.
func awaitDemo(t *testing.T, page string, began time.Time) {
	t.Helper()
	await(t, "25 ready shards", func() (bool, string) {
		_, body := httpGet(t, page+"api/v1/shards")
		var shards []messages.ShardStatus
		if err := json.Unmarshal([]byte(body), &shards); err != nil {
			return false, err.Error() + ": " + body
		}
		ready := 0
		for _, s := range shards {
			if s.State == messages.Ready {
				ready++
			}
		}
		return len(shards) == 25 && ready == 25, body
	})
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("got 25 ready shards after %v, want them within 30 s", took)
	}
}

// announcedFault is the warning of a connection that the demo closes itself, every 8 s with one of three faults (demo.trouble):
// whether there is one depends on how long the shards took to be ready.
var announcedFault = regexp.MustCompile(`(?m)^time=\S+ level=WARN msg="shard down" .* reason=(closed close_code=4000|lost close_code=0) next=resume .*\n`)

func TestDemo_shows_25_ready_shards_within_30_seconds_and_leaves_nothing_behind(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	began := time.Now()
	demo := startDrover(t, []string{"TMPDIR=" + temp}, "demo", "--plain", "--http-addr", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
	page := demo.match(demo.stdout, `status page (http://127\.0\.0\.1:[1-9]\d*/), `)
	natsURL := demo.match(demo.stdout, `streams on (nats://127\.0\.0\.1:[1-9]\d*)\.`)
	awaitDemo(t, page, began)
	if code, body := httpGet(t, page); code != http.StatusOK || !strings.Contains(body, "<html") {
		t.Errorf("the page: got %d %.100s", code, body)
	}
	demo.match(demo.stdout, `25 of 25 shards ready, 250 guilds, [1-9][\d,]* events read, [1-9][\d,]* acknowledged`)
	demo.match(demo.stdout, `  \d\d:\d\d:\d\d\.\d{3}  member\.`) // flowing events, as the consumer sees them
	reading := readStreams(t, natsURL, "")                       // workers reach the streams meanwhile
	await(t, "events for a worker", func() (bool, string) { return len(reading.ofType("interaction.create")) > 0, "" })
	if files, err := filepath.Glob(filepath.Join(temp, "*")); err != nil || len(files) != 1 {
		t.Errorf("got files %q, error %v, want one folder while it runs", files, err)
	}

	demo.signal(syscall.SIGINT)
	if code := demo.ended(); code != 0 {
		t.Errorf("got exit code %d after SIGINT, want 0", code)
	}
	demo.match(demo.stdout, `events read from the gateway, .* 0 open\. Sessions were left resumable\.`)
	if text := announcedFault.ReplaceAllString(demo.stderr.String(), ""); text != "" {
		t.Errorf("got %q on standard error, want nothing but the demo's own faults", text)
	}
	for _, dir := range []string{temp, demo.dir} {
		if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) > 0 {
			t.Errorf("got files %q, error %v, want none left", files, err)
		}
	}
}

func TestDemo_draws_a_live_view_on_a_terminal_and_ends_on_a_key(t *testing.T) {
	t.Parallel()
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skip("there is no script command (Debian: bsdutils), which gives the demo a terminal")
	}
	temp := t.TempDir()
	began := time.Now()
	const ctrlC = "\x03" // the program reads keys itself: no signal comes of it
	const showCursor = "\x1b[?25h"
	demo := startProcess(t, "script", []string{"TMPDIR=" + temp, "SHELL=/bin/sh", "TERM=xterm-256color"}, script, "-qec",
		"stty cols 120 rows 40; exec '"+binary+"' demo --http-addr 127.0.0.1:0 --nats-listen 127.0.0.1:0", "/dev/null")
	demo.stdout.terminal = true
	page := demo.match(demo.stdout, `(http://127\.0\.0\.1:[1-9]\d*/)`)
	demo.match(demo.stdout, `\d+ wait to identify, about \d+s at max_concurrency 16`)
	awaitDemo(t, page, began)
	demo.match(demo.stdout, `25 of 25 ready`)
	demo.match(demo.stdout, `■.*■`)
	demo.match(demo.stdout, `EVENTS [1-9]`)
	demo.match(demo.stdout, `interaction\.create +shard \d+ +guild \d+`)
	if _, err := demo.stdin.Write([]byte(ctrlC)); err != nil {
		t.Fatal(err)
	}
	if code := demo.ended(); code != 0 {
		t.Errorf("got exit code %d after Ctrl-C, want 0", code)
	}
	demo.match(demo.stdout, `0 open\. Sessions were left resumable\.`)
	if raw := demo.stdout.text.String(); !strings.HasPrefix(raw[strings.LastIndex(raw, showCursor[:5]):], showCursor) {
		t.Error("the cursor stays hidden")
	}
	if files, err := filepath.Glob(filepath.Join(temp, "*")); err != nil || len(files) > 0 {
		t.Errorf("got files %q, error %v, want none left", files, err)
	}
}

func TestDemo_names_the_key_of_a_taken_port(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // after the subtests, which are parallel
	addr := taken.Addr().String()
	for _, tt := range []struct {
		key  string
		args []string
	}{
		{"http.addr", []string{"--http-addr", addr, "--nats-listen", "127.0.0.1:0"}},
		{"nats.embedded.listen", []string{"--http-addr", "127.0.0.1:0", "--nats-listen", addr}},
	} {
		t.Run(tt.key, func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			demo := startDrover(t, []string{"TMPDIR=" + temp}, append([]string{"demo", "--plain"}, tt.args...)...)
			demo.wantExit(2, tt.key, addr, "address already in use")
			if files, err := os.ReadDir(temp); err != nil || len(files) > 0 {
				t.Errorf("got files %v, error %v, want none left", files, err)
			}
		})
	}
}
