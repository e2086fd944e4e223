package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bytes is a size in bytes. In a file or a variable it is a number of bytes or
// a number with a unit: 512MiB, 2GB.
type Bytes int64

// String is the size in the largest unit that divides it.
func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && u.size > 1 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// byteUnits: for one exponent the binary unit stands before the decimal one.
var byteUnits = []struct {
	name string
	size Bytes
}{
	{"TiB", 1 << 40},
	{"TB", 1e12},
	{"GiB", 1 << 30},
	{"GB", 1e9},
	{"MiB", 1 << 20},
	{"MB", 1e6},
	{"KiB", 1 << 10},
	{"KB", 1e3},
	{"B", 1},
}

// fromText reads a value of f's type out of a variable or a flag. Its error is
// "why: remedy" and does not repeat the text.
func (f field) fromText(text string) (any, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("is not UTF-8: write it again, without special characters")
	}
	trimmed := strings.TrimSpace(text)
	switch f.typ {
	case secretType:
		// A mounted secret often ends in a newline; inner blanks may be meant.
		return Secret(strings.TrimRight(text, "\r\n")), nil
	case urlType:
		return URL(trimmed), nil
	case stringType:
		return trimmed, nil
	case listType:
		return splitList(text), nil
	case optIntType:
		if trimmed == "" {
			return (*int)(nil), nil
		}
		n, err := parseInt(trimmed)
		return &n, err
	case intType:
		return parseInt(trimmed)
	case floatType:
		x, err := strconv.ParseFloat(trimmed, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, errors.New("is not a number: write it like 0.9")
		}
		return x, nil
	case durationType:
		return parseDuration(trimmed)
	case bytesType:
		return parseBytes(trimmed)
	case reserveType:
		return Reserve(trimmed), nil
	default:
		panic("config: key " + f.key + " has a type without a reader")
	}
}

// fromYAML reads a value of f's type out of a file. A null is (nil, nil): the
// key stays as it was.
func (f field) fromYAML(n *yaml.Node) (any, error) {
	if n.Kind == yaml.SequenceNode {
		return f.fromSequence(n)
	}
	if n.Kind != yaml.ScalarNode {
		return nil, fmt.Errorf("is a section: write %s", f.want())
	}
	tag := n.ShortTag()
	if tag == "!!null" {
		return nil, nil
	}
	ok := true
	switch f.typ {
	case stringType, secretType, urlType:
		if tag == "!!int" && f.key == "http.addr" {
			return nil, fmt.Errorf("is a port alone: write \":%s\"", n.Value)
		}
		if tag != "!!str" {
			return nil, fmt.Errorf("is %s and not text: put it in quotes", tagName(tag))
		}
	case intType, optIntType:
		ok = tag == "!!int"
	case floatType:
		ok = tag == "!!int" || tag == "!!float"
	case durationType:
		ok = tag == "!!str" || tag == "!!int"
	case bytesType, listType, reserveType:
		ok = tag == "!!str" || tag == "!!int"
	}
	if !ok {
		return nil, fmt.Errorf("is %s: write %s", tagName(tag), f.want())
	}
	return f.fromText(n.Value)
}

// fromSequence reads a YAML list, which only lists and URLs may be.
func (f field) fromSequence(n *yaml.Node) (any, error) {
	if f.typ != listType && f.typ != urlType {
		return nil, fmt.Errorf("is a list: write %s", f.want())
	}
	items := []string{}
	for i, item := range n.Content {
		item = resolve(item)
		if item.Kind != yaml.ScalarNode || item.ShortTag() == "!!null" {
			return nil, fmt.Errorf("item %d is not text: write one name per item", i+1)
		}
		items = append(items, strings.TrimSpace(item.Value))
	}
	if f.typ == urlType {
		return URL(strings.Join(items, ",")), nil
	}
	return items, nil
}

// want describes a right value, for the remedy of an error.
func (f field) want() string {
	switch f.typ {
	case intType, optIntType:
		return "a whole number"
	case floatType:
		return "a number like 0.9"
	case durationType:
		return "a duration like 30s or 5m"
	case bytesType:
		return "a size like 512MiB"
	case reserveType:
		return "auto, a share like 10% or a number like 50"
	case listType:
		return "a list of names"
	default:
		return "one text"
	}
}

func parseInt(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if errors.Is(err, strconv.ErrRange) {
		return 0, errors.New("is out of range: write a smaller number")
	}
	if err != nil {
		return 0, errors.New("is not a whole number: write digits only")
	}
	return n, nil
}

func parseDuration(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil && text != "0" {
		return 0, errors.New("has no unit: write it like 30s or 5m")
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New("is not a duration: write it like 30s or 5m")
	}
	return d, nil
}

func parseBytes(text string) (Bytes, error) {
	wrong := errors.New("is not a size: write bytes, or a number with a unit like 512MiB")
	digits, size := text, Bytes(1)
	for _, u := range byteUnits {
		if n := len(text) - len(u.name); n > 0 && strings.EqualFold(text[n:], u.name) {
			digits, size = strings.TrimSpace(text[:n]), u.size
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, wrong
	}
	if n > math.MaxInt64/int64(size) || n < math.MinInt64/int64(size) {
		return 0, errors.New("is out of range: write a smaller size")
	}
	return Bytes(n) * size, nil
}

// splitList reads a comma list; "" is an empty list.
func splitList(text string) []string {
	items := []string{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// quote shows a wrong value in an error, short enough for one line.
func quote(text string) string {
	if len(text) > 80 {
		text = strings.ToValidUTF8(text[:80], "") + "…"
	}
	return strconv.Quote(text)
}

// formatValue writes a value as a file would hold it; secrets are masked.
func formatValue(v any) string {
	switch v := v.(type) {
	case *int:
		if v == nil {
			return ""
		}
		return strconv.Itoa(*v)
	case []string:
		return strings.Join(v, ",")
	case time.Duration:
		return formatDuration(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// formatDuration is Duration.String without its zero rest: 5m, not 5m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func tagName(tag string) string {
	switch tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "yes or no"
	case "!!timestamp":
		return "a date"
	case "!!str":
		return "text"
	default:
		return "of the type " + tag
	}
}
