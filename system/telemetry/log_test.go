package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The secrets of these tests. botToken has the form of Discord's, but is none.
const (
	botToken         = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDE.abcdefghijklmnopqrstuvwxyz0123456789AB"
	interactionToken = "aW50ZXJhY3Rpb246MTIzNDU2Nzg5MDEyMzQ1Njc4OmFiY2RlZmdoaWprbG1ub3A"
	natsPassword     = `pa"ss wörd/§1&2`
)

// stringer, valuer and the rest are ways in which a secret gets into a log by accident.
type stringer struct{ hidden string }

func (s stringer) String() string { return "stringer " + s.hidden }

type valuer struct{ hidden string }

func (v valuer) LogValue() slog.Value {
	return slog.GroupValue(slog.String("inner", v.hidden), slog.Any("err", errors.New("deep "+v.hidden)))
}

type options struct {
	URL   string
	Token string
	inner string
}

type texter struct{ hidden string }

func (x texter) MarshalText() ([]byte, error) { return []byte("text " + x.hidden), nil }

// each logs through one format and returns the output.
func each(t *testing.T, do func(*slog.Logger), check func(t *testing.T, out string)) {
	t.Helper()
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			var out bytes.Buffer
			log, _ := NewLogger(&out, format, "debug", "Bot "+botToken, natsPassword, "demo", "")
			do(log)
			if out.Len() == 0 {
				t.Fatal("nothing was logged")
			}
			if format == "json" {
				for line := range strings.Lines(out.String()) {
					if !json.Valid([]byte(line)) {
						t.Errorf("no JSON: %s", line)
					}
				}
			}
			check(t, out.String())
		})
	}
}

func TestLogger_never_writes_a_given_secret(t *testing.T) {
	attrs := map[string]any{
		"string":      botToken,
		"within":      "token is " + botToken + ", really",
		"error":       errors.New("dial wss://x/?token=" + botToken),
		"wrapped":     fmt.Errorf("gateway: %w", errors.New(botToken)),
		"joined":      errors.Join(errors.New("a"), errors.New(botToken)),
		"stringer":    stringer{botToken},
		"valuer":      valuer{botToken},
		"texter":      texter{botToken},
		"struct":      options{URL: "u", Token: botToken, inner: botToken},
		"pointer":     &options{URL: botToken, Token: "x", inner: botToken},
		"map":         map[string]any{"deep": map[string]any{"er": []any{botToken}}},
		"map_key":     map[string]int{botToken: 1},
		"slice":       []string{"a", botToken},
		"bytes":       []byte(`{"token":"` + botToken + `"}`),
		"raw":         json.RawMessage(`{"op":2,"d":{"token":"` + botToken + `"}}`),
		"header":      http.Header{"Authorization": {"Bot " + botToken}},
		"url":         &url.URL{Scheme: "nats", Host: "h", User: url.UserPassword("u", botToken)},
		"attr":        slog.String("x", botToken),
		"password":    natsPassword,
		"in_password": "nats://user:" + natsPassword + "@host:4222",
		"escaped":     "nats://user:" + url.QueryEscape(natsPassword) + "@host",
	}
	for name, value := range attrs {
		t.Run(name, func(t *testing.T) {
			each(t, func(log *slog.Logger) {
				log.Info("plain", name, value)
				log.Info("as another key", "facts", value)
				log.With("bound", value).WithGroup("g").Info("grouped", slog.Group("h", slog.Any("v", value)))
			}, func(t *testing.T, out string) {
				for _, secret := range []string{botToken, natsPassword, quoted(natsPassword), url.QueryEscape(natsPassword)} {
					if strings.Contains(out, secret) {
						t.Errorf("%q is in %s", secret, out)
					}
				}
			})
		})
	}
	t.Run("message_and_keys", func(t *testing.T) {
		each(t, func(log *slog.Logger) {
			log.Error("identify with " + botToken)
			log.Error("key", botToken, 1) //nolint:sloglint // a key that is a secret: the mistake to catch
			log.WithGroup(botToken).Error("group", "a", 1)
		}, func(t *testing.T, out string) {
			if strings.Contains(out, botToken) {
				t.Errorf("in %s", out)
			}
		})
	})
}

