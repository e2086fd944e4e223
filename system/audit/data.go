package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"drover/messages"
)

// Two types carry members in front of Discord's own (contract §3).
const (
	memberJoin  = "member.join"
	interaction = "interaction.create"
)

func spliced(typ string) bool { return typ == memberJoin || typ == interaction }

// altered says what of s is not what d demands; empty: nothing.
func altered(d *Sent, s *Stored) string {
	if s.T != d.T {
		return fmt.Sprintf("Drover-Event is %s", s.T)
	}
	if s.Shard != d.Shard {
		return fmt.Sprintf("shard_id is %d", s.Shard)
	}
	if want := messages.EventID(d.Session, d.Seq); s.ID != want || s.EnvelopeID != want {
		return fmt.Sprintf("id %s and event_id %s, want %s", s.ID, s.EnvelopeID, want)
	}
	data := d.D()
	if spliced(s.Type) {
		return alteredBySplice(s.Type, s.Data, data)
	}
	if sha256.Sum256(data) != s.Sum {
		return "data has other bytes"
	}
	return ""
}

// alteredBySplice compares data that begins with members of ours: behind them stands d, byte for byte.
func alteredBySplice(typ string, data, d []byte) string {
	if len(d) < 2 || !bytes.HasSuffix(data, d[1:]) {
		return "data does not end with Discord's bytes"
	}
	front := bytes.TrimSuffix(data[:len(data)-len(d)+1], []byte(","))
	var ours map[string]json.RawMessage
	if err := json.Unmarshal(append(bytes.Clone(front), '}'), &ours); err != nil {
		return "the members in front of Discord's are no JSON"
	}
	var theirs struct {
		ID, Token json.RawMessage
		User      struct{ Username json.RawMessage }
	}
	if err := json.Unmarshal(d, &theirs); err != nil {
		return "Discord's data is no JSON: " + err.Error()
	}
	want := map[string]json.RawMessage{"username": theirs.User.Username, "discriminator": nil}
	if typ == interaction {
		want = map[string]json.RawMessage{"interaction_id": theirs.ID, "interaction_token": theirs.Token, "interaction_type": nil}
	}
	for name, value := range want {
		got, ok := ours[name]
		if !ok || value != nil && !bytes.Equal(got, value) {
			return "the member " + name + " in front is wrong"
		}
	}
	return ""
}
