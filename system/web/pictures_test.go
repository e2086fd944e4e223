package web

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"drover/messages"
	"drover/system/gatewaysim"
)

var rewrite = flag.Bool("rewrite", false, "take the pictures in docs/images anew, of running nodes with a simulated Discord; takes a quarter of an hour")

// pictures are where the pictures of the documentation are, and which there are, each in both themes.
const pictures = "../../docs/images"

var pictureNames = []string{"grid", "shard", "cluster"}

// maxPicture keeps a clone of the repository small.
const maxPicture = 200_000

func TestPictures_are_there_and_small(t *testing.T) {
	if *rewrite {
		takePictures(t)
	}
	for _, name := range pictureNames {
		for _, theme := range []string{"light", "dark"} {
			file := filepath.Join(pictures, name+"-"+theme+".png")
			data, err := os.ReadFile(file)
			if err != nil {
				t.Errorf("%v: take it with go test ./system/web -run Pictures -rewrite -timeout 30m", err)
				continue
			}
			if len(data) > maxPicture {
				t.Errorf("%s has %d bytes, want at most %d", file, len(data), maxPicture)
			}
			if c, err := png.DecodeConfig(bytes.NewReader(data)); err != nil || c.Width < 1000 {
				t.Errorf("%s: got %v, %v, want a picture of a whole window", file, c, err)
			}
		}
	}
}

// takePictures runs what the pictures show: a node with 1,000 shards whose connections break now and then, and three nodes that
// share 120.
func takePictures(t *testing.T) {
	t.Run("many", func(t *testing.T) {
		sim := simulate(t, gatewaysim.Options{Shards: 1000, Rate: 1200, MaxConcurrency: 1000, Heartbeat: 20 * time.Second, Seed: 7})
		url := StartHerd(t, sim, 1000, "herder-1")[0]
		b := openFor(t, 25*time.Minute)
		b.do(t, chromedp.EmulateViewport(1320, 1020), scheme("light"), chromedp.Navigate(url+"/"))
		b.within(t, 3*time.Minute, `document.querySelectorAll("#pools .sq.ready").length === 1000`)
		at := gatewaysim.One(17)
		story := map[int]func(){ // what shard 17 goes through, by tens of seconds
			8: func() { sim.CloseAll(at, 4000, "") }, 21: func() { sim.Drop(at) }, 33: func() { sim.Reconnect(at) }, 45: func() { sim.CloseAll(at, 4009, "") },
			52: func() { sim.CloseAll(at, 4008, "") }, 70: func() { sim.CloseAll(at, 4000, "") },
		}
		for i := range 86 { // a chart's width
			sim.SetRate(1100 + 350*math.Sin(float64(i)/9) + 140*math.Sin(float64(i)/2.3))
			if does := story[i]; does != nil {
				does()
			}
			wait(t, 10*time.Second)
		}
		b.do(t, chromedp.Navigate(url+"/shards/17"), chromedp.EmulateViewport(1320, 1400))
		b.until(t, `document.querySelectorAll("#chart-rate .line").length > 0`)
		b.both(t, "shard")
		b.do(t, chromedp.Navigate(url+"/"), chromedp.EmulateViewport(1320, 1456)) // what follows is the memory of this test
		b.until(t, `document.getElementById("link").textContent === "Live"`)
		identifyAnew(t, sim, url, 88, 405, 871)
		b.until(t, `document.querySelectorAll("#pools .sq:not(.ready)").length >= 3`)
		b.both(t, "grid")
	})
	t.Run("nodes", func(t *testing.T) {
		sim := simulate(t, gatewaysim.Options{Shards: 120, Rate: 600, MaxConcurrency: 120, Heartbeat: 20 * time.Second, Seed: 7})
		urls := StartHerd(t, sim, 120, "ash", "birch", "cedar")
		b := openFor(t, 5*time.Minute)
		b.do(t, chromedp.EmulateViewport(1320, 1180), scheme("light"), chromedp.Navigate(urls[0]+"/?scope=cluster&show=rate"))
		b.within(t, 2*time.Minute, `document.querySelectorAll("#pools .sq.ready").length === 120 && document.querySelectorAll("#nodes tbody .good").length === 3`)
		wait(t, 30*time.Second)
		identifyAnew(t, sim, urls[0], 31)
		b.until(t, `document.querySelectorAll("#pools .sq:not(.ready)").length >= 1`)
		b.both(t, "cluster")
	})
}

// identifyAnew ends the sessions of shards twice: the second IDENTIFY has to wait for its five seconds, in which the shards can be
// seen without a session.
func identifyAnew(t *testing.T, sim *gatewaysim.Server, url string, shards ...int) {
	t.Helper()
	sessions := func(id int) int {
		var d messages.ShardDetail
		_, _, body := get(t, fmt.Sprintf("%s/api/v1/shards/%d", url, id))
		if err := json.Unmarshal([]byte(body), &d); err != nil {
			t.Fatal(err)
		}
		return d.History.Sessions
	}
	for _, id := range shards {
		before := sessions(id)
		sim.CloseAll(gatewaysim.One(id), 4009, "")
		for range 100 {
			if sessions(id) > before {
				break
			}
			wait(t, 100*time.Millisecond)
		}
		sim.CloseAll(gatewaysim.One(id), 4009, "")
	}
}

// wait lets the nodes run; charts need their time.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// both takes the window in both themes.
func (b *browser) both(t *testing.T, name string) {
	t.Helper()
	for _, theme := range []string{"dark", "light"} {
		b.do(t, scheme(theme))
		b.until(t, `matchMedia("(prefers-color-scheme: `+theme+`)").matches && document.getAnimations().length === 0`)
		picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		picture = smaller(t, picture)
		if err := os.WriteFile(filepath.Join(pictures, name+"-"+theme+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s-%s.png: %d bytes", name, theme, len(picture))
	}
}

// smaller has the picture do with 256 colours, as many as a byte tells apart: its most frequent ones, but none that is hard to tell from
// one before it. The page has few colours of its own; most are shades at the edges of its letters.
func smaller(t *testing.T, picture []byte) []byte {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	box := img.Bounds()
	counts := map[color.Color]int{}
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			counts[img.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	var palette color.Palette
	for _, c := range colours {
		if len(palette) < 256 && (len(palette) == 0 || apart(c, palette[palette.Index(c)]) > 10) {
			palette = append(palette, c)
		}
	}
	few := image.NewPaletted(box, palette)
	draw.Draw(few, box, img, box.Min, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// apart is how much two colours differ, in steps of a byte.
func apart(a, b color.Color) (n int) {
	differ := func(x, y uint32) int { return max(int(x>>8)-int(y>>8), int(y>>8)-int(x>>8)) }
	r, g, bl, _ := a.RGBA()
	r2, g2, b2, _ := b.RGBA()
	return differ(r, r2) + differ(g, g2) + differ(bl, b2)
}
