package config

import (
	_ "embed"
	"fmt"
	"io"
	"strconv"
	"strings"
)

//go:embed drover.yaml
var example []byte

// Example is the annotated file with every key at its default, as it stands in
// the repository.
func Example() []byte { return example }

// Write prints c as a file would hold it, secrets masked. A value that is not
// a default gets a comment that says where it comes from. What Write returns
// is w's error.
func Write(w io.Writer, c Config, origin map[string]string) error {
	var b strings.Builder
	var open []string // sections written so far, from the outside in
	for _, f := range allFields {
		path := strings.Split(f.key, ".")
		sections, name := path[:len(path)-1], path[len(path)-1]
		for i, section := range sections {
			if i < len(open) && open[i] == section {
				continue
			}
			open = append(open[:min(i, len(open))], section)
			fmt.Fprintf(&b, "%s%s:\n", indent(i), section)
		}
		open = open[:len(sections)]
		fmt.Fprintf(&b, "%s%s:%s", indent(len(sections)), name, yamlText(f, c))
		if from := origin[f.key]; from != "" {
			b.WriteString("  # " + from)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func indent(depth int) string { return strings.Repeat("  ", depth) }

// yamlText is a value with the blank before it, or nothing for null.
func yamlText(f field, c Config) string {
	switch v := f.value(c).(type) {
	case []string:
		return " [" + strings.Join(v, ", ") + "]"
	case string, Secret, URL:
		return " " + strconv.Quote(formatValue(v))
	default:
		if text := formatValue(v); text != "" {
			return " " + text
		}
		return ""
	}
}
