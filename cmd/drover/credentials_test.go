package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCredentials_are_variables_that_are_not_set(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"DISCORD_TOKEN": "the token\n", "DROVER_NATS_PASSWORD": "p w\r\n", "NATS_URL": "nats://file", "PATH": "/evil", "unknown": "x",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"HOME=/x", "NATS_URL=nats://set", "CREDENTIALS_DIRECTORY=" + dir}
	got, err := withCredentials(env)
	if err != nil {
		t.Fatal(err)
	}
	more := slices.Sorted(slices.Values(got[len(env):]))
	if want := []string{"DISCORD_TOKEN=the token", "DROVER_NATS_PASSWORD=p w"}; !slices.Equal(more, want) {
		t.Errorf("got %q, want %q: what is set stays, and names that are no variable of drover's are left alone", more, want)
	}
	if got, err := withCredentials(env[:2]); err != nil || !slices.Equal(got, env[:2]) {
		t.Errorf("without a folder: got %q, %v, want nothing changed", got, err)
	}
}

func TestCredentials_that_cannot_be_read_are_said(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "DISCORD_TOKEN"), 0o700); err != nil { // root reads every file, but no folder
		t.Fatal(err)
	}
	p := startDrover(t, []string{"CREDENTIALS_DIRECTORY=" + dir, "NATS_URL=none"}, "run")
	p.wantExit(2, "credential DISCORD_TOKEN", "LoadCredential")
}

func TestCredentials_reach_the_configuration_and_are_not_shown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "DISCORD_TOKEN"), []byte("very-secret-token-0123456789\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	p := startDrover(t, []string{"CREDENTIALS_DIRECTORY=" + dir}, "config", "print")
	if code := p.ended(); code != 0 {
		t.Fatalf("got exit code %d, want 0", code)
	}
	if out := p.stdout.String(); strings.Contains(out, "very-secret") || !strings.Contains(out, `token: "******"  # DISCORD_TOKEN`) {
		t.Errorf("want the token masked, with where it comes from:\n%s", tailOf(out))
	}
}
