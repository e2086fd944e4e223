package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// manPage writes a page of section 1, in the few macros that groff's man and mandoc both have. all are for the references.
func manPage(c command, all []command, version string, at time.Time) []byte {
	var p bytes.Buffer
	fmt.Fprintf(&p, ".TH %s 1 %s \"drover %s\" \"drover\"\n", quote(strings.ToUpper(c.page())), at.Format(time.DateOnly), version)
	fmt.Fprintf(&p, ".SH NAME\n%s \\- %s\n", roff(c.page()), roff(c.short))
	p.WriteString(".SH SYNOPSIS\n")
	for i, line := range c.usage {
		if i > 0 {
			p.WriteString(".br\n")
		}
		rest := strings.TrimPrefix(line, strings.Join(c.words, " "))
		fmt.Fprintf(&p, "\\fB%s\\fR%s\n", roff(strings.Join(c.words, " ")), roff(rest))
	}
	p.WriteString(".SH DESCRIPTION\n")
	paragraphs(&p, c.description)
	if len(c.commands) > 0 {
		p.WriteString(".SH COMMANDS\n")
		for _, sub := range c.commands {
			if sub.term != "help" {
				fmt.Fprintf(&p, ".TP\n\\fB%s\\fR(1)\n%s\n", roff(c.page()+"-"+sub.term), start(roff(sub.text)))
			}
		}
	}
	options(&p, "OPTIONS", c.flags)
	options(&p, "OPTIONS OF ALL COMMANDS BESIDE IT", c.inherited)
	if len(c.examples) > 0 {
		p.WriteString(".SH EXAMPLES\n")
		verbatim(&p, c.examples)
	}
	var refs []string
	for _, other := range all {
		n := min(len(c.words), len(other.words))
		if len(other.words)-len(c.words) == -1 && slices.Equal(other.words[:n], c.words[:n]) {
			refs = append(refs, other.page()) // the one above
		}
	}
	if len(c.words) == 2 {
		for _, other := range all {
			if len(other.words) == 2 && other.page() != c.page() {
				refs = append(refs, other.page())
			}
		}
	}
	if len(refs) > 0 {
		p.WriteString(".SH SEE ALSO\n")
		for i, r := range refs {
			fmt.Fprintf(&p, ".BR %s (1)%s\n", roff(r), map[bool]string{true: ",", false: ""}[i < len(refs)-1])
		}
	}
	return p.Bytes()
}

func options(p *bytes.Buffer, heading string, flags []item) {
	if len(flags) == 0 {
		return
	}
	fmt.Fprintf(p, ".SH %s\n", quote(heading))
	for _, f := range flags {
		fmt.Fprintf(p, ".TP\n\\fB%s\\fR\n%s\n", roff(f.term), start(roff(f.text)))
	}
}

// paragraphs are divided by empty lines. What is indented keeps its lines; the #### of cobra's own texts are headings.
func paragraphs(p *bytes.Buffer, text string) {
	first := true
	for block := range strings.SplitSeq(text, "\n\n") {
		lines := strings.Split(strings.Trim(block, "\n"), "\n")
		indented := strings.HasPrefix(lines[0], " ") || strings.HasPrefix(lines[0], "\t")
		switch heading, isHeading := strings.CutPrefix(lines[0], "#### "); {
		case isHeading:
			fmt.Fprintf(p, ".SS %s\n", quote(strings.TrimSuffix(heading, ":")))
			first = true
			continue
		case !first:
			p.WriteString(".PP\n")
		}
		first = false
		if indented {
			verbatim(p, lines)
			continue
		}
		for _, line := range lines {
			p.WriteString(start(roff(line)) + "\n")
		}
	}
}

// verbatim is indented, and keeps its lines. Spaces before them all are none of theirs.
func verbatim(p *bytes.Buffer, lines []string) {
	p.WriteString(".RS 4\n.nf\n")
	for _, line := range lines {
		line = strings.TrimPrefix(strings.TrimPrefix(line, "\t"), "  ")
		p.WriteString(start(roff(line)) + "\n")
	}
	p.WriteString(".fi\n.RE\n")
}

// roff writes text so that it comes out as it is: a hyphen that can be copied into a shell, quotes that are no typography, and characters
// beyond ASCII by number, for formatters that take the file for Latin-1.
func roff(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '"':
			b.WriteString(`\(dq`)
		case r == '`':
			b.WriteString(`\(ga`)
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r == '\t':
			b.WriteString("    ")
		case r < 0x80:
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	return b.String()
}

// quote is an argument of a macro.
func quote(text string) string { return `"` + roff(text) + `"` }

// start guards a line that would else be a request.
func start(line string) string {
	if strings.HasPrefix(line, ".") {
		return `\&` + line
	}
	return line
}
