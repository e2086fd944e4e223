package deploy

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"drover/system/process"
)

// patience bounds every wait for a condition. Nothing takes so long unless it is broken.
const patience = 2 * time.Minute

// binary is drover, built once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "drover")
	if out, err := exec.Command("go", "build", "-o", path, "drover/cmd/drover").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "drover-deploy-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// running is a process of the test that listens on addr. Only the test's goroutine uses it.
type running struct {
	t       testing.TB
	command process.Command
	addr    string
	*process.Process
}

// start runs a program until the test ends.
func start(t testing.TB, name, addr string, env []string, args ...string) *running {
	t.Helper()
	dir := t.TempDir()
	r := &running{t: t, addr: addr, command: process.Command{
		Name: name, Args: args, Env: append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...), Dir: dir, Log: filepath.Join(dir, "log"),
	}}
	r.again()
	t.Cleanup(func() {
		r.Signal(process.Thaw)
		r.Kill()
		if !t.Failed() {
			return
		}
		if text, err := os.ReadFile(r.command.Log); err == nil {
			t.Logf("the end of what %s said:\n%s", name, text[max(len(text)-3000, 0):])
		}
	})
	return r
}

// again starts the process anew, as it was: with its address and its folder.
func (r *running) again() {
	r.t.Helper()
	var err error
	if r.Process, err = process.Start(r.command); err != nil {
		r.t.Fatal(err)
	}
}

// stopped has the process end by SIGTERM.
func (r *running) stopped() {
	r.t.Helper()
	r.Signal(syscall.SIGTERM)
	if code, err := r.Await(patience); err != nil || code != 0 {
		r.t.Errorf("%s: got exit code %d, %v after SIGTERM, want 0", r.command.Name, code, err)
	}
}

// get asks the process over HTTP; status 0 and the error's text where nobody answers.
func (r *running) get(path string) (int, string) {
	return do(r.t, http.MethodGet, "http://"+r.addr+path, "")
}

func do(t testing.TB, method, url, body string) (int, string) {
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

// await waits until ok says yes, and fails with what it said last. It asks often; nothing depends on how often.
func await(t testing.TB, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(200 * time.Millisecond)
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

// free is an address that nobody listens on.
func free(t testing.TB) string {
	t.Helper()
	addr, err := process.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// program is the built drover.
func program(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// simulator is a simulated Discord.
type simulator struct{ *running }

// startSimulator runs one with short heartbeats.
func startSimulator(t testing.TB, args ...string) simulator {
	t.Helper()
	addr := free(t)
	s := simulator{start(t, "simulator", addr, nil, append([]string{
		program(t), "simulate", "--plain", "--listen", addr, "--resume-listen", free(t), "--heartbeat", "1s", "--replay-buffer", "3500",
	}, args...)...)}
	await(t, "the simulator", func() (bool, string) {
		code, body := s.get("/control/state")
		return code == http.StatusOK, body
	})
	return s
}

// fault posts to the control API.
func (s simulator) fault(name, body string) {
	s.t.Helper()
	if code, answer := do(s.t, http.MethodPost, "http://"+s.addr+"/control/"+name, body); code != http.StatusOK {
		s.t.Fatalf("/control/%s %s: got %d %s", name, body, code, answer)
	}
}

// startNATS runs a NATS server that can be frozen and killed.
func startNATS(t testing.TB) *running {
	t.Helper()
	addr := free(t)
	return start(t, "nats", addr, nil, program(t), "nats-child", "--listen", addr, "--data-dir", t.TempDir())
}

// startNode runs a drover node. nats nil stands for nats.url none.
func startNode(t testing.TB, name string, sim simulator, nats *running, env ...string) *running {
	t.Helper()
	addr, url := free(t), "none"
	if nats != nil {
		url = "nats://" + nats.addr
	}
	return start(t, name, addr, append([]string{
		"DROVER_DISCORD_API_URL=http://" + sim.addr + "/api/v10", "DISCORD_TOKEN=test-token-0123456789", "NATS_URL=" + url, "DROVER_HTTP_ADDR=" + addr,
		"DROVER_CLUSTER_NODE=" + name, "DROVER_CLUSTER_LEASE_TTL=2s", "GOMEMLIMIT=400MiB",
	}, env...), program(t), "run")
}

func (r *running) awaitReady() {
	r.t.Helper()
	await(r.t, r.command.Name+" ready", func() (bool, string) {
		code, body := r.get("/ready")
		return code == http.StatusOK, body
	})
}
