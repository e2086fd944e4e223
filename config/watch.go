package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// liveKeys may change while a node runs.
var liveKeys = []string{"log.level", "events.allow", "events.deny"}

// settle is how long the file must be left alone before it is read: editors
// and ConfigMap updates touch it several times. Too low: half a file is read.
// Too high: a change is felt late.
const settle = 100 * time.Millisecond

// Change is what a reload found.
type Change struct {
	// Config is what the node shall run with now: the old one with the new
	// values of the live keys.
	Config Config
	// Applied are the live keys that differ from before.
	Applied []string
	// NeedRestart are other keys that differ; they keep their old values.
	NeedRestart []string
	// Warnings are those of Load.
	Warnings []string
	// Err is set when the new configuration is invalid (*Error) or the file
	// cannot be watched. Then Config is the old one and nothing is applied.
	Err error
}

// Watcher reloads the configuration when the file changes or Reload is called.
// Any goroutine may call its methods.
type Watcher struct {
	changes chan Change
	reload  chan struct{}
	cancel  context.CancelFunc
	done    chan struct{}
}

// Watch starts to watch the file that a Load read, for a node that runs with
// running; report is that Load's. It also sees a file that is replaced: editors
// that rename, and the symlink swap of a Kubernetes ConfigMap. Where watching
// is not possible, a first Change with Err says so, and Reload still works.
// Close or the end of ctx stops it.
func Watch(ctx context.Context, running Config, report Report) *Watcher {
	ctx, cancel := context.WithCancel(ctx)
	w := &Watcher{
		changes: make(chan Change),
		reload:  make(chan struct{}, 1),
		cancel:  cancel,
		done:    make(chan struct{}),
	}
	// A file that is gone for a moment must not read as "no file, all defaults".
	report.src.File = report.File
	r := &reloader{
		src: report.src, path: report.File, content: report.content,
		loaded: report.loaded, running: running,
	}
	files, err := fsnotify.NewWatcher()
	if err == nil {
		err = watchDirs(files, r.path)
	}
	// run ends with ctx, which Close ends; Close waits on done.
	go func() {
		defer close(w.done)
		defer close(w.changes)
		w.run(ctx, r, files, err)
	}()
	return w
}

// Changes delivers every reload that found something, and each one that Reload
// asked for. It is closed when the watcher stops. Whoever does not read holds
// up later reloads and nothing else.
func (w *Watcher) Changes() <-chan Change { return w.changes }

// Reload reads the configuration again, as SIGHUP asks for. It does not block.
func (w *Watcher) Reload() {
	select {
	case w.reload <- struct{}{}:
	default: // one is waiting already and will see the same file
	}
}

// Close stops the watcher and waits for its goroutine. It may be called twice.
func (w *Watcher) Close() {
	w.cancel()
	<-w.done
}

func (w *Watcher) run(ctx context.Context, r *reloader, files *fsnotify.Watcher, watchErr error) {
	var events <-chan fsnotify.Event
	var errs <-chan error
	if files != nil {
		defer func() { _ = files.Close() }()
		events, errs = files.Events, files.Errors
	}
	if watchErr != nil && !w.send(ctx, Change{Config: r.running, Err: fmt.Errorf("config: watch: %w", watchErr)}) {
		return
	}
	// The file may have changed since Load, before it was watched.
	quiet := time.NewTimer(settle)
	defer quiet.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case event := <-events:
			if r.concerns(event.Name) {
				quiet.Reset(settle)
			}
			continue
		case <-errs: // events were dropped: look at the file once more
			quiet.Reset(settle)
			continue
		case <-quiet.C:
		case <-w.reload:
			asked = true
		}
		if change, ok := r.look(asked); ok && !w.send(ctx, change) {
			return
		}
		if files != nil {
			// A symlink may lead elsewhere by now. A failure leaves the folders
			// that are watched already, and Reload.
			_ = watchDirs(files, r.path)
		}
	}
}

func (w *Watcher) send(ctx context.Context, c Change) bool {
	select {
	case w.changes <- c:
		return true
	case <-ctx.Done():
		return false
	}
}

// watchDirs watches the folder of the file and, behind symlinks, the folder of
// what it really is. Folders, since a watch on a file ends when it is replaced.
func watchDirs(files *fsnotify.Watcher, path string) error {
	if path == "" {
		return nil
	}
	dirs := []string{filepath.Dir(path)}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		dirs = append(dirs, filepath.Dir(target))
	}
	var errs []error
	for _, dir := range slices.Compact(dirs) {
		if err := files.Add(dir); err != nil {
			errs = append(errs, fmt.Errorf("folder %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// reloader remembers what the node runs with and what the file held. Only the
// watcher's goroutine uses it.
type reloader struct {
	src     Source
	path    string
	content []byte // of the file when it was last read
	failed  string // why it could not be read at the last look; empty: it could
	loaded  Config // what Load gave at the start, with the live keys of now
	running Config // what the node runs with: its owner may have changed loaded
}

// concerns reports whether an event in a watched folder may change what path
// leads to. Folders are shared: logs and stores beside the file do not matter.
func (r *reloader) concerns(name string) bool {
	name = filepath.Base(name)
	if name == filepath.Base(r.path) || strings.HasPrefix(name, "..") { // ..data of a ConfigMap
		return true
	}
	target, err := filepath.EvalSymlinks(r.path)
	return err == nil && name == filepath.Base(target)
}

// look reads the file again. It reports false when there is nothing to tell:
// nobody asked, and the file is what it was.
func (r *reloader) look(asked bool) (Change, bool) {
	next, report, err := Load(r.src)
	r.path, r.src.File = report.File, report.File
	if report.unread != r.failed {
		r.failed = report.unread
		asked = true
	}
	if !asked && (r.failed != "" || bytes.Equal(report.content, r.content)) {
		return Change{}, false
	}
	r.content = report.content
	c := Change{Config: r.running, Warnings: report.Warnings, Err: err}
	if err != nil {
		return c, true
	}
	for _, f := range allFields {
		value := f.value(next)
		if reflect.DeepEqual(f.value(r.loaded), value) {
			continue
		}
		if !slices.Contains(liveKeys, f.key) {
			c.NeedRestart = append(c.NeedRestart, f.key)
			continue
		}
		c.Applied = append(c.Applied, f.key)
		for _, cfg := range []*Config{&r.loaded, &r.running} {
			reflect.ValueOf(cfg).Elem().FieldByIndex(f.index).Set(reflect.ValueOf(value))
		}
	}
	c.Config = r.running
	return c, true
}

// String is one line for a log.
func (c Change) String() string {
	switch {
	case c.Err != nil:
		return "not changed: " + c.Err.Error()
	case len(c.Applied) == 0 && len(c.NeedRestart) == 0:
		return "nothing changed"
	}
	var parts []string
	if len(c.Applied) > 0 {
		parts = append(parts, "changed "+strings.Join(c.Applied, ", "))
	}
	if len(c.NeedRestart) > 0 {
		parts = append(parts, "needs a restart: "+strings.Join(c.NeedRestart, ", "))
	}
	return strings.Join(parts, "; ")
}
