package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"drover/messages"
)

// Frame is one message of the gateway as Scan found it. All its slices alias the scanned bytes and
// are valid as long as those are.
//
// A Frame belongs to one goroutine. It is meant to be used again for the next message.
type Frame struct {
	Op int    // -1 when absent or null, so that an empty object is no dispatch
	T  []byte // name of the dispatch, without quotes; nil when null or absent
	S  int64  // sequence number; 0 when null or absent
	D  []byte // the raw value; nil when absent

	src []byte
	at  [paths]span // raw values inside D that ids are made of
	row *eventRow   // of T; set by the first use
}

// span is a part of a frame. The zero span is nothing, for no value starts at byte 0.
type span struct{ from, to uint32 }

// path is a place inside d that some dispatch has an id (or a name) at.
type path uint8

const (
	nowhere path = iota
	atGuildID
	atChannelID
	atUserID
	atID
	atCreatorID
	atOwnerID
	atUserDotID
	atAuthorDotID
	atMemberUserDotID
	atInviterDotID
	atMetaGuildID
	atOptionsChannelID
	atUsername      // user.username
	atDiscriminator // user.discriminator
	atUnavailable
	atType // of an interaction, and of much else
	atToken
	atData
	paths
)

// ErrNoObject says that a message is not a JSON object at all.
var ErrNoObject = errors.New("gateway: scan: message is not a JSON object")

// ScanError says that a message is no valid JSON, or not in the form of a gateway message. It tells
// nothing of the content.
type ScanError struct {
	Offset int    // of the first byte that cannot be
	Len    int    // of the message; equal to Offset where it ends too early
	What   string // "invalid JSON", or which of op, s and t has the wrong type
}

// Error implements error.
func (e *ScanError) Error() string {
	return fmt.Sprintf("gateway: scan: %s at byte %d of %d", e.What, e.Offset, e.Len)
}

// Scan reads the message b into f in one pass and without an allocation: op, t, s, the extent of d,
// and whatever ids d has. The order of the keys is free, unknown ones are passed over, and the last
// of several equal keys counts, as with encoding/json (but keys must match in case).
//
// All of b is checked: what encoding/json rejects is rejected here. Beyond that a nesting of more than
// 1024 levels is refused, and an op or s that is no integer, or a t that is no string. Errors are
// ErrNoObject and *ScanError; f is then not to be used.
func Scan(b []byte, f *Frame) error {
	*f = Frame{Op: -1, src: b}
	i := space(b, 0)
	if i >= len(b) || b[i] != '{' || len(b) > maxInflated {
		return ErrNoObject
	}
	s := scanner{b: b, f: f}
	if i = s.object(i, inTop); i < 0 {
		return s.failed(^i)
	}
	if i = space(b, i); i < len(b) {
		return s.failed(i)
	}
	return nil
}

func (s *scanner) failed(offset int) error {
	if s.what == "" {
		s.what = "invalid JSON"
	}
	return &ScanError{Offset: offset, Len: len(s.b), What: s.what}
}

// node is an object that has members which Scan wants.
type node uint8

const (
	inTop node = iota
	inD
	inUser
	inAuthor
	inMember
	inMemberUser
	inInviter
	inMeta
	inOptions
	inNothing
)

// object reads the object that begins at b[i] and returns the index behind it, or ^offset. It calls
// itself only for nodes, so at most three deep; all other values are passed over without recursion.
func (s *scanner) object(i int, n node) int {
	b := s.b
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return ^i
		}
		from := i + 1
		s.escaped = false
		if i = s.text(from); i < 0 {
			return i
		}
		key := b[from : i-1]
		if s.escaped {
			key = unescape(b[from-1 : i])
		}
		if i = space(b, i); i >= len(b) || b[i] != ':' {
			return ^i
		}
		i = space(b, i+1)
		p, child := nowhere, inNothing
		switch n {
		case inTop:
			if i = s.topMember(key, i); i < 0 {
				return i
			}
			goto next
		case inD:
			p, child = dMember(key)
		case inMember:
			if string(key) == "user" {
				child = inMemberUser
			}
		default:
			p = leafMember(n, key)
		}
		from = i
		if child != inNothing {
			s.forget(child)
			if i < len(b) && b[i] == '{' {
				i = s.object(i, child)
			} else {
				i = s.value(i)
			}
		} else {
			i = s.value(i)
		}
		if i < 0 {
			return i
		}
		if p != nowhere {
			s.f.at[p] = span{uint32(from), uint32(i)}
		}
	next:
		i = space(b, i)
		if i >= len(b) {
			return ^i
		}
		switch b[i] {
		case ',':
			i = space(b, i+1)
		case '}':
			return i + 1
		default:
			return ^i
		}
	}
}

// topMember reads the value of one of the message's own members.
func (s *scanner) topMember(key []byte, i int) int {
	from, f := i, s.f
	switch string(key) {
	case "d":
		f.at = [paths]span{}
		if i < len(s.b) && s.b[i] == '{' {
			i = s.object(i, inD)
		} else {
			i = s.value(i)
		}
		if i >= 0 {
			f.D = s.b[from:i:i]
		}
		return i
	case "op":
		if i = s.value(i); i < 0 {
			return i
		}
		n, ok := integer(s.b[from:i], -1)
		f.Op = int(n)
		return s.must(ok, "op is no integer", from, i)
	case "s":
		if i = s.value(i); i < 0 {
			return i
		}
		n, ok := integer(s.b[from:i], 0)
		f.S = n
		return s.must(ok, "s is no integer", from, i)
	case "t":
		if i = s.value(i); i < 0 {
			return i
		}
		raw := s.b[from:i]
		f.T = nil
		if raw[0] == '"' {
			f.T = plain(raw)
		}
		return s.must(raw[0] == '"' || raw[0] == 'n', "t is no string", from, i)
	}
	return s.value(i)
}