func TestLogger_masks_by_key(t *testing.T) {
	for _, key := range []string{"token", "Token", "interaction_token", "interactionToken", "authorization", "Authorization", "bot_token", "nats_password", "client_secret", "Set-Cookie"} {
		t.Run(key, func(t *testing.T) {
			each(t, func(log *slog.Logger) {
				log.Info("plain", key, interactionToken)
				log.Info("group", slog.Group("a", slog.Group("b", slog.String(key, interactionToken))))
				log.WithGroup("a").WithGroup("b").With(key, interactionToken).Info("bound")
				log.Info("named group", slog.Group(key, slog.String("value", interactionToken)))
				log.Info("error", key, errors.New(interactionToken))
				log.Info("map", "data", map[string]any{"d": []any{map[string]any{key: interactionToken}}})
				log.Info("struct", "data", struct{ Token string }{interactionToken})
				log.Info("raw", "data", json.RawMessage(`{"d":{"`+key+`":"`+interactionToken+`"}}`))
				log.Info("list", key, []string{interactionToken})
			}, func(t *testing.T, out string) {
				if strings.Contains(out, interactionToken) {
					t.Errorf("in %s", out)
				}
				if got := strings.Count(out, redacted); got != 9 {
					t.Errorf("got %d masks in 9 lines: %s", got, out)
				}
			})
		})
	}
}

func TestLogger_masks_what_looks_like_a_token_in_a_text(t *testing.T) {
	texts := []string{
		`POST https://discord.com/api/v10/interactions/700000000000000010/` + interactionToken + `/callback: 404`,
		`PATCH /webhooks/700000000000000010/` + interactionToken + `/messages/@original`,
		`{"op":0,"d":{"token":"` + interactionToken + `"}}`,
		`"{\"token\":\"` + interactionToken + `\"}"`,
		`wss://gateway.test/?v=10&token=` + interactionToken,
		`Authorization: Bot ` + interactionToken,
		`header bearer ` + interactionToken + ` refused`,
		`nats://drover:` + interactionToken + `@nats.test:4222`,
		`map[token:` + interactionToken + `]`,
	}
	for _, text := range texts {
		each(t, func(log *slog.Logger) {
			log.Warn("string", "err", text)
			log.Warn("error", "err", errors.New(text))
			log.Warn(text) //nolint:sloglint // the mistake to catch
		}, func(t *testing.T, out string) {
			if strings.Contains(out, interactionToken) {
				t.Errorf("in %s", out)
			}
		})
	}
}

func TestLogger_leaves_the_rest_alone(t *testing.T) {
	var out bytes.Buffer
	log, _ := NewLogger(&out, "json", "info", botToken, "demo")
	log.Info("shard ready", "shard_id", 3, "session", "a1b2c3d4", "seq", int64(1234567890123), "took", "1.5s", "mode", "demo",
		"guild", json.Number("700000000000000010"), "err", errors.New("gateway: hello: token 3 of 4 is missing"), "token_set", true, "tokens", 5,
		"url", "wss://gateway.discord.gg/?v=10&encoding=json", "sub", map[string]any{"id": json.Number("700000000000000010"), "on": true})
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"level": "INFO", "msg": "shard ready", "shard_id": 3.0, "session": "a1b2c3d4", "seq": 1234567890123.0, "took": "1.5s", "mode": "demo",
		"err": "gateway: hello: token 3 of 4 is missing", "token_set": true, "tokens": 5.0, "url": "wss://gateway.discord.gg/?v=10&encoding=json",
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s: got %v, want %v", key, got[key], value)
		}
	}
	if _, ok := got["time"]; !ok {
		t.Error("no time")
	}
	if !strings.Contains(out.String(), `"sub":{"id":700000000000000010,"on":true}`) || !strings.Contains(out.String(), `"guild":700000000000000010`) {
		t.Errorf("snowflakes were rounded: %s", out.String())
	}
}

func TestLogger_levels(t *testing.T) {
	var out bytes.Buffer
	log, level := NewLogger(&out, "json", "warn")
	log.Info("not yet")
	level.Set(slog.LevelDebug)
	log.Debug("now")
	if got := out.String(); strings.Contains(got, "not yet") || !strings.Contains(got, "now") {
		t.Errorf("got %s", got)
	}
	for name, want := range map[string]slog.Level{"debug": -4, "INFO": 0, "": 0, "warn": 4, "error": 8} {
		if got, err := ParseLevel(name); err != nil || got != want {
			t.Errorf("%q: got %v %v, want %v", name, got, err, want)
		}
	}
	if _, err := ParseLevel("loud"); err == nil || !strings.Contains(err.Error(), `"loud" is none of`) {
		t.Errorf("got %v", err)
	}
}

func TestRedactor_tells_the_length_that_it_was_given(t *testing.T) {
	var out bytes.Buffer
	w := newRedactor(&out, []string{botToken})
	line := []byte("a " + botToken + " b " + botToken + "\n")
	if n, err := w.Write(line); n != len(line) || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if out.String() != "a [redacted] b [redacted]\n" {
		t.Errorf("got %q", out.String())
	}
}

func TestLogger_writes_durations_with_their_unit(t *testing.T) {
	var out bytes.Buffer
	log, _ := NewLogger(&out, "json", "info")
	log.Info("waited", "wait", 1500*time.Millisecond)
	if !strings.Contains(out.String(), `"wait":"1.5s"`) {
		t.Errorf("got %s, want wait 1.5s", out.String())
	}
}
