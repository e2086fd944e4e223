package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// completions are the files by the names under which each shell looks for them.
var completions = map[string]string{"bash": "completions/drover.bash", "zsh": "completions/_drover", "fish": "completions/drover.fish"}

// documents are the completions and man pages, from what the program says of itself: so drover need not carry a generator, and what is
// published can be no other than what it answers.
func documents(ctx context.Context, src source, program string) ([]entry, error) {
	var entries []entry
	for shell, name := range completions {
		text, err := ask(ctx, program, "completion", shell)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name, 0o644, text})
	}
	commands, err := commandTree(ctx, program)
	if err != nil {
		return nil, err
	}
	for _, c := range commands {
		page := manPage(c, commands, src.version, src.time)
		entries = append(entries, entry{"man/man1/" + c.page() + ".1", 0o644, page})
	}
	return entries, nil
}

// commandTree is the program and its commands, each followed by those below it. It leaves "help" out, which only shows the others.
func commandTree(ctx context.Context, program string) ([]command, error) {
	var commands []command
	var visit func(words []string, short string) error
	visit = func(words []string, short string) error {
		text, err := ask(ctx, program, append(words[1:len(words):len(words)], "--help")...)
		if err != nil {
			return err
		}
		c, err := parseHelp(words, short, string(text))
		if err != nil {
			return err
		}
		commands = append(commands, c)
		for _, sub := range c.commands {
			if sub.term == "help" {
				continue
			}
			if err := visit(append(words[:len(words):len(words)], sub.term), sub.text); err != nil {
				return err
			}
		}
		return nil
	}
	return commands, visit([]string{"drover"}, "")
}

// ask runs the program where it finds nothing that could show in its answer.
func ask(ctx context.Context, program string, args ...string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "drover-ask-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if program, err = filepath.Abs(program); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, []string{"HOME=/nonexistent"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("drover %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
