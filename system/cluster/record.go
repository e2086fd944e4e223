package cluster

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"drover/messages"
)

// sessionRecord is a checkpoint without its guilds, as it is written under shard.<total>.<id>. Nothing
// secret stands in it: the fingerprint is a hash, and a session id is of no use without the bot's token.
type sessionRecord struct {
	Version     int    `json:"version"`
	Session     string `json:"session"`
	ResumeURL   string `json:"resume_url"`
	GatewayURL  string `json:"gateway_url,omitempty"`
	Fingerprint string `json:"fingerprint"`
	Shards      int    `json:"shards"`
	ShardID     int    `json:"shard_id"`
	Epoch       uint64 `json:"epoch,omitempty"` // of the pool's lease
	Connection  uint64 `json:"connection"`
	// By stream (EVENTS, COMMANDS), whatever configuration calls it: a stream may be renamed between two starts.
	Acked  map[string]int64  `json:"acked"`
	Stored map[string]uint64 `json:"stored"`
	// Unix ms by the writer's clock. Contact is 0 where the checkpoint has none; WrittenAt tells how old it was then.
	Contact   int64 `json:"contact"`
	WrittenAt int64 `json:"written_at"`
}

// The versions that this program writes. Another one is not read: a session is worth less than a wrong
// sequence number costs.
const (
	sessionVersion = 1
	guildVersion   = 1
)

func encodeSession(c *messages.Checkpoint, now time.Time) ([]byte, error) {
	r := sessionRecord{
		Version: sessionVersion, Session: c.Session, ResumeURL: c.ResumeURL, GatewayURL: c.GatewayURL, Fingerprint: c.Fingerprint,
		Shards: c.Shards, ShardID: c.ShardID, Epoch: c.Epoch, Connection: c.Connection,
		Acked: map[string]int64{}, Stored: map[string]uint64{}, WrittenAt: now.UnixMilli(),
	}
	if !c.Contact.IsZero() {
		r.Contact = c.Contact.UnixMilli()
	}
	for s := range messages.Stream(messages.Streams) {
		r.Acked[s.String()], r.Stored[s.String()] = c.Acked[s], c.Stored[s]
	}
	return json.Marshal(r)
}

// decodeSession reads the record of one shard of total, with all instants by the clock of who wrote it. Its errors hold nothing of the record
// but numbers.
func decodeSession(data []byte, total, shardID int) (messages.Checkpoint, error) {
	var r sessionRecord
	if json.Unmarshal(data, &r) != nil { // its text would quote the record
		return messages.Checkpoint{}, errors.New("is not the JSON of a session")
	}
	switch {
	case r.Version != sessionVersion:
		return messages.Checkpoint{}, fmt.Errorf("has version %d, not %d", r.Version, sessionVersion)
	case r.Shards != total || r.ShardID != shardID:
		return messages.Checkpoint{}, fmt.Errorf("is of shard %d of %d", r.ShardID, r.Shards)
	case r.Session == "":
		return messages.Checkpoint{}, errors.New("names no session")
	}
	c := messages.Checkpoint{
		ShardID: shardID, Shards: total, Session: r.Session, ResumeURL: r.ResumeURL, GatewayURL: r.GatewayURL,
		Fingerprint: r.Fingerprint, Epoch: r.Epoch, Connection: r.Connection,
	}
	if r.Contact != 0 {
		c.Contact = time.UnixMilli(r.Contact)
	}
	if r.WrittenAt != 0 {
		c.Written = time.UnixMilli(r.WrittenAt)
	}
	for s := range messages.Stream(messages.Streams) {
		seq, known := r.Acked[s.String()]
		if !known || seq < 0 {
			return messages.Checkpoint{}, fmt.Errorf("has no acknowledged sequence number of %s", s)
		}
		c.Acked[s], c.Stored[s] = seq, r.Stored[s.String()]
	}
	return c, nil
}

// guildRecord is the guild set of one session as of seq, as it is written under guilds.<total>.<id>. In bytes: the
// version; as varints the length of the session id, that id, seq, the number of guilds, the lowest guild id,
// and of each further one the distance to the one before. 2,500 guilds are some 18 KB, 100,000 some 650 KB.
type guildRecord struct {
	session string
	seq     int64
	guilds  []uint64 // rising
}

// encodeGuilds takes the guilds in any order and leaves them as they are.
func encodeGuilds(session string, seq int64, guilds []uint64) []byte {
	sorted := slices.Clone(guilds)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	out := make([]byte, 0, 1+3*binary.MaxVarintLen64+len(session)+8*len(sorted))
	out = append(out, guildVersion)
	out = binary.AppendUvarint(out, uint64(len(session)))
	out = append(out, session...)
	out = binary.AppendUvarint(out, uint64(max(seq, 0)))
	out = binary.AppendUvarint(out, uint64(len(sorted)))
	last := uint64(0)
	for _, id := range sorted {
		out = binary.AppendUvarint(out, id-last)
		last = id
	}
	return out
}

var errGuildRecord = errors.New("is not a guild set")

// decodeGuilds accepts only what encodeGuilds could have made, but for the length of its varints.
func decodeGuilds(data []byte) (guildRecord, error) {
	if len(data) == 0 || data[0] != guildVersion {
		return guildRecord{}, errGuildRecord
	}
	rest, whole := data[1:], true
	number := func() uint64 {
		n, size := binary.Uvarint(rest)
		if size <= 0 {
			rest, whole = nil, false
			return 0
		}
		rest = rest[size:]
		return n
	}
	n := number()
	if !whole || n > uint64(len(rest)) {
		return guildRecord{}, errGuildRecord
	}
	r := guildRecord{session: string(rest[:n])}
	rest = rest[n:]
	r.seq = int64(number())
	n = number()
	if !whole || r.seq < 0 || n > uint64(len(rest)) { // a guild takes a byte at least: nobody makes us reserve more
		return guildRecord{}, errGuildRecord
	}
	r.guilds = make([]uint64, n) // never nil: a bot in no guild knows that it is in none
	last := uint64(0)
	for i := range r.guilds {
		id := last + number()
		if !whole || i > 0 && id <= last { // not rising: twice the same, or beyond 64 bits
			return guildRecord{}, errGuildRecord
		}
		r.guilds[i], last = id, id
	}
	if len(rest) != 0 {
		return guildRecord{}, errGuildRecord
	}
	return r, nil
}
