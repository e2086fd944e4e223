package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecret_is_never_shown(t *testing.T) {
	c := Default()
	c.Discord.Token, c.NATS.Token, c.NATS.Password = "hunter2", "hunter2", "hunter2"
	c.NATS.URL = "nats://u:hunter2@h:1,nats://hunter2@i"
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(h).Info("x", "config", c, "token", c.Discord.Token, "url", c.NATS.URL)
	}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb, c) + fmt.Sprintf(verb, c.Discord.Token) + fmt.Sprintf(verb, c.NATS.URL)
	}
	if strings.Contains(shown, "hunter2") || strings.Contains(shown, fmt.Sprintf("%x", "hunter2")) {
		t.Errorf("a secret shows in %s", shown)
	}
	if c.Discord.Token.Reveal() != "hunter2" {
		t.Errorf("got %q from Reveal, want hunter2", c.Discord.Token.Reveal())
	}
}

func TestURL_hides_user_and_password(t *testing.T) {
	tests := []struct{ url, want string }{
		{"", ""},
		{"none", "none"},
		{"nats://h:4222", "nats://h:4222"},
		{"nats://u:p@h:4222", "nats://******@h:4222"},
		{"nats://tok@h", "nats://******@h"},
		{"u:p@h:4222", "******@h:4222"},
		{"nats://a,nats://u:p@b,c:1", "nats://a,nats://******@b,c:1"},
		{"nats://u:p@w/x@h", "nats://******@h"},
		{"nats://u:p,w@h", "nats://******@h"},
		{"https://h/a?token=p", "https://h/a?******"},
		{"nats://u:p?w@h", "nats://******@h"},
	}
	for _, tt := range tests {
		if got := URL(tt.url).String(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.url, got, tt.want)
		}
	}
}

func TestBytes_are_written_as_they_are_read(t *testing.T) {
	tests := []struct {
		text string
		want Bytes
		back string
	}{
		{"0", 0, "0"}, {"1024", 1024, "1KiB"}, {"512MiB", 512 << 20, "512MiB"}, {"2gb", 2e9, "2GB"},
		{"7 KB", 7000, "7KB"}, {"12B", 12, "12"}, {"1TiB", 1 << 40, "1TiB"}, {"-1", -1, "-1"},
	}
	for _, tt := range tests {
		got, err := parseBytes(tt.text)
		if err != nil || got != tt.want || got.String() != tt.back {
			t.Errorf("%s: got %d (%s), error %v, want %d (%s)", tt.text, int64(got), got, err, int64(tt.want), tt.back)
		}
	}
	for _, text := range []string{"", "MB", "1.5GB", "9999999TiB", "1 XB", "--1"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}