func (s *scanner) must(ok bool, what string, from, i int) int {
	if ok {
		return i
	}
	s.what = what
	return ^from
}

// dMember says what a member of d is to Scan: a value to note, an object to look into, or nothing.
func dMember(key []byte) (path, node) {
	switch string(key) {
	case "id":
		return atID, inNothing
	case "guild_id":
		return atGuildID, inNothing
	case "channel_id":
		return atChannelID, inNothing
	case "user_id":
		return atUserID, inNothing
	case "creator_id":
		return atCreatorID, inNothing
	case "owner_id":
		return atOwnerID, inNothing
	case "unavailable":
		return atUnavailable, inNothing
	case "type":
		return atType, inNothing
	case "token":
		return atToken, inNothing
	case "data":
		return atData, inNothing
	case "user":
		return nowhere, inUser
	case "author":
		return nowhere, inAuthor
	case "member":
		return nowhere, inMember
	case "inviter":
		return nowhere, inInviter
	case "meta":
		return nowhere, inMeta
	case "options":
		return nowhere, inOptions
	}
	return nowhere, inNothing
}

func leafMember(n node, key []byte) path {
	switch n {
	case inMeta:
		if string(key) == "guild_id" {
			return atMetaGuildID
		}
		return nowhere
	case inOptions:
		if string(key) == "channel_id" {
			return atOptionsChannelID
		}
		return nowhere
	case inUser:
		switch string(key) {
		case "username":
			return atUsername
		case "discriminator":
			return atDiscriminator
		}
	}
	if string(key) != "id" {
		return nowhere
	}
	switch n {
	case inUser:
		return atUserDotID
	case inAuthor:
		return atAuthorDotID
	case inMemberUser:
		return atMemberUserDotID
	case inInviter:
		return atInviterDotID
	}
	return nowhere
}

// forget drops what an earlier member of the same name had: the last one counts.
func (s *scanner) forget(n node) {
	at := &s.f.at
	switch n {
	case inUser:
		at[atUserDotID], at[atUsername], at[atDiscriminator] = span{}, span{}, span{}
	case inAuthor:
		at[atAuthorDotID] = span{}
	case inMember, inMemberUser:
		at[atMemberUserDotID] = span{}
	case inInviter:
		at[atInviterDotID] = span{}
	case inMeta:
		at[atMetaGuildID] = span{}
	case inOptions:
		at[atOptionsChannelID] = span{}
	}
}

// GuildID returns the digits of the dispatch's guild id, or nil. Where it stands depends on T; for
// a T that nobody knows it is d's own guild_id.
func (f *Frame) GuildID() []byte { return f.id(f.event().guild) }

// ChannelID returns the digits of the dispatch's channel id, or nil.
func (f *Frame) ChannelID() []byte { return f.id(f.event().channel) }

// UserID returns the digits of the id of the user whom the dispatch is about, or nil.
func (f *Frame) UserID() []byte {
	row := f.event()
	if id := f.id(row.user); id != nil {
		return id
	}
	return f.id(row.elseUser)
}

// Unavailable reports whether d says "unavailable": true, as a guild in an outage does.
func (f *Frame) Unavailable() bool { return string(f.raw(atUnavailable)) == "true" }

// MemberJoin returns what the envelope of a GUILD_MEMBER_ADD repeats in front of its data.
func (f *Frame) MemberJoin() messages.MemberJoin {
	return messages.MemberJoin{
		Username:      quoted(f.raw(atUsername)),
		Discriminator: quoted(f.raw(atDiscriminator)),
	}
}

func (f *Frame) event() *eventRow {
	if f.row == nil {
		f.row = rowOf(f.T)
	}
	return f.row
}

func (f *Frame) raw(p path) []byte {
	at := f.at[p]
	return f.src[at.from:at.to:at.to]
}

// id returns the digits of the value at p: a string or an integer of 1 to 20 digits. Anything else
// is no id, and nil.
func (f *Frame) id(p path) []byte { return digits(f.raw(p)) }

func digits(raw []byte) []byte {
	if q := quoted(raw); q != nil {
		raw = q[1 : len(q)-1]
	}
	if len(raw) < 1 || len(raw) > 20 {
		return nil
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return nil
		}
	}
	return raw
}

// quoted returns raw if it is a JSON string, else nil.
func quoted(raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' {
		return nil
	}
	return raw
}

// integer parses a valid JSON value as an integer; null is absent.
func integer(raw []byte, absent int64) (n int64, ok bool) {
	if raw[0] == 'n' {
		return absent, true
	}
	if len(raw) > 18 || raw[0] == '-' {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		return n, err == nil
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// plain returns the text of a raw JSON string. Only escapes and bytes beyond ASCII, which no name of
// Discord's has, cost an allocation.
func plain(raw []byte) []byte {
	for _, c := range raw {
		if c == '\\' || c >= 0x80 {
			return unescape(raw)
		}
	}
	return raw[1 : len(raw)-1 : len(raw)-1]
}

func unescape(raw []byte) []byte {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return nil // cannot be: raw has been checked
	}
	return []byte(text)
}
