package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// promise is something that documents, charts and checks rely on.
type promise struct {
	name  string
	holds func(file) error
}

// program is where the binary is.
const program = "/usr/local/bin/drover"

// state is the one folder that is writable.
const state = "/var/lib/drover"

var promises = []promise{
	{"bases", basesAreArguments},
	{"stages", twoStages},
	{"syntax", noBuildKit},
	{"modules", modulesFirst},
	{"binary", staticAndStamped},
	{"user", numericUser},
	{"entrypoint", entrypoint},
	{"healthcheck", healthcheck},
	{"no shell", noShell},
	{"volume", oneVolume},
	{"labels", labels},
	{"expose", port},
	{"no secrets", noSecrets},
}

// basesAreArguments: releases pin them by digest, and the check builds offline.
func basesAreArguments(f file) error {
	defaults := map[string]string{}
	for _, a := range f.args {
		for _, kv := range a.Args {
			if kv.Value != nil {
				defaults[kv.Key] = *kv.Value
			}
		}
	}
	for i, name := range []string{"GO_IMAGE", "RUNTIME_IMAGE"} {
		if i >= len(f.stages) || f.stages[i].BaseName != "${"+name+"}" {
			return fmt.Errorf("stage %d is not FROM ${%s}", i, name)
		}
		if name == "RUNTIME_IMAGE" && defaults[name] == "scratch" { // which has no versions
			continue
		}
		if v := defaults[name]; !regexp.MustCompile(`^[a-z]+:\d+\.\d+`).MatchString(v) || !strings.Contains(v, "alpine") {
			return fmt.Errorf("ARG %s is %q, want an Alpine image with a version", name, v)
		}
	}
	return nil
}

func twoStages(f file) error {
	if len(f.stages) != 2 || f.stages[0].Name != "build" || f.stages[1].Name != "runtime" {
		return errors.New("want the stages build and runtime")
	}
	for _, c := range f.last().Commands {
		if c, ok := c.(*instructions.CopyCommand); ok && c.From != "build" {
			return fmt.Errorf("the image's stage copies %v from the context, want from build only", c.SourcePaths)
		}
	}
	return nil
}

// noBuildKit: buildah and older builders read the file too.
func noBuildKit(f file) error {
	if s, ok := f.directives["syntax"]; ok {
		return fmt.Errorf("# syntax=%s asks for a front end of BuildKit's", s)
	}
	for _, s := range f.stages {
		for _, c := range s.Commands {
			switch c := c.(type) {
			case *instructions.RunCommand:
				if len(c.FlagsUsed) > 0 || len(c.Files) > 0 {
					return fmt.Errorf("RUN with --%s or a here-document is BuildKit's alone", strings.Join(c.FlagsUsed, " --"))
				}
			case *instructions.CopyCommand:
				if c.Link || c.Parents || len(c.SourceContents) > 0 || len(c.ExcludePatterns) > 0 {
					return errors.New("COPY with --link, --parents, --exclude or a here-document is BuildKit's alone")
				}
			}
		}
	}
	return nil
}

// modulesFirst: a layer with the dependencies alone, before any source.
func modulesFirst(f file) error {
	for _, c := range f.stages[0].Commands {
		switch c := c.(type) {
		case *instructions.CopyCommand:
			if !slices.Equal(c.SourcePaths, []string{"go.mod", "go.sum"}) {
				return fmt.Errorf("the first COPY is of %v, want go.mod and go.sum, so that dependencies have a layer of their own", c.SourcePaths)
			}
		case *instructions.RunCommand:
			if got := strings.Join(c.CmdLine, " "); got != "go mod download" {
				return fmt.Errorf("the first RUN is %q, want go mod download", got)
			}
			return nil
		}
	}
	return errors.New("no go mod download")
}

func staticAndStamped(f file) error {
	var build string
	for _, c := range f.stages[0].Commands {
		if c, ok := c.(*instructions.RunCommand); ok {
			build = strings.Join(c.CmdLine, " ")
		}
	}
	for _, want := range []string{"CGO_ENABLED=0", "-trimpath", "-s -w", "main.version=${VERSION}", "main.commit=${COMMIT}", "main.date=${DATE}", "./cmd/drover"} {
		if !strings.Contains(build, want) {
			return fmt.Errorf("the build is without %s", want)
		}
	}
	return nil
}

func numericUser(f file) error {
	u, err := only[*instructions.UserCommand](f.last())
	if err != nil {
		return err
	}
	if u.User != "1001:1001" {
		return fmt.Errorf("USER is %s, want 1001:1001, by number", u.User)
	}
	return nil
}

