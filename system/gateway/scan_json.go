package gateway

import (
	"encoding/binary"
	"math/bits"
)

// scanner passes over JSON and checks it. Its methods return the index behind what they have read,
// or ^offset of the first byte that cannot be. Its life is one call of Scan, on the stack.
type scanner struct {
	b       []byte
	f       *Frame
	what    string                // why Scan fails, where it is not the JSON
	escaped bool                  // set by text when it meets an escape
	lists   [maxDepth / 64]uint64 // one bit per open container: 1 is a list
}

// maxDepth bounds the nesting below d. Discord's own messages reach about 12 levels. More would cost
// stack for nothing; much less could end a session over a message that is valid.
const maxDepth = 1024

func space(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// value passes over any value.
func (s *scanner) value(i int) int {
	if i >= len(s.b) {
		return ^i
	}
	switch c := s.b[i]; c {
	case '"':
		return s.text(i + 1)
	case '{', '[':
		return s.container(i)
	default:
		return s.scalar(i)
	}
}

// container passes over a list or an object, whatever is in it.
func (s *scanner) container(i int) int {
	b := s.b
	depth, list := 0, false

open: // b[i] opens a container inside the present one
	if depth == maxDepth {
		return ^i
	}
	if list {
		s.lists[depth>>6] |= 1 << (depth & 63)
	} else {
		s.lists[depth>>6] &^= 1 << (depth & 63)
	}
	depth++
	list = b[i] == '['
	i = space(b, i+1)
	if i >= len(b) {
		return ^i
	}
	if list {
		if b[i] == ']' {
			goto closed
		}
		goto value
	}
	if b[i] == '}' {
		goto closed
	}

key:
	if i >= len(b) || b[i] != '"' {
		return ^i
	}
	if i = s.text(i + 1); i < 0 {
		return i
	}
	if i = space(b, i); i >= len(b) || b[i] != ':' {
		return ^i
	}
	i = space(b, i+1)

value:
	if i >= len(b) {
		return ^i
	}
	switch b[i] {
	case '"':
		i = s.text(i + 1)
	case '{', '[':
		goto open
	default:
		i = s.scalar(i)
	}
	if i < 0 {
		return i
	}

ended: // a value has just ended
	i = space(b, i)
	if i >= len(b) {
		return ^i
	}
	switch {
	case b[i] == ',':
		i = space(b, i+1)
		if list {
			goto value
		}
		goto key
	case list && b[i] == ']', !list && b[i] == '}':
	default:
		return ^i
	}

closed:
	i++
	depth--
	if depth == 0 {
		return i
	}
	list = s.lists[depth>>6]&(1<<(depth&63)) != 0
	goto ended
}

const (
	ones   = 0x0101010101010101
	tops   = 0x8080808080808080
	slants = '\\' * ones
	twos   = 2 * ones
	limits = 0x21 * ones
)

// text passes over the rest of a string; i is behind its opening quote.
func (s *scanner) text(i int) int {
	b := s.b
	for i+8 <= len(b) {
		// Eight bytes at a time: tops are set at backslashes, quotes and control characters. The last two are
		// what is below 0x21 once bit 1 is turned over. Borrows may set some above the first such byte, never below.
		w := binary.LittleEndian.Uint64(b[i:])
		q, e := w^twos, w^slants
		m := (((q - limits) &^ q) | ((e - ones) &^ e)) & tops
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		if b[i] == '"' {
			return i + 1
		}
		if b[i] != '\\' {
			return ^i
		}
		if i = s.escape(i + 1); i < 0 {
			return i
		}
	}
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = s.escape(i + 1); i < 0 {
				return i
			}
			i--
		case c < ' ':
			return ^i
		}
	}
	return ^i
}

// escape passes over an escape; i is behind its backslash.
func (s *scanner) escape(i int) int {
	s.escaped = true
	if i >= len(s.b) {
		return ^i
	}
	switch s.b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		for n := 0; n < 4; n++ {
			i++
			if i >= len(s.b) || !isHex(s.b[i]) {
				return ^i
			}
		}
		return i + 1
	}
	return ^i
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// scalar passes over a number, true, false or null.
func (s *scanner) scalar(i int) int {
	b := s.b
	switch b[i] {
	case 't':
		return s.word(i, "true")
	case 'f':
		return s.word(i, "false")
	case 'n':
		return s.word(i, "null")
	case '-':
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	case i < len(b) && b[i] >= '1' && b[i] <= '9':
		i = s.digits(i)
	default:
		return ^i
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		if i = s.digits(from); i == from {
			return ^i
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		if i = s.digits(from); i == from {
			return ^i
		}
	}
	return i
}

func (s *scanner) digits(i int) int {
	for i < len(s.b) && s.b[i] >= '0' && s.b[i] <= '9' {
		i++
	}
	return i
}

func (s *scanner) word(i int, want string) int {
	if i+len(want) <= len(s.b) && string(s.b[i:i+len(want)]) == want {
		return i + len(want)
	}
	for n := 0; n < len(want); n++ {
		if i+n >= len(s.b) || s.b[i+n] != want[n] {
			return ^(i + n)
		}
	}
	return i + len(want)
}
