package stream

import (
	"bytes"
	"encoding/json"
)

// secretKeys are the members whose values give power over an interaction or a voice session.
var secretKeys = map[string]bool{"token": true, "interaction_token": true}

// RedactTokens returns a copy of a JSON text in which the string values of the members "token" and
// "interaction_token" are "***", at any depth. The rest stays byte for byte. What is no JSON is
// treated the same way as far as it looks like JSON.
func RedactTokens(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	secret := false // the last string was a secret's key, and its colon was seen
	for i := 0; i < len(raw); {
		c := raw[i]
		if c != '"' {
			if c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != ':' {
				secret = false
			}
			out = append(out, c)
			i++
			continue
		}
		end := stringEnd(raw, i)
		text := raw[i:end]
		i = end
		if isKey(raw[end:]) {
			secret = isSecret(text)
			out = append(out, text...)
			continue
		}
		if secret {
			text = []byte(`"***"`)
		}
		secret = false
		out = append(out, text...)
	}
	return out
}

// stringEnd returns where the string that begins at i has ended.
func stringEnd(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// isKey reports whether a colon follows.
func isKey(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && rest[0] == ':'
}

func isSecret(quoted []byte) bool {
	var key string // a key may be written with escapes
	if json.Unmarshal(quoted, &key) != nil {
		return false
	}
	return secretKeys[key]
}
