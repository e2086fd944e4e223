package config

import (
	"fmt"
	"log/slog"
	"strings"
)

// masked stands where a secret would be.
const masked = "******"

// Secret is a string that no log, error or print shows. Reveal gives the real
// one, for the one place that needs it. The zero value is "not set".
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret and tells only whether there is one.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// Format hides the secret from every verb of package fmt.
func (s Secret) Format(f fmt.State, verb rune) { formatHidden(f, verb, s.String()) }

// LogValue hides the secret from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// URL is one URL or a comma list of them, which may hold user and password.
// Like a Secret it hides them everywhere but in Reveal.
type URL string

// Reveal returns the URL with its credentials.
func (u URL) Reveal() string { return string(u) }

// String is the URL with ****** in place of user, password and query.
func (u URL) String() string {
	var parts []string
	for part := range strings.SplitSeq(string(u), ",") {
		// A password may hold a comma: without a scheme of its own, what ends
		// in user@host may be the rest of the part before it.
		if n := len(parts); n > 0 && strings.Contains(part, "@") && !strings.Contains(part, "://") {
			parts[n-1] += "," + part
			continue
		}
		parts = append(parts, part)
	}
	for i, part := range parts {
		parts[i] = maskURL(part)
	}
	return strings.Join(parts, ",")
}

// Format hides the credentials from every verb of package fmt.
func (u URL) Format(f fmt.State, verb rune) { formatHidden(f, verb, u.String()) }

// LogValue hides the credentials from logs.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText hides the credentials from encoders.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

func formatHidden(f fmt.State, verb rune, text string) {
	if verb == 'q' || f.Flag('#') {
		_, _ = fmt.Fprintf(f, "%q", text)
		return
	}
	_, _ = fmt.Fprint(f, text)
}

// maskURL works on text, not on a parsed URL: a URL too broken to parse must
// not show its password in the error that says so. Everything from the scheme
// to the last @ may be a credential, wherever the slashes are.
func maskURL(raw string) string {
	at := strings.LastIndexByte(raw, '@')
	if q := strings.IndexByte(raw, '?'); q > at {
		raw = raw[:q+1] + masked
	}
	if at < 0 {
		return raw
	}
	scheme := ""
	if i := strings.Index(raw, "://"); i >= 0 && i < at {
		scheme = raw[:i+3]
	}
	return scheme + masked + raw[at:]
}
