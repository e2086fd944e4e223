package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// watched is a running watcher on a file with text.
func watched(t *testing.T, path string, env ...string) *Watcher {
	t.Helper()
	running, report, err := Load(Source{File: path, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	w := Watch(t.Context(), running, report)
	t.Cleanup(w.Close)
	return w
}

// next waits for a change.
func next(t *testing.T, w *Watcher) Change {
	t.Helper()
	select {
	case c, ok := <-w.Changes():
		if !ok {
			t.Fatal("the watcher stopped")
		}
		return c
	case <-time.After(20 * time.Second):
		t.Fatal("no change within 20 s")
	}
	return Change{}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWatch_applies_live_keys_and_names_the_others(t *testing.T) {
	path := writeFile(t, "log: {level: info}\npool: {size: 5}\n")
	w := watched(t, path)
	write(t, path, "log: {level: debug}\npool: {size: 6}\nevents: {deny: [TYPING_START]}\nbackpressure: {shed: []}\n")
	c := next(t, w)
	if c.Err != nil {
		t.Fatal(c.Err)
	}
	if diff := cmp.Diff([]string{"events.deny", "log.level"}, c.Applied); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"pool.size", "backpressure.shed"}, c.NeedRestart); diff != "" {
		t.Error(diff)
	}
	if c.Config.Log.Level != "debug" || c.Config.Pool.Size != 5 || len(c.Config.Events.Deny) != 1 {
		t.Errorf("got level %s, size %d, deny %v", c.Config.Log.Level, c.Config.Pool.Size, c.Config.Events.Deny)
	}
	if want := "changed events.deny, log.level; needs a restart: pool.size, backpressure.shed"; c.String() != want {
		t.Errorf("got %q, want %q", c, want)
	}
}

func TestWatch_keeps_the_old_configuration_of_an_invalid_file(t *testing.T) {
	path := writeFile(t, "log: {level: warn}\n")
	w := watched(t, path)
	write(t, path, "log: {level: loud}\n")
	c := next(t, w)
	if c.Err == nil || c.Config.Log.Level != "warn" || len(c.Applied) != 0 {
		t.Errorf("got level %s, error %v, want warn and an error", c.Config.Log.Level, c.Err)
	}
	if !strings.Contains(c.String(), path+":1") {
		t.Errorf("got %q, want the line", c)
	}
	write(t, path, "log: {level: error}\n")
	if c = next(t, w); c.Err != nil || c.Config.Log.Level != "error" {
		t.Errorf("got level %s, error %v, want error and none", c.Config.Log.Level, c.Err)
	}
}

func TestWatch_sees_an_editor_that_renames(t *testing.T) {
	path := writeFile(t, "log: {level: warn}\n")
	w := watched(t, path)
	for _, level := range []string{"debug", "error"} { // twice: a watch on the file itself would end
		write(t, path+".new", "log: {level: "+level+"}\n")
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		if c := next(t, w); c.Config.Log.Level != level {
			t.Errorf("got level %s, error %v, want %s", c.Config.Log.Level, c.Err, level)
		}
	}
}

// A ConfigMap volume: drover.yaml → ..data/drover.yaml, ..data → ..1, and an
// update renames a new link over ..data.
func TestWatch_sees_the_swap_of_a_ConfigMap(t *testing.T) {
	dir := t.TempDir()
	version := func(name, text string) {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, fileName), text)
		if err := os.Symlink(name, filepath.Join(dir, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", "log: {level: warn}\n")
	path := filepath.Join(dir, fileName)
	if err := os.Symlink(filepath.Join("..data", fileName), path); err != nil {
		t.Fatal(err)
	}
	w := watched(t, path)
	for i, level := range []string{"debug", "error"} {
		version("..new"+string(rune('a'+i)), "log: {level: "+level+"}\n")
		if c := next(t, w); c.Config.Log.Level != level {
			t.Errorf("got level %s, error %v, want %s", c.Config.Log.Level, c.Err, level)
		}
	}
}

func TestWatch_sees_the_file_behind_a_link(t *testing.T) {
	target := filepath.Join(t.TempDir(), "real.yaml")
	write(t, target, "log: {level: warn}\n")
	path := filepath.Join(t.TempDir(), fileName)
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	w := watched(t, path)
	write(t, target, "log: {level: debug}\n")
	if c := next(t, w); c.Config.Log.Level != "debug" {
		t.Errorf("got level %s, error %v, want debug", c.Config.Log.Level, c.Err)
	}
}

func TestWatch_survives_that_the_file_is_gone(t *testing.T) {
	path := writeFile(t, "log: {level: warn}\n")
	w := watched(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if c := next(t, w); c.Err == nil || c.Config.Log.Level != "warn" {
		t.Errorf("got level %s, error %v, want warn and an error", c.Config.Log.Level, c.Err)
	}
	write(t, path, "log: {level: debug}\n")
	if c := next(t, w); c.Err != nil || c.Config.Log.Level != "debug" {
		t.Errorf("got level %s, error %v, want debug", c.Config.Log.Level, c.Err)
	}
}

func TestWatch_sees_what_changed_before_it_began(t *testing.T) {
	path := writeFile(t, "log: {level: warn}\n")
	running, report, err := Load(Source{File: path})
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "log: {level: debug}\n")
	w := Watch(t.Context(), running, report)
	defer w.Close()
	if c := next(t, w); c.Config.Log.Level != "debug" {
		t.Errorf("got level %s, error %v, want debug", c.Config.Log.Level, c.Err)
	}
}

func TestReload_answers_even_when_nothing_changed(t *testing.T) {
	path := writeFile(t, "log: {level: warn}\n")
	w := watched(t, path, "DROVER_LOG_LEVEL=error")
	w.Reload()
	if c := next(t, w); c.String() != "nothing changed" || c.Config.Log.Level != "error" {
		t.Errorf("got %q with level %s, want nothing changed with error", c, c.Config.Log.Level)
	}
}

func TestReload_without_a_file_finds_a_new_one(t *testing.T) {
	dir := t.TempDir()
	running, report, err := Load(Source{Dirs: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	running.HTTP.Addr = ":0" // what the owner changed after Load is no difference of the file
	w := Watch(t.Context(), running, report)
	defer w.Close()
	write(t, filepath.Join(dir, fileName), "log: {level: debug}\n")
	w.Reload()
	c := next(t, w)
	if c.Config.Log.Level != "debug" || c.Config.HTTP.Addr != ":0" || len(c.NeedRestart) != 0 {
		t.Errorf("got level %s, address %s, restart %v, want debug, :0, none", c.Config.Log.Level, c.Config.HTTP.Addr, c.NeedRestart)
	}
}

func TestClose_ends_the_watcher(t *testing.T) {
	w := watched(t, writeFile(t, ""))
	w.Reload() // a change that nobody takes must not hold Close up
	w.Close()
	w.Close()
	for range w.Changes() {
	}
}
