package messages

import (
	"encoding/json"
	"strconv"
	"time"
)

// LifeCycle is one of drover's own events about a shard, published beside Discord's for workers
// that keep state (contract §2). Exactly one of the pointers is set.
type LifeCycle struct {
	ShardID    int
	Session    string // Discord's whole session id; may be empty before the first READY
	Seq        int64  // last sequence number read in Session
	Connection uint64 // number of the shard's connection; keeps ids of one session apart
	At         time.Time
	Fence      Fence   // must be valid whenever it is sent; the root sets that of the shard's pool where it is nil
	Receipt    Receipt // learns of the acknowledgement; may be nil

	Ready   *ReadyData
	Resumed *ResumedData
	Down    *DownData
	Gap     *GapData
}

// ReadyData says that a new session has begun.
type ReadyData struct {
	Session string `json:"session"` // first 8 characters
	Guilds  int    `json:"guilds"`  // guilds listed in READY
}

// ResumedData says that a session goes on after a lost connection.
type ResumedData struct {
	Session  string `json:"session"`
	FromSeq  int64  `json:"from_seq"` // the sequence number that the RESUME named
	Replayed int    `json:"replayed"` // dispatches replayed before RESUMED
}

// DownData says that a shard's connection ended.
type DownData struct {
	Reason    string `json:"reason"`
	CloseCode int    `json:"close_code"` // 0 where the connection ended without one
	Next      string `json:"next"`       // resume, identify or stop
}

// GapData says that events between From and To may be missing, so that whoever keeps state must reconcile.
type GapData struct {
	Reason  string `json:"reason"`
	Session string `json:"session"` // first 8 characters
	// LastAckedSeq is the sequence number of Session up to which everything is stored when this event is: it stands in
	// front of it. Interactions have a stream of their own, and may be stored a little later.
	LastAckedSeq int64 `json:"last_acked_seq"`
	From         int64 `json:"from"` // Unix ms; 0: not known
	To           int64 `json:"to"`   // Unix ms
}

// Reasons of a shard.gap, in the words of the contract; GapShed is another one.
const (
	GapSessionLost     = "session_lost"     // Discord no longer holds the session, or RESUME failed too often
	GapSessionExpired  = "session_expired"  // the last contact is too long ago to try a RESUME
	GapIdentityChanged = "identity_changed" // token, intents or sharding are other than the session's
	GapSpoolOverflow   = "spool_overflow"   // the session was lost while neither window nor spool had room
	GapSpoolStranded   = "spool_stranded"   // what the spool holds is of a session that nobody here can resume
	GapStreamLost      = "stream_lost"      // a stream had to be made again: what was acknowledged may be gone
)

// GapReasons lists all of them.
var GapReasons = []string{
	GapSessionLost, GapSessionExpired, GapIdentityChanged, GapSpoolOverflow, GapSpoolStranded, GapShed, GapStreamLost,
}

// Event makes the event to publish. Its id is derived from session, type, sequence and connection; that of a gap
// also from its reason and end, since one connection may see several.
func (l *LifeCycle) Event() *Event {
	kind, data := l.kind()
	body, err := json.Marshal(data)
	if err != nil {
		body = nil // cannot be: plain structs of strings and numbers
	}
	id := AppendSeq(nil, l.Session, l.Seq)
	id = append(append(id, ':'), kind.Type...)
	id = strconv.AppendUint(append(id, ':'), l.Connection, 10)
	if l.Gap != nil {
		id = strconv.AppendInt(append(append(append(id, ':'), l.Gap.Reason...), ':'), l.Gap.To, 10)
	}
	if l.Session == "" { // nothing of Discord's tells one shard's first failures from another's
		id = strconv.AppendInt(append(id, ':'), int64(l.ShardID), 10)
		id = strconv.AppendInt(append(id, ':'), l.At.UnixNano(), 10)
	}
	return &Event{
		Kind: kind, Session: l.Session, Seq: l.Seq, ShardID: l.ShardID, Read: l.At, Data: body, ID: hashID(id),
		Fence: l.Fence, Receipt: l.Receipt,
	}
}

func (l *LifeCycle) kind() (*Kind, any) {
	switch {
	case l.Ready != nil:
		return ShardReadyKind, l.Ready
	case l.Resumed != nil:
		return ShardResumedKind, l.Resumed
	case l.Gap != nil:
		return ShardGapKind, l.Gap
	}
	return ShardDownKind, l.Down
}

// ShortSession is the part of a session id that may be shown: its first 8 characters.
func ShortSession(session string) string {
	if len(session) > 8 {
		return session[:8]
	}
	return session
}

// OfflineLeave makes the guild.leave of a guild that the bot left while the shard had no session, so that no
// dispatch tells of it. Its id follows from the lost session and the guild: told again, it is the same event.
func OfflineLeave(lostSession string, guildID uint64, shardID int, at time.Time) *Event {
	guild := strconv.FormatUint(guildID, 10)
	return &Event{
		Kind: GuildLeave, Session: lostSession, ShardID: shardID, Read: at, GuildID: []byte(guild),
		Data: []byte(`{"id":"` + guild + `","offline":true}`), ID: hashID([]byte(lostSession + ":guild:" + guild)),
	}
}
