package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"drover/config"
)

// binary is drover, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(drainForever) != "" {
		runDrainForever()
	}
	if how := os.Getenv(crashAs); how != "" {
		runCrash(how)
	}
	dir, err := os.MkdirTemp("", "drover-cli-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "drover")
	build := exec.Command("go", "build", "-o", binary, "-ldflags", "-X main.version=1.2.3", ".")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// drover runs the binary in an empty folder with only env around it.
func drover(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir}, env...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

func TestCLI_exit_codes_and_messages(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("pool:\n  sise: 3\nlog:\n  level: loud\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	twoProblems := "drover: 2 problems in the configuration:\n" +
		"  - pool.sise: is not a known key: did you mean pool.size? [" + bad + ":2]\n" +
		"  - log.level: \"loud\" is not one of its words: write debug, info, warn or error [" + bad + ":4]\n"
	tests := []struct {
		name   string
		env    []string
		args   []string
		code   int
		stderr string // whole
	}{
		{"unknown_command", nil, []string{"rum"}, 2,
			"drover: unknown command \"rum\" for \"drover\": did you mean run?\nSee \"drover --help\".\n"},
		{"unknown_subcommand", nil, []string{"config", "chekc"}, 2,
			"drover: unknown command \"chekc\" for \"drover config\": did you mean check?\nSee \"drover config --help\".\n"},
		{"unknown_flag", nil, []string{"run", "--tokn", "x"}, 2,
			"drover: unknown flag: --tokn\nSee \"drover run --help\".\n"},
		{"argument_too_many", nil, []string{"version", "now"}, 2,
			"drover: unknown command \"now\" for \"drover version\"\nSee \"drover version --help\".\n"},
		{"set_without_value", nil, []string{"config", "check", "--set", "pool.size"}, 2,
			"drover: invalid argument \"pool.size\" for \"--set\" flag: write it as key=value, like pool.size=50\nSee \"drover config check --help\".\n"},
		{"bad_file", nil, []string{"config", "check", "--config", bad}, 2, twoProblems},
		{"bad_file_of_run", []string{"DISCORD_TOKEN=x"}, []string{"run", "--config", bad}, 2, twoProblems},
		{"missing_file", nil, []string{"config", "print", "--config", "no.yaml"}, 2,
			"drover: 1 problem in the configuration:\n  - no.yaml: there is no such file: check the path\n"},
		{"bad_variable", []string{"DROVER_POOL_SIZE=many"}, []string{"config", "check"}, 2,
			"drover: 1 problem in the configuration:\n  - pool.size: \"many\" is not a whole number: write digits only [DROVER_POOL_SIZE]\n"},
		{"bad_flag_value", nil, []string{"config", "check", "--log-level", "loud"}, 2,
			"drover: 1 problem in the configuration:\n  - log.level: \"loud\" is not one of its words: write debug, info, warn or error [--log-level]\n"},
		{"run_without_token", nil, []string{"run"}, 2,
			"drover: 1 problem in the configuration:\n  - discord.token: there is none: set DISCORD_TOKEN to the bot's token (Discord's developer portal, page Bot), or try `drover demo`, which needs none\n"},
		{"unknown_variable", []string{"DROVER_SERVICE_HOST=10.0.0.1"}, []string{"config", "check"}, 0,
			"drover: warning: DROVER_SERVICE_HOST is not a known variable and is ignored\n"},
		{"healthcheck_bad_address", nil, []string{"healthcheck", "--addr", "9090"}, 1,
			"drover: healthcheck: \"9090\" is not an address: write it like 127.0.0.1:9090\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, stderr, code := drover(t, tt.env, tt.args...)
			if code != tt.code || stderr != tt.stderr {
				t.Errorf("got exit code %d and\n%s\nwant %d and\n%s", code, stderr, tt.code, tt.stderr)
			}
		})
	}
}

func TestCLI_help_teaches(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"help"}} {
		stdout, stderr, code := drover(t, nil, args...)
		if code != 0 || stderr != "" {
			t.Errorf("%v: got exit code %d and %q, want 0 and nothing", args, code, stderr)
		}
		for _, want := range []string{"Three commands to start with", "drover demo", "DISCORD_TOKEN=… drover run", "drover tail"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("%v: no %q in\n%s", args, want, stdout)
			}
		}
	}
}

