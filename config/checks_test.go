package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLoad_reports_the_checks_of_others_along_with_its_own(t *testing.T) {
	_, _, err := Load(Source{
		Dirs:   []string{},
		Env:    []string{"DISCORD_INTENTS=NONS", "DROVER_POOL_SIZE=0"},
		Checks: map[string]func(Config) error{"discord.intents": func(c Config) error { return errors.New("no such intent: " + c.Discord.Intents[0]) }},
	})
	var broken *Error
	if !errors.As(err, &broken) || len(broken.Problems) != 2 {
		t.Fatalf("got %v, want two problems at once", err)
	}
	for _, want := range []string{"discord.intents: no such intent: NONS [DISCORD_INTENTS]", "pool.size: 0"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to say %q", err, want)
		}
	}
}

func TestLoad_takes_the_window_of_duplicates_along_with_a_shorter_max_age(t *testing.T) {
	cfg, _, err := Load(Source{Dirs: []string{}, Env: []string{"DROVER_STREAMS_COMMANDS_MAX_AGE=30s"}})
	if err != nil || cfg.Streams.Commands.Duplicates != 30*time.Second {
		t.Errorf("got %v and error %v, want 30s", cfg.Streams.Commands.Duplicates, err)
	}
	_, _, err = Load(Source{Dirs: []string{}, Env: []string{"DROVER_STREAMS_COMMANDS_MAX_AGE=30s", "DROVER_STREAMS_COMMANDS_DUPLICATES=45s"}})
	if err == nil || !strings.Contains(err.Error(), "streams.commands.duplicates: 45s is above max_age (30s)") {
		t.Errorf("chosen above max_age: got %v, want it refused", err)
	}
}

func TestValidate_takes_an_empty_list_of_intents_for_a_mistake(t *testing.T) {
	cfg := Default()
	cfg.Discord.Intents = nil
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "discord.intents: the list is empty") {
		t.Errorf("got %v, want it named", err)
	}
	cfg.Discord.Intents = []string{"0"}
	if err := cfg.Validate(); err != nil {
		t.Errorf("0: got %v, want it to pass: it says what it means", err)
	}
}

func TestLoad_a_list_with_a_default_can_be_emptied(t *testing.T) {
	for _, tt := range []struct {
		name string
		src  Source
		want string
	}{
		{"unset", Source{}, "TYPING_START,PRESENCE_UPDATE"},
		{"file", Source{File: writeFile(t, "backpressure: {shed: []}")}, ""},
		{"file_none", Source{File: writeFile(t, "backpressure: {shed: none}")}, ""},
		{"file_list_of_none", Source{File: writeFile(t, "backpressure: {shed: [None]}")}, ""},
		{"file_null", Source{File: writeFile(t, "backpressure: {shed: }")}, "TYPING_START,PRESENCE_UPDATE"},
		{"variable", Source{Env: []string{"DROVER_BACKPRESSURE_SHED=none"}}, ""},
		{"variable_empty", Source{Env: []string{"DROVER_BACKPRESSURE_SHED="}}, "TYPING_START,PRESENCE_UPDATE"},
		{"variable_over_file", Source{File: writeFile(t, "backpressure: {shed: []}"), Env: []string{"DROVER_BACKPRESSURE_SHED=typing_start"}}, "TYPING_START"},
		{"flag", Source{Flags: []Flag{{Name: "--set", Key: "backpressure.shed", Value: "NONE"}}}, ""},
		{"flag_empty", Source{Flags: []Flag{{Name: "--set", Key: "backpressure.shed"}}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.src.File == "" {
				tt.src.Dirs = []string{}
			}
			cfg, _, err := Load(tt.src)
			if got := strings.Join(cfg.Backpressure.Shed, ","); err != nil || got != tt.want {
				t.Errorf("got %q, error %v, want %q", got, err, tt.want)
			}
			var printed strings.Builder
			if err := Write(&printed, cfg, nil); err != nil {
				t.Fatal(err)
			}
			again, _, err := load(t, printed.String())
			if got := strings.Join(again.Backpressure.Shed, ","); err != nil || got != tt.want {
				t.Errorf("printed and read again: got %q, error %v, want %q", got, err, tt.want)
			}
		})
	}
	_, _, err := Load(Source{Dirs: []string{}, Env: []string{"DROVER_BACKPRESSURE_SHED=none,typing_start"}})
	if err == nil || !strings.Contains(err.Error(), "backpressure.shed: none stands in a list of events") {
		t.Errorf("none among others: got %v, want it refused", err)
	}
}

func TestSpoolDir_follows_the_data_folder(t *testing.T) {
	cfg := Default()
	cfg.NATS.Embedded.DataDir = "/var/lib/drover"
	if got, want := cfg.SpoolDir(), filepath.Join("/var/lib/drover", "spool"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	cfg.Spool.Dir = "/mnt/spool"
	if got := cfg.SpoolDir(); got != "/mnt/spool" {
		t.Errorf("got %q, want /mnt/spool", got)
	}
}
