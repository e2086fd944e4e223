package gateway

import (
	"strings"
	"testing"
)

func TestConformance01_every_url_has_version_encoding_and_compress_only_if_configured(t *testing.T) {
	tests := []struct{ name, base, compress, want string }{
		{"bare", "wss://gateway.discord.gg", "none", "wss://gateway.discord.gg/?encoding=json&v=10"},
		{"no compression", "wss://gateway.discord.gg", "", "wss://gateway.discord.gg/?encoding=json&v=10"},
		{"zlib", "wss://gateway.discord.gg", "zlib-stream", "wss://gateway.discord.gg/?compress=zlib-stream&encoding=json&v=10"},
		{"zstd", "ws://127.0.0.1:8080/", "zstd-stream", "ws://127.0.0.1:8080/?compress=zstd-stream&encoding=json&v=10"},
		{"http", "http://sim:8080", "none", "ws://sim:8080/?encoding=json&v=10"},
		{"https with a path", "https://proxy/gw", "none", "wss://proxy/gw?encoding=json&v=10"},
		{"version 6", "wss://h/?v=6", "none", "wss://h/?encoding=json&v=10"},
		{"compress not wanted", "wss://h/?compress=zlib-stream", "none", "wss://h/?encoding=json&v=10"},
		{"ipv6", "ws://[::1]:80", "none", "ws://[::1]:80/?encoding=json&v=10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := GatewayURL(tt.base, tt.compress); err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestConformance02_resume_url_in_any_form_becomes_valid(t *testing.T) {
	const want = "wss://gateway-us-east1-b.discord.gg/?compress=zstd-stream&encoding=json&v=10"
	for _, base := range []string{
		"wss://gateway-us-east1-b.discord.gg",
		"wss://gateway-us-east1-b.discord.gg/",
		"wss://gateway-us-east1-b.discord.gg?v=9",
		"wss://gateway-us-east1-b.discord.gg/?v=9&encoding=etf&compress=zlib-stream",
		"wss://gateway-us-east1-b.discord.gg/?v=9&v=10&encoding=json&encoding=json#x",
	} {
		if got, err := ResumeURL(base, "zstd-stream"); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", base, got, err, want)
		}
	}
	if got, err := ResumeURL("wss://h/?zone=a%26b", ""); err != nil || got != "wss://h/?encoding=json&v=10&zone=a%26b" {
		t.Errorf("a parameter of its own: got %q, %v", got, err)
	}
}

func TestURLErrors(t *testing.T) {
	for _, base := range []string{
		"", "gateway.discord.gg", "ftp://h", "wss://", "wss:gateway", "wss://h:0", "wss://h:99999", "wss://h:x", "://h",
		"wss://h/?a=%zz", "wss://user:secret@h", "ftp://user:secret@h", "wss://user:sec%ret@secret@h:99999", "wss://h\x00/", "wss://[::1", "/", strings.Repeat("x", 100_000),
	} {
		got, err := GatewayURL(base, "none")
		if err == nil {
			t.Errorf("%.40q: got %q, want an error", base, got)
			continue
		}
		if len(err.Error()) > 300 || strings.Contains(err.Error(), "user:sec") || !strings.HasPrefix(err.Error(), "gateway: url ") {
			t.Errorf("%.40q: got %q, want a short error without a password", base, err)
		}
	}
	for _, base := range []string{"http://h", "https://h"} {
		if got, err := ResumeURL(base, "none"); err == nil {
			t.Errorf("%s as a resume URL: got %q, want an error", base, got)
		}
	}
}
