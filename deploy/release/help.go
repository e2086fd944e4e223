package main

import (
	"fmt"
	"regexp"
	"strings"
)

// command is what `--help` says of one.
type command struct {
	words       []string // drover shards move
	short       string   // what the command above says of it
	description string
	usage       []string
	examples    []string
	commands    []item
	flags       []item
	inherited   []item // flags of the command above
}

// item is a line of a list in a help text.
type item struct{ term, text string }

// page is the name of the man page.
func (c command) page() string { return strings.Join(c.words, "-") }

var (
	// A long name reaches past the column: then one space is all that follows.
	commandLine = regexp.MustCompile(`^  (\S+) +(\S.*)$`)
	flagLine    = regexp.MustCompile(`^ {2,6}((?:-\w, )?--\S+(?: \S+)?)(?:  +(\S.*))?$`)
)

// parseHelp reads a help text as cobra writes it. A heading that it does not know is an error, so that nothing is left out silently.
func parseHelp(words []string, short, text string) (command, error) {
	c := command{words: words, short: short}
	where := "" // the heading that we are below
	var before []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \r\n")
		switch heading := strings.TrimSuffix(line, ":"); {
		case line != heading && (heading == "Usage" || where != "" && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t")):
			where = heading
			if !known[heading] {
				return command{}, fmt.Errorf("%s --help has the heading %q, which no man page has a place for: teach parseHelp", strings.Join(words, " "), line)
			}
			continue
		case where != "" && strings.HasPrefix(line, `Use "`):
			continue
		}
		if where != "Examples" && where != "" && line == "" {
			continue
		}
		var match []string
		switch where {
		case "":
			before = append(before, line)
			continue
		case "Usage":
			c.usage = append(c.usage, strings.TrimSpace(line))
			continue
		case "Examples":
			c.examples = append(c.examples, strings.TrimPrefix(line, "  "))
			continue
		case "Available Commands":
			if match = commandLine.FindStringSubmatch(line); match != nil {
				c.commands = append(c.commands, item{match[1], match[2]})
			}
		case "Flags":
			if match = flagLine.FindStringSubmatch(line); match != nil {
				c.flags = append(c.flags, item{match[1], match[2]})
			}
		case "Global Flags":
			if match = flagLine.FindStringSubmatch(line); match != nil {
				c.inherited = append(c.inherited, item{match[1], match[2]})
			}
		}
		if match == nil {
			return command{}, fmt.Errorf("%s --help: below %q parseHelp does not understand the line %q", strings.Join(words, " "), where, line)
		}
	}
	c.description = strings.TrimSpace(strings.Join(before, "\n"))
	c.examples = strings.Split(strings.TrimSpace(strings.Join(c.examples, "\n")), "\n")
	if c.examples[0] == "" {
		c.examples = nil
	}
	if c.description == "" || len(c.usage) == 0 {
		return command{}, fmt.Errorf("%s --help says no description or no usage", strings.Join(words, " "))
	}
	if c.short == "" { // nobody is above the program itself
		first, _, _ := strings.Cut(strings.ReplaceAll(c.description, "\n", " "), ". ")
		c.short = strings.TrimSuffix(strings.TrimPrefix(first, words[0]+" "), ".")
	}
	return c, nil
}

var known = map[string]bool{"Usage": true, "Examples": true, "Available Commands": true, "Flags": true, "Global Flags": true}
