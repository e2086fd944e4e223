package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// lint wants no fault in compose.yaml, and one in each broken copy.
func lint(ctx context.Context, o options) error {
	f, err := o.files()
	if err != nil {
		return err
	}
	project, faults := judge(ctx, o, f)
	if len(faults) > 0 {
		return fmt.Errorf("%s:\n  %s", o.composeFile(), strings.Join(faults, "\n  "))
	}
	fmt.Printf("compose.yaml: %d services without fault by %d rules\n", len(project.Services), len(rules))
	for _, b := range breaks {
		spoilt := f
		text := &spoilt.compose
		if b.inBot {
			text = &spoilt.bot
		}
		if !strings.Contains(*text, b.old) {
			return fmt.Errorf("breaks: %s: %q stands there no more", b.name, b.old)
		}
		*text = strings.Replace(*text, b.old, b.new, 1)
		_, faults := judge(ctx, o, spoilt)
		found := ""
		for _, f := range faults {
			if found == "" && strings.Contains(f, b.want) {
				found = f
			}
		}
		if found == "" {
			return fmt.Errorf("%s is not refused with %q; found: %q", b.name, b.want, faults)
		}
		fmt.Printf("refused, as it must be: %s: %s\n", b.name, found)
	}
	fmt.Printf("result: parsed by the compose library, %d services hold %d rules against the real keys, ports and files; %d broken copies refused\n",
		len(project.Services), len(rules), len(breaks))
	return nil
}

// files are the texts of compose.yaml, and of bot.yaml that is laid over it.
type files struct{ compose, bot string }

func (o options) files() (f files, err error) {
	compose, err := os.ReadFile(o.composeFile())
	if err != nil {
		return f, err
	}
	bot, err := os.ReadFile(filepath.Join(filepath.Dir(o.composeFile()), "bot.yaml"))
	return files{string(compose), string(bot)}, err
}

// judge returns what is wrong with the files.
func judge(ctx context.Context, o options, f files) (*types.Project, []string) {
	project, err := load(ctx, o, nil, f.compose)
	if err != nil {
		return nil, []string{"load: " + strings.ReplaceAll(err.Error(), "\n", " ")}
	}
	c := &checking{o: o, text: f.compose, p: project}
	if c.bot, err = load(ctx, o, types.Mapping{"DISCORD_TOKEN": botToken}, f.compose, f.bot); err != nil {
		return project, []string{"load: bot.yaml: " + strings.ReplaceAll(err.Error(), "\n", " ")}
	}
	_, c.tokenless = load(ctx, o, nil, f.compose, f.bot)
	for _, r := range rules {
		c.rule = r.name
		r.check(c)
	}
	return project, c.faults
}

// checking is a compose file under judgement.
type checking struct {
	o         options
	text      string
	p         *types.Project
	bot       *types.Project // with bot.yaml over it, for a bot with botToken
	tokenless error          // what the library says when there is no token for it
	rule      string
	faults    []string
}

func (c *checking) fault(format string, args ...any) {
	c.faults = append(c.faults, c.rule+": "+fmt.Sprintf(format, args...))
}

// each calls f for every service, by name.
func (c *checking) each(f func(types.ServiceConfig)) {
	for _, name := range c.p.ServiceNames() {
		f(c.p.Services[name])
	}
}

// drovers calls f for every service that runs drover, with its verb.
func (c *checking) drovers(f func(s types.ServiceConfig, verb string)) {
	c.each(func(s types.ServiceConfig) {
		if s.Build != nil {
			f(s, verb(s))
		}
	})
}

// verb is what drover does in a service: the image's own command is run.
func verb(s types.ServiceConfig) string {
	if len(s.Command) == 0 {
		return "run"
	}
	return s.Command[0]
}

// environment is a service's, as a process sees it.
func environment(s types.ServiceConfig) []string {
	var out []string
	for name, value := range s.Environment {
		if value != nil {
			out = append(out, name+"="+*value)
		}
	}
	return out
}
