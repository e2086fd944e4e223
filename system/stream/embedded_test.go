package stream

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStartEmbedded_names_the_address_that_is_in_use(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	_, err = StartEmbedded(EmbeddedOptions{Listen: l.Addr().String(), DataDir: dir})
	var listen *ListenError
	if !errors.As(err, &listen) || listen.Addr != l.Addr().String() || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("got %v, want a ListenError of %s", err, l.Addr())
	}
	e, err := StartEmbedded(EmbeddedOptions{Listen: "127.0.0.1:0", DataDir: dir}) // the failure left no lock
	if err != nil {
		t.Fatal(err)
	}
	e.Shutdown()
	e.Shutdown()
}

func TestStartEmbedded_refuses_an_address_that_is_none(t *testing.T) {
	for _, listen := range []string{"", "4222", "127.0.0.1:port", "127.0.0.1:70000"} {
		var wrong *ListenError
		if _, err := StartEmbedded(EmbeddedOptions{Listen: listen, DataDir: t.TempDir()}); !errors.As(err, &wrong) {
			t.Errorf("%q: got %v, want a ListenError", listen, err)
		}
	}
}

func TestStartEmbedded_says_why_the_data_directory_cannot_be_used(t *testing.T) {
	file := writeFile(t, "file", "")
	readonly := filepath.Join(t.TempDir(), "readonly")
	if err := os.Mkdir(readonly, 0o500); err != nil {
		t.Fatal(err)
	}
	used := startEmbeddedIn(t, t.TempDir())
	for _, c := range []struct {
		name, dir, want string
		cause           error
	}{
		{name: "none", dir: "", want: "not given"},
		{name: "below a file", dir: filepath.Join(file, "data"), want: "not a directory"},
		{name: "not writable", dir: readonly, cause: os.ErrPermission},
		{name: "used by another", dir: used, cause: ErrDataDirInUse},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := func() error {
				_, err := StartEmbedded(EmbeddedOptions{Listen: "127.0.0.1:0", DataDir: c.dir})
				return err
			}
			err := error(nil)
			if c.name == "not writable" {
				err = withoutRoot(t, start) // root may write everywhere
			} else {
				err = start()
			}
			var wrong *DataDirError
			if !errors.As(err, &wrong) || wrong.Dir != c.dir || !strings.Contains(err.Error(), c.want) || c.cause != nil && !errors.Is(err, c.cause) {
				t.Fatalf("got %v, want a DataDirError with %q, %v", err, c.want, c.cause)
			}
		})
	}
}

func startEmbeddedIn(t *testing.T, dir string) string {
	t.Helper()
	e, err := StartEmbedded(EmbeddedOptions{Listen: "127.0.0.1:0", DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Shutdown)
	return dir
}

func TestEmbedded_keeps_events_and_the_duplicate_window_over_a_restart(t *testing.T) {
	dir := t.TempDir()
	var url string
	for range 2 { // the second time with the same events: every one is a duplicate
		e, err := StartEmbedded(EmbeddedOptions{Listen: "127.0.0.1:0", DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, Options{Server: e})
		r.flood(2, 1, 50, nil)
		r.drain()
		url = e.ClientURL()
		if err := verdict(stored(t, url, "EVENTS"), 1, 50, 50); err != nil {
			t.Error(err)
		}
		r.Close()
		r.b.Close()
		e.Shutdown()
	}
}

func TestEmbedded_takes_8_MiB(t *testing.T) {
	b := connect(t, Options{Server: startEmbedded(t)})
	if got := b.nc.MaxPayload(); got != 8<<20 {
		t.Fatalf("got %d, want %d", got, 8<<20)
	}
}