func entrypoint(f file) error {
	e, err := only[*instructions.EntrypointCommand](f.last())
	if err != nil {
		return err
	}
	c, err := only[*instructions.CmdCommand](f.last())
	if err != nil {
		return err
	}
	if !slices.Equal(e.CmdLine, []string{program}) || !slices.Equal(c.CmdLine, []string{"run"}) {
		return fmt.Errorf("ENTRYPOINT %q and CMD %q, want %s and run", e.CmdLine, c.CmdLine, program)
	}
	return nil
}

func healthcheck(f file) error {
	h, err := only[*instructions.HealthCheckCommand](f.last())
	if err != nil {
		return err
	}
	if !slices.Equal(h.Health.Test, []string{"CMD", program, "healthcheck"}) {
		return fmt.Errorf("HEALTHCHECK %q, want CMD %s healthcheck", h.Health.Test, program)
	}
	if h.Health.Interval <= 0 || h.Health.Timeout <= 0 || h.Health.StartPeriod <= 0 || h.Health.Retries <= 0 {
		return errors.New("HEALTHCHECK without interval, timeout, start-period or retries")
	}
	return nil
}

// noShell: what runs in the container is started without one, and its stage builds without one.
func noShell(f file) error {
	for _, c := range f.last().Commands {
		switch c := c.(type) {
		case *instructions.RunCommand:
			return errors.New("the image's stage has a RUN")
		case *instructions.EntrypointCommand:
			if c.PrependShell {
				return errors.New("ENTRYPOINT in shell form")
			}
		case *instructions.CmdCommand:
			if c.PrependShell {
				return errors.New("CMD in shell form")
			}
		case *instructions.HealthCheckCommand:
			if len(c.Health.Test) > 0 && c.Health.Test[0] == "CMD-SHELL" {
				return errors.New("HEALTHCHECK in shell form")
			}
		case *instructions.ShellCommand:
			return errors.New("SHELL in the image's stage")
		}
	}
	return nil
}

func oneVolume(f file) error {
	v, err := only[*instructions.VolumeCommand](f.last())
	if err != nil {
		return err
	}
	if !slices.Equal(v.Volumes, []string{state}) {
		return fmt.Errorf("VOLUME %v, want %s alone", v.Volumes, state)
	}
	for _, c := range f.last().Commands {
		if c, ok := c.(*instructions.CopyCommand); ok && c.DestPath == state {
			if c.Chown != "1001:1001" {
				return fmt.Errorf("%s belongs to %q, want 1001:1001", state, c.Chown)
			}
			return nil
		}
	}
	return fmt.Errorf("nothing makes %s, with its owner", state)
}

func labels(f file) error {
	found := map[string]string{}
	for _, c := range f.last().Commands {
		if c, ok := c.(*instructions.LabelCommand); ok {
			for _, kv := range c.Labels {
				found[strings.Trim(kv.Key, `"`)] = strings.Trim(kv.Value, `"`)
			}
		}
	}
	for key, want := range map[string]string{
		"title": "drover", "description": "", "source": "", "documentation": "",
		"version": "${VERSION}", "revision": "${COMMIT}", "created": "${DATE}",
	} {
		got := found["org.opencontainers.image."+key]
		if got == "" || want != "" && got != want {
			return fmt.Errorf("org.opencontainers.image.%s is %q, want %q", key, got, want)
		}
	}
	return nil
}

func port(f file) error {
	e, err := only[*instructions.ExposeCommand](f.last())
	if err != nil {
		return err
	}
	if !slices.Equal(e.Ports, []string{"9090"}) {
		return fmt.Errorf("EXPOSE %v, want 9090", e.Ports)
	}
	return nil
}

// noSecrets: an argument or variable of a secret stays in the image's history.
func noSecrets(f file) error {
	secret := regexp.MustCompile(`(?i)(token|password|secret|creds|database_url)`)
	for _, s := range f.stages {
		for _, c := range s.Commands {
			switch c := c.(type) {
			case *instructions.EnvCommand:
				for _, kv := range c.Env {
					if secret.MatchString(kv.Key) {
						return fmt.Errorf("ENV %s", kv.Key)
					}
				}
			case *instructions.ArgCommand:
				for _, kv := range c.Args {
					if secret.MatchString(kv.Key) {
						return fmt.Errorf("ARG %s", kv.Key)
					}
				}
			}
		}
	}
	return nil
}
