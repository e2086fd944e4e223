package gateway

import "drover/messages"

// Interaction returns what the envelope of an INTERACTION_CREATE repeats in front of its data. What is missing or of the
// wrong type is nil.
func (f *Frame) Interaction() messages.Interaction {
	out := messages.Interaction{Token: quoted(f.raw(atToken)), Type: option(f.raw(atType))}
	if f.id(atID) != nil {
		out.ID = f.raw(atID)
	}
	if out.Type != 2 && out.Type != 4 { // a command, and its autocomplete
		return out
	}
	name, _, options := commandNode(f.raw(atData))
	out.Command = name
	if out.Command == nil {
		return out
	}
	// The path to a subcommand is at most two deep, and each step is the only option there.
	switch name, kind, inner := commandNode(firstOf(options)); kind {
	case subcommand:
		out.Sub = name
	case subcommandGroup:
		if sub, kind, _ := commandNode(firstOf(inner)); kind == subcommand && name != nil {
			out.Group, out.Sub = name, sub
		}
	}
	return out
}

// Types of a command's option (Discord, "Application Command Option Type").
const (
	subcommand      = 1
	subcommandGroup = 2
)

// commandNode reads a command or one of its options.
func commandNode(raw []byte) (name []byte, kind int, options []byte) {
	for m := membersOf(raw); m.next(); {
		switch string(m.key) {
		case "name":
			name = quoted(m.value)
		case "type":
			kind = option(m.value)
		case "options":
			options = m.value
		}
	}
	return name, kind, options
}

// option returns a raw value as a small number, 0 where it is none.
func option(raw []byte) int {
	if len(raw) == 0 {
		return 0
	}
	n, ok := integer(raw, 0)
	if !ok || int64(int(n)) != n {
		return 0
	}
	return int(n)
}

// firstOf returns the first element of a raw JSON list, or nil. raw is valid JSON.
func firstOf(raw []byte) []byte {
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	from := space(raw, 1)
	if raw[from] == ']' {
		return nil
	}
	s := scanner{b: raw}
	return raw[from:s.value(from)]
}

// members goes over the members of an object that has been scanned before, so is valid.
type members struct {
	s          scanner
	i          int // at a key, or at the closing brace
	key, value []byte
}

// membersOf begins with the object raw; any other value has no members.
func membersOf(raw []byte) members {
	m := members{s: scanner{b: raw}}
	if len(raw) > 0 && raw[0] == '{' {
		m.i = space(raw, 1)
	} else {
		m.i = len(raw)
	}
	return m
}

func (m *members) next() bool {
	b := m.s.b
	if m.i >= len(b) || b[m.i] == '}' {
		return false
	}
	from := m.i
	m.s.escaped = false
	i := m.s.text(from + 1)
	m.key = b[from+1 : i-1]
	if m.s.escaped {
		m.key = unescape(b[from:i])
	}
	from = space(b, space(b, i)+1)
	i = m.s.value(from)
	m.value = b[from:i:i]
	if i = space(b, i); b[i] == ',' {
		i = space(b, i+1)
	}
	m.i = i
	return true
}
