package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
)

// NewLogger makes the program's logger and the level that a reload may change. format is "json", or
// "text" for people; level is debug, info, warn or error. What config has not refused is not refused here:
// an unknown format is json, an unknown level info.
//
// The logger is the second line of defence for secrets; the first is not to log them. It replaces by
// "[redacted]": each of the given secrets wherever it stands, also inside errors and nested values; the values
// of keys that name a secret, like token, interaction_token or authorization, at any depth; and what looks
// like one inside a text, like "Bot …" or the token in an interaction's URL. Secrets shorter than
// minSecret bytes are left to the rules about keys, because replacing "demo" everywhere makes a log unreadable.
//
// A line that is logged with the context of a span carries trace_id and span_id.
func NewLogger(w io.Writer, format, level string, secrets ...string) (*slog.Logger, *slog.LevelVar) {
	at := &slog.LevelVar{}
	if l, err := ParseLevel(level); err == nil {
		at.Set(l)
	}
	options := &slog.HandlerOptions{Level: at, ReplaceAttr: scrub}
	w = newRedactor(w, secrets)
	if format == "text" {
		options.ReplaceAttr = scrubText
		return slog.New(traced{slog.NewTextHandler(w, options)}), at
	}
	return slog.New(traced{slog.NewJSONHandler(w, options)}), at
}

// ParseLevel reads a level of the configuration.
func ParseLevel(level string) (slog.Level, error) {
	switch strings.ToLower(level) {
	case "debug":
		return slog.LevelDebug, nil
	case "info", "":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return slog.LevelInfo, fmt.Errorf("telemetry: log level: %q is none of debug, info, warn, error", level)
}

// minSecret is the length from which a secret is replaced wherever it stands.
const minSecret = 8

// redacted stands in place of a secret. It needs no escaping in JSON.
const redacted = "[redacted]"

// redactor replaces secrets in finished lines, so that no way of formatting a value gets around it. Handlers
// write one whole line at a time, under their lock.
type redactor struct {
	w       io.Writer
	secrets [][]byte
}

func newRedactor(w io.Writer, secrets []string) io.Writer {
	r := &redactor{w: w}
	for _, s := range secrets {
		s = strings.TrimPrefix(strings.TrimSpace(s), "Bot ")
		if len(s) < minSecret {
			continue
		}
		for _, form := range forms(s) {
			r.secrets = append(r.secrets, []byte(form))
		}
	}
	if len(r.secrets) == 0 {
		return w
	}
	return r
}

// forms are those in which a secret may stand in a text: as it is, in JSON, and in a URL.
func forms(secret string) []string {
	return []string{secret, quoted(secret), url.QueryEscape(secret), url.PathEscape(secret)}
}

// quoted is s as it stands inside a JSON string.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return s
	}
	return string(b[1 : len(b)-1])
}

// Write writes a line without its secrets. It reports the length that it was given, as io.Writer asks.
func (r *redactor) Write(line []byte) (int, error) {
	clean := line
	for _, secret := range r.secrets {
		if bytes.Contains(clean, secret) {
			clean = bytes.ReplaceAll(clean, secret, []byte(redacted))
		}
	}
	if _, err := r.w.Write(clean); err != nil {
		return 0, err
	}
	return len(line), nil
}

// secretKey tells whether a key names a secret. "token" and what ends in it, so that interaction_token
// and NATSToken are covered and tokens_per_second is not.
func secretKey(key string) bool {
	key = strings.ToLower(key)
	for _, word := range []string{"token", "password", "passwd", "secret", "authorization", "cookie", "nkey_seed"} {
		if strings.HasSuffix(key, word) {
			return true
		}
	}
	return false
}

// inText finds secrets inside a text. The first group of each is kept.
var inText = []*regexp.Regexp{
	// Authorization headers.
	regexp.MustCompile(`(?i)\b((?:bot|bearer|basic)\s+)[A-Za-z0-9._~+/=-]{20,}`),
	// Interaction and webhook URLs: the token follows the id.
	regexp.MustCompile(`((?:interactions|webhooks)/\d+/)[A-Za-z0-9._-]{16,}`),
	// token=…, "token":"…", token: …, also escaped; not "token 3" and not "token: missing field" (too short to be one).
	regexp.MustCompile(`(?i)((?:token|password|secret|authorization)\\*["']?\s*[:=]\s*\\*["']?)[^\s"'\\&,;})\]]{8,}`),
	// user:password@ in a URL.
	regexp.MustCompile(`(\b[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^/\s@]+@`),
}

func scrubString(s string) string {
	for i, expr := range inText {
		with := "${1}" + redacted
		if i == len(inText)-1 {
			with += "@"
		}
		s = expr.ReplaceAllString(s, with)
	}
	return s
}

// scrub is the JSON handler's ReplaceAttr. slog calls it for every attribute that is no group, at any depth, with
// its value resolved.
func scrub(groups []string, a slog.Attr) slog.Attr {
	switch {
	case secretKey(a.Key) || inSecretGroup(groups):
		if a.Value.Kind() == slog.KindBool || a.Value.Equal(slog.StringValue("")) {
			return a // whether there is one is no secret
		}
		a.Value = slog.StringValue(redacted)
	case a.Value.Kind() == slog.KindDuration: // 1.5s, where the JSON handler would write nanoseconds without a unit
		a.Value = slog.StringValue(a.Value.Duration().String())
	case a.Value.Kind() == slog.KindString:
		a.Value = slog.StringValue(scrubString(a.Value.String()))
	case a.Value.Kind() == slog.KindAny:
		a.Value = scrubAny(a.Value.Any())
	}
	return a
}

// scrubText is the text handler's ReplaceAttr. It writes what is no text by %+v, unexported fields
// included, so the text is made here, where it can be searched.
func scrubText(groups []string, a slog.Attr) slog.Attr {
	a = scrub(groups, a)
	if a.Value.Kind() != slog.KindAny {
		return a
	}
	switch v := a.Value.Any().(type) {
	case *slog.Source, slog.Level, nil:
	default:
		a.Value = slog.StringValue(scrubString(fmt.Sprintf("%+v", v)))
	}
	return a
}

func inSecretGroup(groups []string) bool {
	for _, g := range groups {
		if secretKey(g) {
			return true
		}
	}
	return false
}

// scrubAny handles the values that a handler would otherwise format by itself.
func scrubAny(v any) slog.Value {
	switch v := v.(type) {
	case nil, slog.Level, *slog.Source:
		return slog.AnyValue(v)
	case error:
		return slog.StringValue(scrubString(v.Error()))
	case []byte:
		return slog.StringValue(scrubString(string(v)))
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return slog.StringValue(scrubString(fmt.Sprintf("%+v", v)))
	}
	var tree any
	numbers := json.NewDecoder(bytes.NewReader(plain))
	numbers.UseNumber() // snowflakes do not fit a float
	if numbers.Decode(&tree) != nil {
		return slog.StringValue(scrubString(string(plain)))
	}
	return slog.AnyValue(scrubTree(tree))
}

// scrubTree masks a decoded JSON value in place.
func scrubTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if secretKey(key) && inner != nil && inner != "" {
				v[key] = redacted
				continue
			}
			v[key] = scrubTree(inner)
		}
	case []any:
		for i := range v {
			v[i] = scrubTree(v[i])
		}
	case string:
		return scrubString(v)
	}
	return v
}
