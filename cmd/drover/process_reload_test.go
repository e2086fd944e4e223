package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

const readAgain = "configuration read again"

// awaitReload waits for the nth reload that was logged, and returns which keys it applied and which it could not.
func (n *running) awaitReload(nth int) (applied, needRestart string) {
	n.t.Helper()
	await(n.t, fmt.Sprintf("reload %d", nth), func() (bool, string) { return len(n.logLines(readAgain)) >= nth, "" })
	line := n.logLines(readAgain)[nth-1]
	return fmt.Sprint(line["applied"]), fmt.Sprint(line["need_restart"])
}

func TestRun_follows_its_configuration_file_and_SIGHUP_while_it_runs(t *testing.T) {
	t.Parallel()
	_, natsURL := startNATS(t)
	sim := startSimulator(t, "--shards", "1", "--rate", "0")
	path := filepath.Join(t.TempDir(), "drover.yaml")
	write := func(text string) {
		t.Helper()
		// As editors do: a reader sees the old file or the new one.
		next := path + ".next"
		if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
	}
	write("log:\n  level: info\n")
	p := startDrover(t, []string{
		"DROVER_DISCORD_API_URL=" + sim.api, "DISCORD_TOKEN=" + botToken, "NATS_URL=" + natsURL, "DROVER_HTTP_ADDR=127.0.0.1:0",
	}, "run", "--config", path)
	node := &running{p, "http://" + fmt.Sprint(p.logged("listening")["http"])}
	node.awaitReady()
	reading := readStreams(t, natsURL, "")

	// deleted dispatches an event that may be denied, then one that is not. Order is kept: after the second
	// the first will not come. It returns how many of the first are stored.
	marks := 0
	deleted := func() int {
		t.Helper()
		sim.do("dispatch", `{"shard":0,"t":"CHANNEL_DELETE","d":{"id":"7","guild_id":"1"}}`)
		sim.do("dispatch", `{"shard":0,"t":"SHEEP_SHORN","d":{}}`)
		marks++
		await(t, "the mark", func() (bool, string) { return len(reading.ofType("sheep.shorn")) == marks, "" })
		return len(reading.ofType("channel.delete"))
	}
	if got := deleted(); got != 1 {
		t.Fatalf("got %d events, want 1: nothing is denied yet", got)
	}

	write("log:\n  level: info\nevents:\n  deny: [CHANNEL_DELETE]\npool:\n  size: 50\n") // nobody is told
	if applied, restart := node.awaitReload(1); applied != "[events.deny]" || restart != "[pool.size]" {
		t.Errorf("got %s applied and %s for a restart, want events.deny and pool.size", applied, restart)
	}
	if got := deleted(); got != 1 {
		t.Errorf("got %d events, want 1: the second was denied", got)
	}

	write("log:\n  level: loud\nevents:\n  deny: []\n")
	node.signal(syscall.SIGHUP)
	line := node.logged("configuration not taken over; the old one stays")
	if line["level"] != "ERROR" || line["err"] == nil {
		t.Errorf("got %v, want an error that says why", line)
	}
	if got := deleted(); got != 1 {
		t.Errorf("got %d events, want 1: the old rules stay", got)
	}

	write("log:\n  level: info\n")
	node.signal(syscall.SIGHUP)
	if applied, _ := node.awaitReload(2); applied != "[events.deny]" {
		t.Errorf("got %s applied, want events.deny", applied)
	}
	if got := deleted(); got != 2 {
		t.Errorf("got %d events, want 2: nothing is denied any more", got)
	}

	node.signal(syscall.SIGHUP) // without a change it answers too
	if applied, _ := node.awaitReload(3); applied != "[]" && applied != "<nil>" {
		t.Errorf("got %s applied, want nothing", applied)
	}

	write("log:\n  level: error\n")
	await(t, "silence at level error", func() (bool, string) {
		before, resumed := len(node.logLines("shard down")), sim.state().Counts.Resumed
		sim.do("drop", `{"shard":0}`)
		await(t, "a resume", func() (bool, string) { return sim.state().Counts.Resumed > resumed, "" })
		node.awaitReady()
		return len(node.logLines("shard down")) == before, node.stderr.String()
	})
	write("log:\n  level: info\n")
	if applied, _ := node.awaitReload(4); applied != "[log.level]" {
		t.Errorf("got %s applied, want log.level", applied)
	}
	downs := len(node.logLines("shard down"))
	sim.do("drop", `{"shard":0}`)
	await(t, "a line at level info", func() (bool, string) { return len(node.logLines("shard down")) == downs+1, "" })
	node.stop()
}
