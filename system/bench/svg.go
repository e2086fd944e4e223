package bench

import (
	"fmt"
	"html"
	"strings"
)

// canvas is an SVG picture on a ground of its own, so that it can be read on a light and on a dark page. Colours follow
// what the reader's system prefers.
type canvas struct{ b strings.Builder }

const svgStyle = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .ground { fill: #ffffff; stroke: #d1d9e0 }
  .title { font-size: 16px; font-weight: 600 }
  .caption { font-size: 11px; fill: #59636e }
  .number { font-variant-numeric: tabular-nums }
  .grid { stroke: #d1d9e0 } .whisker { stroke: #1f2328; stroke-width: 1.5 }
  .raw { fill: #8c959f } .ours { fill: #0969da; stroke: #0969da } .other { fill: #bc4c00; stroke: #bc4c00 }
  .ours-text { fill: #0969da } .other-text { fill: #bc4c00 }
  polyline { fill: none !important; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .ground { fill: #0d1117; stroke: #3d444d }
    .caption { fill: #9198a1 }
    .grid { stroke: #3d444d } .whisker { stroke: #e6edf3 }
    .raw { fill: #7d8590 } .ours { fill: #4493f8; stroke: #4493f8 } .other { fill: #f0883e; stroke: #f0883e }
    .ours-text { fill: #4493f8 } .other-text { fill: #f0883e }
  }
`

func newCanvas(width, height float64, title, caption string) *canvas {
	c := &canvas{}
	fmt.Fprintf(&c.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %g %g" role="img" aria-label="%s">`+"\n<style>%s</style>\n",
		width, height, width, height, html.EscapeString(title), svgStyle)
	fmt.Fprintf(&c.b, `<rect class="ground" x="0.5" y="0.5" width="%g" height="%g" rx="6"/>`+"\n", width-1, height-1)
	c.text(20, 28, "start", "title", title)
	c.text(20, 46, "start", "caption", caption)
	return c
}

// text writes at a place; anchor is start, middle or end.
func (c *canvas) text(x, y float64, anchor, class, s string) {
	fmt.Fprintf(&c.b, `<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`+"\n", x, y, anchor, class, html.EscapeString(s))
}

func (c *canvas) rect(x, y, width, height float64, class string) {
	fmt.Fprintf(&c.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="%s"/>`+"\n", x, y, width, height, class)
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&c.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

// whisker is a horizontal line with ends.
func (c *canvas) whisker(x1, y1, x2, y2 float64) {
	c.line(x1, y1, x2, y2, "whisker")
	c.line(x1, y1-4, x1, y1+4, "whisker")
	c.line(x2, y2-4, x2, y2+4, "whisker")
}

func (c *canvas) dot(x, y float64, class string) {
	fmt.Fprintf(&c.b, `<circle cx="%.1f" cy="%.1f" r="4" class="%s"/>`+"\n", x, y, class)
}

func (c *canvas) path(points, class string) {
	fmt.Fprintf(&c.b, `<polyline points="%s" class="%s"/>`+"\n", points, class)
}

// String is the whole picture.
func (c *canvas) String() string { return c.b.String() + "</svg>\n" }
