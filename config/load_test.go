package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load reads text as the file, with nothing from outside the test.
func load(t *testing.T, text string, env ...string) (Config, Report, error) {
	t.Helper()
	return Load(Source{File: writeFile(t, text), Env: env})
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), fileName)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// problemTexts lists what Load found wrong; it fails the test for another error.
func problemTexts(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var broken *Error
	if !errors.As(err, &broken) {
		t.Fatalf("got error %v of type %T, want *Error", err, err)
	}
	if broken.ExitCode() != 2 {
		t.Errorf("got exit code %d, want 2", broken.ExitCode())
	}
	var texts []string
	for _, p := range broken.Problems {
		texts = append(texts, p.Error())
	}
	return texts
}

func TestLoad_without_anything_gives_the_defaults(t *testing.T) {
	got, report, err := Load(Source{Dirs: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Cluster.Node = hostName()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if report.File != "" || len(report.Warnings) != 0 {
		t.Errorf("got report %+v, want no file and no warnings", report)
	}
}

func TestExample_file_has_every_key_at_its_default(t *testing.T) {
	var found problems
	values := readYAML(fileName, Example(), &found)
	if err := found.err(); err != nil {
		t.Fatal(err)
	}
	for _, f := range allFields {
		if _, ok := values[f.key]; !ok && f.key != "pool.id" { // pool.id: null is "unset"
			t.Errorf("drover.yaml lacks %s", f.key)
		}
	}
	if !strings.Contains(string(Example()), "\n  id:\n") {
		t.Error("drover.yaml lacks pool.id")
	}
	got, err := merge(map[string]string{}, values)
	if err != nil {
		t.Fatal(err)
	}
	tidy(&got)
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_later_sources_win(t *testing.T) {
	path := writeFile(t, "pool: {size: 2}\nlog: {level: warn}\npublish: {window: 7}\n")
	src := Source{
		File:  path,
		Env:   []string{"DROVER_LOG_LEVEL=error", "DROVER_PUBLISH_WINDOW=8"},
		Flags: []Flag{{Name: "--set", Key: "publish.window", Value: "9"}},
	}
	cfg, report, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Pool.Size != 2 || cfg.Log.Level != "error" || cfg.Publish.Window != 9 {
		t.Errorf("got size %d, level %s, window %d, want 2, error, 9", cfg.Pool.Size, cfg.Log.Level, cfg.Publish.Window)
	}
	if cfg.Discord.Compress != "zstd-stream" {
		t.Errorf("got compress %q, want the default", cfg.Discord.Compress)
	}
	want := map[string]string{
		"pool.size": path + ":1", "log.level": "DROVER_LOG_LEVEL", "publish.window": "--set",
		"cluster.node": "the host's name",
	}
	if diff := cmp.Diff(want, report.Origin); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_reports_everything_wrong_at_once(t *testing.T) {
	path := writeFile(t, "pool:\n  size: many\n  sise: 3\nlog:\n  level: loud\npublish:\n  window: 0\nhttp: 9090\n")
	_, _, err := Load(Source{
		File:  path,
		Env:   []string{"DROVER_SHUTDOWN_TIMEOUT=20", "POOL_ID=-1"},
		Flags: []Flag{{Name: "--set", Key: "heath.min_ready", Value: "1"}},
	})
	want := []string{
		`pool.size: "many" is text: write a whole number [` + path + `:2]`,
		`pool.sise: is not a known key: did you mean pool.size? [` + path + `:3]`,
		`http: is a section: write its keys indented below it [` + path + `:8]`,
		`shutdown.timeout: "20" has no unit: write it like 30s or 5m [DROVER_SHUTDOWN_TIMEOUT]`,
		`heath.min_ready: is not a known key: did you mean health.min_ready? [--set]`,
		`pool.id: -1 is below 0: write 0 to 999999 [POOL_ID]`,
		`publish.window: 0 is below 1: write 1 to 1048576 [` + path + `:7]`,
		`log.level: "loud" is not one of its words: write debug, info, warn or error [` + path + `:5]`,
	}
	if diff := cmp.Diff(want, problemTexts(t, err)); diff != "" {
		t.Error(diff)
	}
	if first, _, _ := strings.Cut(err.Error(), "\n"); first != "8 problems in the configuration:" {
		t.Errorf("got first line %q", first)
	}
}

func TestLoad_refuses_a_wrong_file(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown_section", "tracing:\n  url: x\n", "tracing: is not a known key: remove it, or see `drover config print --default` for all keys [F:1]"},
		{"misspelt_section", "pol:\n  size: 3\n", "pol: is not a known key: did you mean pool? [F:1]"},
		{"capital_key", "pool:\n  Size: 3\n", "pool.Size: is not a known key: keys are in lower case, write pool.size [F:2]"},
		{"dotted_key", "pool.size: 3\n", "pool.size: is not a known key: write each part on a line of its own, indented below the one before [F:1]"},
		{"key_in_the_wrong_place", "listen: 127.0.0.1:1\n", "listen: is not a known key: did you mean nats.embedded.listen? [F:1]"},
		{"twice", "pool:\n  size: 3\n  size: 4\n", "pool.size: stands twice: keep one [F:3]"},
		{"float_for_int", "pool: {size: 2.5}", `pool.size: "2.5" is a number: write a whole number [F:1]`},
		{"port_alone", "http: {addr: 9090}", `http.addr: "9090" is a port alone: write ":9090" [F:1]`},
		{"number_for_text", "cluster: {node: 7}", `cluster.node: "7" is a number and not text: put it in quotes [F:1]`},
		{"bool_for_duration", "shutdown: {timeout: true}", `shutdown.timeout: "true" is yes or no: write a duration like 30s or 5m [F:1]`},
		{"number_for_duration", "shutdown: {timeout: 20}", `shutdown.timeout: "20" has no unit: write it like 30s or 5m [F:1]`},
		{"list_for_int", "pool: {size: [1]}", "pool.size: the value is a list: write a whole number [F:1]"},
		{"section_for_int", "pool: {size: {a: 1}}", "pool.size: the value is a section: write a whole number [F:1]"},
		{"list_in_list", "events: {allow: [[A]]}", "events.allow: the value item 1 is not text: write one name per item [F:1]"},
		{"list_at_the_top", "- a\n", "drover.yaml has no keys: write them as key: value [F:1]"},
		{"bad_size", "streams: {events: {max_bytes: 1 barrel}}", `streams.events.max_bytes: "1 barrel" is not a size: write bytes, or a number with a unit like 512MiB [F:1]`},
		{"no_yaml", "pool: [\n", "drover.yaml is not valid YAML: line 1: did not find expected node content [F]"},
		{"two_documents", "pool: {size: 3}\n---\npool: {size: 4}\n", "drover.yaml holds a second document or a broken end: put everything into one document [F]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeFile(t, tt.text)
			_, _, err := Load(Source{File: path})
			want := []string{strings.Replace(tt.want, "[F", "["+path, 1)}
			if diff := cmp.Diff(want, problemTexts(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoad_accepts_what_is_meant(t *testing.T) {
	cfg, _, err := load(t, `
x: &size 7
pool: {size: 7, id: }
nats:
  url: [nats://a:1, "nats://b:2"]
events: {allow: "MESSAGE_CREATE, message_update", deny: []}
discord: {intents: 3, compress: None, api_url: "http://127.0.0.1:8080/api/v10/"}
publish:
streams: {events: {max_bytes: 2GiB, max_age: 1h}}
`[len("\nx: &size 7"):])
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Pool.Size = 7
	want.NATS.URL = "nats://a:1,nats://b:2"
	want.Events.Allow = []string{"MESSAGE_CREATE", "MESSAGE_UPDATE"}
	want.Discord.Intents = []string{"3"}
	want.Discord.Compress = "none"
	want.Discord.APIURL = "http://127.0.0.1:8080/api/v10"
	want.Streams.Events.MaxBytes = 2 << 30
	want.Streams.Events.MaxAge = time.Hour
	want.Cluster.Node = hostName()
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_takes_off_what_was_copied_with_the_token(t *testing.T) {
	for _, text := range []string{"abc.def-1", " abc.def-1\n", "Bot abc.def-1", "bot  abc.def-1", `"abc.def-1"`, `'Bot abc.def-1'`} {
		cfg, _, err := load(t, "", "DISCORD_TOKEN="+text)
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.Discord.Token.Reveal(); got != "abc.def-1" {
			t.Errorf("%q: got %q, want abc.def-1", text, got)
		}
	}
}

func TestLoad_names_an_unusable_file(t *testing.T) {
	dir := t.TempDir()
	_, _, err := Load(Source{File: filepath.Join(dir, "no.yaml")})
	if want := filepath.Join(dir, "no.yaml") + ": there is no such file: check the path"; !slices.Equal(problemTexts(t, err), []string{want}) {
		t.Errorf("got %v, want %s", err, want)
	}
	_, _, err = Load(Source{File: dir})
	if err == nil || !strings.Contains(err.Error(), dir+": is a folder") {
		t.Errorf("got %v, want that it is a folder", err)
	}
	_, _, err = load(t, strings.Repeat("# a long log\n", maxFileSize/10))
	if err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("got %v, want that it is too large", err)
	}
}

func TestLoad_searches_its_folders_in_order(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	src := Source{Dirs: []string{first, second}}
	if err := os.WriteFile(filepath.Join(second, fileName), []byte("pool: {size: 2}"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, report, err := Load(src)
	if err != nil || cfg.Pool.Size != 2 || report.File != filepath.Join(second, fileName) {
		t.Errorf("got size %d from %q, error %v, want 2 from the second folder", cfg.Pool.Size, report.File, err)
	}
	if err := os.WriteFile(filepath.Join(first, fileName), []byte("pool: {size: 1}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if cfg, _, err = Load(src); err != nil || cfg.Pool.Size != 1 {
		t.Errorf("got size %d, error %v, want 1 from the first folder", cfg.Pool.Size, err)
	}
}

func TestLoad_warns_without_stopping(t *testing.T) {
	cfg, report, err := Load(Source{
		Dirs: []string{},
		Env: []string{
			"DROVER_SERVICE_HOST=10.0.0.1", "DROVER_PORT=tcp://10.0.0.1:80", "DROVER_POOL_SISE=3",
			"HTTP_PORT=tcp://10.0.0.2:80", "METRICS_PORT=9100", "OTHER=1",
		},
		Flags: []Flag{{Name: "--set", Key: "discord.token", Value: "s3cret"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"HTTP_PORT is a URL, probably set by Kubernetes for a service of that name, and is ignored: set DROVER_HTTP_ADDR",
		"DROVER_POOL_SISE is not a known variable: did you mean DROVER_POOL_SIZE?",
		"DROVER_PORT, DROVER_SERVICE_HOST are not known variables and are ignored",
		"discord.token holds a secret and stands on the command line, where every user of this host can read it: use DROVER_DISCORD_TOKEN",
	}
	if diff := cmp.Diff(want, report.Warnings); diff != "" {
		t.Error(diff)
	}
	if cfg.HTTP.Addr != ":9100" {
		t.Errorf("got address %q, want :9100", cfg.HTTP.Addr)
	}
}

func TestLoad_never_shows_a_secret(t *testing.T) {
	const secret = "hunter2"
	sources := []Source{
		{File: writeFile(t, "discord: {tokn: hunter2}")},
		{File: writeFile(t, "hunter: {token: hunter2}")},
		{File: writeFile(t, "discord: {token: [hunter2]}")},
		{File: writeFile(t, "discord: {token: 'hunter2 hunter2'}")},
		{File: writeFile(t, "nats: {token: {hunter2: 1}}")},
		{File: writeFile(t, "nats: {url: 'nats://u:hunter2@h:99999'}")},
		{File: writeFile(t, "nats: {url: 'gopher://u:hunter2@h'}")},
		{File: writeFile(t, "nats: {url: 'nats://u:hunter2@@%zz'}")},
		{File: writeFile(t, "nats: {url: 'nats://u:p,hunter2@h:1:1'}")},
		{File: writeFile(t, "nats: {url: 'u:hunter2@'}")},
		{File: writeFile(t, "database: {max_conns: 0, url: 'host=h password=hunter2'}")},
		{File: writeFile(t, "discord: {api_url: 'ftp://u:hunter2@h'}")},
		{File: writeFile(t, "discord: {api_url: 'http://h/?key=hunter2'}")},
		{Dirs: []string{}, Env: []string{"DROVER_NATS_PASSWORD=hunter2", "DROVER_DISCORD_TOKE=hunter2"}},
		{Dirs: []string{}, Flags: []Flag{{Name: "--set", Key: "discord.tokn", Value: secret}}},
	}
	for _, src := range sources {
		cfg, report, err := Load(src)
		if err == nil {
			t.Errorf("%v: got no error", src)
			continue
		}
		for _, shown := range []string{err.Error(), fmt.Sprint(report.Warnings), fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg)} {
			if strings.Contains(shown, secret) {
				t.Errorf("secret in %s", shown)
			}
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(string(Example()), "pool.size", "3")
	f.Add("pool: {size: 3}\nevents: {allow: [A, B]}", "nats.url", "nats://a:b@c")
	f.Add("a: &a [*a]\npool: *a", "health.min_ready", "NaN")
	f.Add("pool: &p\n  size: *p\n<<: *p", "streams.events.max_bytes", "9999999TiB")
	f.Add("? [a]\n: b\n--- !!binary x", "discord.token", "Bot ")
	f.Add("", "nats.url", "\x96")
	f.Add("\xef\xbb\xbfpool:\n\tsize: 1", "pool.id", "")
	f.Fuzz(func(t *testing.T, text, key, value string) {
		var report Report
		var found problems
		values := readYAML(fileName, []byte(text), &found)
		flags := readFlags([]Flag{{Name: "--set", Key: key, Value: value}}, &report, &found)
		cfg, err := merge(map[string]string{}, values, flags)
		if err != nil {
			t.Fatalf("values that were read did not merge: %v", err)
		}
		tidy(&cfg)
		// Whatever passes must survive being written and read again.
		if len(found) > 0 || cfg.Validate() != nil || cfg.NATS.credentials() != nil || cfg.Discord.Token != "" ||
			cfg.Database.URL+cfg.Database.MigrateURL != "" ||
			strings.Contains(string(cfg.Discord.APIURL), "@") {
			return
		}
		var b strings.Builder
		if err := Write(&b, cfg, nil); err != nil {
			t.Fatal(err)
		}
		again, err := merge(map[string]string{}, readYAML(fileName, []byte(b.String()), &found))
		if err != nil || found.err() != nil {
			t.Fatalf("%v %v in\n%s", err, found.err(), b.String())
		}
		tidy(&again)
		if diff := cmp.Diff(cfg, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
