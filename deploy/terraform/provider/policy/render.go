package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// render has every task write its files, by the very script of its container, below a folder each, with what else its program needs: a file
// environment, and the command. The script check runs the programs on them.
func (t tool) render(s state) error {
	below := filepath.Join(t.data, "rendered")
	if err := os.RemoveAll(below); err != nil {
		return err
	}
	all := s.containers()
	byTask := map[string]container{}
	for _, c := range all {
		if c.files() {
			byTask[c.task.Address] = c
		}
	}
	for _, c := range all {
		if c.files() {
			continue
		}
		dir := filepath.Join(below, c.task.text("family"))
		files, folders := filepath.Join(dir, "files"), filepath.Join(dir, "folders")
		if err := os.MkdirAll(files, 0o755); err != nil {
			return err
		}
		writer := byTask[c.task.Address]
		env := []string{"PATH=" + os.Getenv("PATH")}
		for _, e := range writer.Environment {
			env = append(env, e.Name+"="+e.Value)
		}
		for _, e := range writer.Secrets {
			env = append(env, e.Name+"=secret "+e.ValueFrom)
		}
		for _, m := range writer.MountPoints {
			if volume, ok := strings.CutPrefix(m.ContainerPath, "/folders/"); ok {
				if err := os.MkdirAll(filepath.Join(folders, volume), 0o755); err != nil {
					return err
				}
			}
		}
		script := strings.NewReplacer("/files/", files+"/", "/folders/", folders+"/").Replace(strings.Join(writer.Command, " "))
		cmd := exec.Command(writer.EntryPoint[0], append(writer.EntryPoint[1:], script)...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: the container files: %w: %s", c.task.Address, err, out)
		}
		var lines []string
		for _, e := range c.Environment {
			lines = append(lines, e.Name+"="+e.Value)
		}
		for _, e := range c.Secrets {
			lines = append(lines, e.Name+"=secret")
		}
		if err := os.WriteFile(filepath.Join(dir, "environment"), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "command"), []byte(strings.Join(c.Command, " ")+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}
