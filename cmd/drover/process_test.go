package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a condition. Nothing takes so long unless it is broken.
const patience = 40 * time.Second

// process is a program that runs while a test does. Only the test's goroutine uses it.
type process struct {
	t              testing.TB
	name           string
	dir            string // its empty working folder and HOME
	cmd            *exec.Cmd
	stdout, stderr *output
	stdin          io.WriteCloser
	exited         chan struct{} // closed when it has ended and its output is complete
}

// startDrover runs the binary with only env around it, in an empty folder.
func startDrover(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	return startProcess(t, args[0], env, binary, args...)
}

// startProcess runs a program until the test ends.
func startProcess(t testing.TB, name string, env []string, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, dir: t.TempDir(), stdout: newOutput(), stderr: newOutput(), exited: make(chan struct{})}
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir = p.dir
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Ends with the process, which the cleanup kills.
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // ProcessState tells
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.exited
		if t.Failed() {
			t.Logf("%s, standard output:\n%s\n%s, standard error:\n%s", p.name, tailOf(p.stdout.String()), p.name, tailOf(p.stderr.String()))
		}
	})
	return p
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// ended waits for the end and returns the exit code.
func (p *process) ended() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s: did not end within %v", p.name, patience)
		return 0
	}
}

// wantExit waits for the end and checks the exit code, and words of the last thing on standard error, which is
// for people and no line of the log.
func (p *process) wantExit(code int, words ...string) {
	p.t.Helper()
	got, text := p.ended(), p.stderr.String()
	at := strings.LastIndex("\n"+text, "\ndrover: ")
	if got != code || at < 0 {
		p.t.Fatalf("%s: got exit code %d, want %d and a sentence that begins with drover:", p.name, got, code)
	}
	for _, w := range words {
		if !strings.Contains(text[at:], w) {
			p.t.Errorf("%s: got %q, want it to name %q", p.name, text[at:], w)
		}
	}
}

// stop sends SIGTERM and wants exit code 0.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.ended(); code != 0 {
		p.t.Errorf("%s: got exit code %d after SIGTERM, want 0", p.name, code)
	}
}

// match waits until the output matches and returns the first group, or the whole match.
func (p *process) match(o *output, pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	over := false
	for {
		text, more := o.read()
		if m := re.FindStringSubmatch(text); m != nil {
			return m[len(m)-1]
		}
		if over {
			p.t.Fatalf("%s: ended without %q in its output", p.name, pattern)
		}
		select {
		case <-more:
		case <-p.exited: // its output is complete: look once more
			over = true
		case <-deadline:
			p.t.Fatalf("%s: no %q in its output within %v", p.name, pattern, patience)
		}
	}
}

// logged waits for a line of the JSON log with this message, and returns it.
func (p *process) logged(msg string) map[string]any {
	p.t.Helper()
	line := p.match(p.stderr, `(?m)^\{.*"msg":`+regexp.QuoteMeta(quote(msg))+`.*\}$`)
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		p.t.Fatalf("%s: %q: %v", p.name, line, err)
	}
	return fields
}

// logLines are the lines of the JSON log with this message so far.
func (p *process) logLines(msg string) []map[string]any {
	p.t.Helper()
	var out []map[string]any
	text := p.stderr.String()
	for line := range strings.Lines(text[:strings.LastIndexByte(text, '\n')+1]) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			p.t.Errorf("%s: %q is no line of JSON: %v", p.name, line, err)
		} else if fields["msg"] == msg || msg == "" {
			out = append(out, fields)
		}
	}
	return out
}

// files lists what is in the process's folder.
func (p *process) files() []string {
	p.t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(p.dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return names
}

// output collects what a process writes. Any goroutine may use it.
type output struct {
	terminal bool // set by the test's goroutine: colours and movements are taken out of what is read

	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed at the next write
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

func newOutput() *output { return &output{more: make(chan struct{})} }

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(b)
}

// read returns the text so far, and what tells of more.
func (o *output) read() (text string, more <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.terminal {
		return escapes.ReplaceAllString(o.text.String(), ""), o.more
	}
	return o.text.String(), o.more
}

func (o *output) String() string {
	text, _ := o.read()
	return text
}

// await waits until ok says yes, and fails with what it said last. It asks often; nothing depends on how often.
func await(t testing.TB, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(25 * time.Millisecond)
	defer again.Stop()
	for {
		yes, state := ok()
		if yes {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("%s: not within %v; %s", what, patience, state)
		case <-again.C:
		}
	}
}

// httpGet returns status and body; status 0 and the error's text where nobody answers.
func httpGet(t testing.TB, url string) (int, string) {
	t.Helper()
	return httpDo(t, http.MethodGet, url, "")
}

func httpDo(t testing.TB, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

// tailOf keeps a failing test's output short.
func tailOf(text string) string {
	const most = 6000
	if len(text) > most {
		return "…" + text[len(text)-most:]
	}
	return text
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can always be written as JSON
	}
	return string(b)
}

// natsProgram is the stock nats-server of the Go module, built once.
var natsProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "nats-server")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build nats-server: %w\n%s", err, out)
	}
	return path, nil
})

// startNATS runs a stock nats-server with the configuration that we ship, on a free port.
func startNATS(t testing.TB) (server *process, url string) {
	t.Helper()
	shipped, err := os.ReadFile("../../deploy/nats/nats-server.conf")
	if err != nil {
		t.Fatal(err)
	}
	const store = "/var/lib/nats"
	if !bytes.Contains(shipped, []byte("store_dir: "+store+"\n")) {
		t.Fatal(errors.New("nats-server.conf has another store_dir than this test replaces"))
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "nats-server.conf")
	if err := os.WriteFile(path, bytes.ReplaceAll(shipped, []byte(store), []byte(quote(dir))), 0o600); err != nil {
		t.Fatal(err)
	}
	return startNATSWith(t, "-c", path, "-p", "-1", "-m", "-1")
}

// startNATSWith runs a stock nats-server with these arguments, which choose a free port.
func startNATSWith(t testing.TB, args ...string) (server *process, url string) {
	t.Helper()
	program, err := natsProgram()
	if err != nil {
		t.Fatal(err)
	}
	server = startProcess(t, "nats-server", nil, program, args...)
	addr := server.match(server.stderr, `Listening for client connections on (\S+)`)
	server.match(server.stderr, `Server is ready`)
	return server, "nats://" + addr
}
