package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestSimulate_serves_and_ends_cleanly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out, lines := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() { // ends with ctx
		code <- execute(ctx, []string{"simulate", "--listen", "127.0.0.1:0", "--rate", "0"}, lines, &stderr)
		lines.Close()
	}()
	text := make([]byte, 0, 4096)
	url := regexp.MustCompile(`DROVER_DISCORD_API_URL=(\S+)`)
	for buf := make([]byte, 4096); url.FindSubmatch(text) == nil; {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("no URL in %q: %v; %s", text, err, &stderr)
		}
		text = append(text, buf[:n]...)
	}
	rest := make(chan string, 1)
	go func() { b, _ := io.ReadAll(out); rest <- string(b) }() // ends with the command
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, string(url.FindSubmatch(text)[1])+"/gateway/bot", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bot anything")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("got %s, want 200", res.Status)
	}
	cancel()
	if got := <-code; got != 0 || stderr.Len() > 0 {
		t.Errorf("got exit code %d and %q, want 0 and nothing", got, &stderr)
	}
	if got := <-rest; !strings.Contains(got, "/control/close") || !strings.Contains(got, "Ended: ") {
		t.Errorf("got %q, want examples and a last line", got)
	}
}

func TestSimulate_names_the_flag_of_a_taken_port(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flag := range []string{"--listen", "--resume-listen"} {
		args := []string{"simulate", "--listen", "127.0.0.1:0", flag, taken.Addr().String()}
		if flag == "--listen" {
			args = append(args, "--resume-listen", "127.0.0.1:0")
		}
		var stderr bytes.Buffer
		code := execute(t.Context(), args, io.Discard, &stderr)
		want := fmt.Sprintf("drover: simulate: %s is in use by another process: choose another address with %s\n", taken.Addr(), flag)
		if code != 2 || stderr.String() != want {
			t.Errorf("got %d %q, want 2 %q", code, &stderr, want)
		}
	}
}

func TestSimulate_refuses_absurd_flags(t *testing.T) {
	for _, args := range [][]string{{"--rate", "-1"}, {"--listen", "here"}, {"--listen", "127.0.0.1:http"}, {"--zstd-window", "1000"}, {"--resume-listen", "x"},
		{"--guild-size", "5000"}, {"--guild-size", "60000-5000"}, {"--guild-size", "1-2"}} {
		var stderr bytes.Buffer
		if code := execute(t.Context(), append([]string{"simulate"}, args...), io.Discard, &stderr); code != 2 || stderr.Len() == 0 {
			t.Errorf("%v: got exit code %d and %q, want 2 and a reason", args, code, &stderr)
		}
	}
}

// TestSimulate_flags_are_documented holds docs/simulator.md to the flags.
func TestSimulate_flags_are_documented(t *testing.T) {
	page, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	cmd := newSimulateCommand()
	var help bytes.Buffer
	cmd.SetOut(&help)
	if err := cmd.Help(); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^ +(--[a-z-]+)`).FindAllStringSubmatch(help.String(), -1) {
		if m[1] != "--help" && !bytes.Contains(page, []byte("`"+m[1]+"`")) {
			t.Errorf("docs/simulator.md lacks %s", m[1])
		}
	}
}