func TestCLI_every_command_explains_itself(t *testing.T) {
	for _, cmd := range newRootCommand().Commands() {
		if cmd.Short == "" || cmd.Name() != "config" && cmd.RunE == nil {
			t.Errorf("%s: got short help %q and RunE %t, want both", cmd.Name(), cmd.Short, cmd.RunE != nil)
		}
		stdout, _, code := drover(t, nil, cmd.Name(), "--help")
		if code != 0 || !strings.Contains(stdout, "Usage:") {
			t.Errorf("%s --help: got exit code %d and\n%s", cmd.Name(), code, stdout)
		}
	}
}

func TestCLI_config_check_says_what_it_read(t *testing.T) {
	stdout, stderr, code := drover(t, nil, "config", "check")
	want := "The configuration is usable (defaults, environment and flags; there is no file).\n" +
		"There is no discord.token yet, which `drover run` needs: set DISCORD_TOKEN.\n"
	if stdout != want || stderr != "" || code != 0 {
		t.Errorf("got exit code %d, %q and\n%s\nwant\n%s", code, stderr, stdout, want)
	}
}

func TestCLI_config_check_knows_intents(t *testing.T) {
	_, stderr, code := drover(t, []string{"DISCORD_INTENTS=GUILDS,GILD_MEMBERS"}, "config", "check")
	if code != 2 || !strings.Contains(stderr, "DISCORD_INTENTS") || !strings.Contains(stderr, "GUILD_MEMBERS") || strings.Count(stderr, "\n") != 2 {
		t.Errorf("got exit code %d and %q, want 2 and one problem with the variable and the right name", code, stderr)
	}
}

func TestCLI_config_print_masks_secrets_and_names_sources(t *testing.T) {
	stdout, stderr, code := drover(t,
		[]string{"DISCORD_TOKEN=hunter2", "NATS_URL=nats://u:hunter2@h:4222", "LOG_LEVEL=debug"},
		"config", "print", "--set", "pool.size=7", "--http-addr", "127.0.0.1:1")
	if code != 0 || strings.Contains(stdout+stderr, "hunter2") {
		t.Errorf("got exit code %d and\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{
		`  token: "******"  # DISCORD_TOKEN`, `  url: "nats://******@h:4222"  # NATS_URL`,
		`  level: "debug"  # LOG_LEVEL`, `  size: 7  # --set`, `  addr: "127.0.0.1:1"  # --http-addr`,
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
}

func TestCLI_config_print_default_is_a_usable_file(t *testing.T) {
	stdout, _, code := drover(t, nil, "config", "print", "--default")
	if code != 0 || stdout != string(config.Example()) {
		t.Fatalf("got exit code %d and\n%s", code, stdout)
	}
	path := filepath.Join(t.TempDir(), "drover.yaml")
	if err := os.WriteFile(path, []byte(stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	if stdout, stderr, code := drover(t, nil, "config", "check", "--config", path); code != 0 {
		t.Errorf("got exit code %d and\n%s%s", code, stdout, stderr)
	}
}

func TestCLI_version(t *testing.T) {
	stdout, _, code := drover(t, nil, "version")
	if code != 0 || !strings.HasPrefix(stdout, "drover 1.2.3\n") || !strings.Contains(stdout, runtime.Version()) {
		t.Errorf("got exit code %d and\n%s", code, stdout)
	}
	if Version() == "" {
		t.Error("got an empty version")
	}
}

func TestCLI_completion(t *testing.T) {
	stdout, _, code := drover(t, nil, "completion", "bash")
	if code != 0 || !strings.Contains(stdout, "__start_drover") {
		t.Errorf("got exit code %d and %d bytes", code, len(stdout))
	}
	stdout, _, _ = drover(t, nil, "__complete", "config", "check", "--set", "pool.")
	if !strings.Contains(stdout, "pool.total_shards=\n") {
		t.Errorf("no key in\n%s", stdout)
	}
}

func TestCLI_healthcheck(t *testing.T) {
	ready := http.StatusServiceUnavailable
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ready" {
			w.WriteHeader(ready)
			_, _ = w.Write([]byte(`{"ready":false,"reasons":["NATS is not connected","3 of 25 shards are ready"]}`))
		}
	}))
	defer node.Close()
	addr := node.Listener.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	closed := httptest.NewServer(nil)
	closed.Close()

	tests := []struct {
		name string
		env  []string
		args []string
		code int
		want string // in what is printed
	}{
		{"health", nil, []string{"--addr", addr}, 0, "ok\n"},
		{"as_a_URL", nil, []string{"--addr", node.URL}, 0, "ok\n"},
		{"address_of_the_configuration", []string{"HTTP_PORT=" + port}, nil, 0, "ok\n"},
		{"through_no_proxy", []string{"HTTP_PORT=" + port, "HTTP_PROXY=" + closed.URL}, nil, 0, "ok\n"},
		{"not_ready", nil, []string{"--ready", "--addr", addr}, 1,
			"drover: healthcheck: http://" + addr + "/ready answers 503: NATS is not connected; 3 of 25 shards are ready\n"},
		{"nobody_there", nil, []string{"--addr", closed.Listener.Addr().String()}, 1, "connection refused"},
		{"bad_configuration", []string{"DROVER_HTTP_ADDR=x"}, nil, 1, "http.addr: \"x\" is not an address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, code := drover(t, tt.env, append([]string{"healthcheck"}, tt.args...)...)
			if code != tt.code || !strings.Contains(stdout+stderr, tt.want) {
				t.Errorf("got exit code %d and %q, want %d and %q", code, stdout+stderr, tt.code, tt.want)
			}
		})
	}
}

