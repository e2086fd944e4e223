package web

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is one headless Chromium tab, and what it complained about.
type browser struct {
	ctx context.Context

	lock       sync.Mutex
	complaints []string // console errors, exceptions, blocked loads: a violated policy is among them
}

// open starts a Chromium of its own. Without one the test fails: the page is not tested otherwise.
func open(t *testing.T) *browser {
	t.Helper()
	return openFor(t, 90*time.Second)
}

// openFor starts one for a longer test.
func openFor(t *testing.T, most time.Duration) *browser {
	t.Helper()
	path := ""
	for _, p := range []string{"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"} {
		if _, err := os.Stat(p); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Fatal("this test needs Chromium: apt-get install chromium (make test does it)")
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900),
		chromedp.Flag("headless", "new"), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true),
	}
	allocator, free := chromedp.NewExecAllocator(context.Background(), options...)
	tab, end := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(tab) // waits until the process is gone, so that its folder can be removed
		end()
		free()
	})
	if err := chromedp.Do(tab); err != nil { // starts it; a deadline on this first call would later end it
		t.Fatalf("Chromium did not start: %v", err)
	}
	b := &browser{}
	if err := chromedp.Listen(tab, b.listen); err != nil {
		t.Fatal(err)
	}
	var cancel context.CancelFunc
	b.ctx, cancel = context.WithTimeout(tab, most)
	t.Cleanup(cancel)
	return b
}

// listen runs on the goroutine that reads from the browser.
func (b *browser) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complain("exception: " + e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			b.complain(fmt.Sprintf("console: %v", e.Args))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			b.complain("log: " + e.Entry.Text + " " + e.Entry.URL)
		}
	}
}

func (b *browser) complain(text string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if len(b.complaints) < 20 { // what is wrong in each picture comes again with each
		b.complaints = append(b.complaints, text)
	}
}

// do runs actions and fails the test if one fails.
func (b *browser) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		t.Fatalf("browser: %v; it said: %v", err, b.said())
	}
}

func (b *browser) said() []string {
	b.lock.Lock()
	defer b.lock.Unlock()
	return slices.Clone(b.complaints)
}

// until waits for a JavaScript expression to become true; b.ctx bounds the wait. The page is asked at each frame.
func (b *browser) until(t *testing.T, expression string) {
	t.Helper()
	b.within(t, 20*time.Second, expression)
}

// within is until with another bound.
func (b *browser) within(t *testing.T, most time.Duration, expression string) {
	t.Helper()
	wait := `new Promise(ok => { const look = () => (` + expression + `) ? ok(true) : requestAnimationFrame(look); look() })`
	ctx, cancel := context.WithTimeout(b.ctx, most)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](wait, chromedp.EvalAwaitPromise)); err != nil {
		t.Fatalf("never true: %s: %v; it said: %v", expression, err, b.said())
	}
}

// read evaluates a JavaScript expression.
func read[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v; it said: %v", expression, err, b.said())
	}
	return value
}

// command makes an action of a command of the protocol.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, c, params)
		return chromedp.Void{}, err
	}
}

func scheme(name string) chromedp.Action[chromedp.Void] {
	return command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

// shoot writes a picture of the whole page into the test's folder, or into DROVER_SCREENSHOTS if that is set.
func (b *browser) shoot(t *testing.T, name string) {
	t.Helper()
	b.until(t, `document.getAnimations().length === 0`)
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("DROVER_SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	file := filepath.Join(dir, name+".png")
	if err := os.WriteFile(file, picture, 0o644); err != nil {
		t.Fatal(err)
	}
	if len(picture) < 10_000 {
		t.Errorf("%s has %d bytes: an empty page?", name, len(picture))
	}
}