func TestCheckURL(t *testing.T) {
	tests := []struct{ addr, want string }{
		{":9090", "http://127.0.0.1:9090/health"},
		{"0.0.0.0:1", "http://127.0.0.1:1/health"},
		{"[::]:1", "http://127.0.0.1:1/health"},
		{"[0:0:0:0:0:0:0:0]:1", "http://127.0.0.1:1/health"},
		{"[::ffff:0.0.0.0]:1", "http://127.0.0.1:1/health"},
		{"[::1]:1", "http://[::1]:1/health"},
		{"10.0.0.7:1", "http://10.0.0.7:1/health"},
		{"node:1", "http://node:1/health"},
		{"https://node/x/", "https://node/x/health"},
	}
	for _, tt := range tests {
		if got, err := checkURL(tt.addr, "/health"); err != nil || got != tt.want {
			t.Errorf("%s: got %s, error %v, want %s", tt.addr, got, err, tt.want)
		}
	}
}

// What listens at any wildcard must be found by 127.0.0.1, whatever the machine thinks of IPv6.
func TestCheckURL_of_each_wildcard_finds_who_listens_there(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		t.Run(addr, func(t *testing.T) {
			l, err := net.Listen("tcp", addr) // as system/web does
			if errors.Is(err, syscall.EAFNOSUPPORT) {
				t.Skipf("this kernel has no such address: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			server := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.NotFoundHandler()}}
			server.Start()
			defer server.Close()
			for _, at := range []string{strings.TrimSuffix(addr, "0") + fmt.Sprint(l.Addr().(*net.TCPAddr).Port), l.Addr().String()} {
				url, err := checkURL(at, "/health")
				if err == nil {
					err = check(t.Context(), url)
				}
				if err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:") || !strings.Contains(err.Error(), "answers 404") {
					t.Errorf("%s: got %v, want an answer from 127.0.0.1", at, err)
				}
			}
		})
	}
}

// codedError is an error of another package with an exit code of its own.
type codedError int

func (c codedError) Error() string { return "refused" }
func (c codedError) ExitCode() int { return int(c) }

func TestExitCode(t *testing.T) {
	tests := []struct {
		name    string
		err     error
		started bool
		want    int
	}{
		{"failure", errors.New("x"), true, 1},
		{"usage", errors.New("x"), false, 2},
		{"carried", fmt.Errorf("system: %w", codedError(3)), true, 3},
		{"configuration", &config.Error{}, true, 2},
		{"joined", errors.Join(errors.New("x"), codedError(3)), true, 3},
		{"healthcheck_is_never_2", unhealthy{&config.Error{}}, true, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.err, tt.started); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestKeys_of_flags_exist(t *testing.T) {
	var s sourceFlags
	cmd := newConfigCheckCommand()
	s.add(newVersionCommand())
	for _, name := range []string{"log-level", "http-addr", "nats-url", "api-url"} {
		flag, ok := cmd.Flags().Lookup(name).Value.(*keyFlag)
		if !ok {
			t.Fatalf("--%s is no flag of a key", name)
		}
		if !slices.ContainsFunc(config.Keys(), func(k config.Key) bool { return k.Name == flag.key }) || flag.name != "--"+name {
			t.Errorf("--%s: got key %q and name %q", name, flag.key, flag.name)
		}
	}
}
