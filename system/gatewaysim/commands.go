package gatewaysim

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// command answers what a bot sends on a running session.
func (c *conn) command(now time.Time, ses *session, op int, d json.RawMessage) {
	c.srv.count.commands.Add(1)
	var err error
	switch op {
	case opPresence:
		err = c.presence(now, d)
	case opVoiceState:
		err = c.voiceState(ses, d)
	case opRequestMembers:
		err = c.requestMembers(now, ses, d)
	case opSoundboard:
		err = c.soundboard(ses, d)
	case opChannelInfo:
		err = c.channelInfo(ses, d)
	}
	if err != nil {
		c.protest(closeDecode, fmt.Sprintf("op %d cannot be decoded", op))
	}
}

// presence takes op 3. What Discord does with more than 5 in 20 s is not
// documented: here they are noted and have no effect.
func (c *conn) presence(now time.Time, d json.RawMessage) error {
	var p struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(d, &p); err != nil {
		return err
	}
	recent := c.presences[:0]
	for _, t := range c.presences {
		if now.Sub(t) < 20*time.Second {
			recent = append(recent, t)
		}
	}
	c.presences = append(recent, now)
	if len(c.presences) > presenceUpdatesPerWindow {
		c.srv.count.presenceSpam.Add(1)
		c.srv.violate(c, "more than 5 presence updates in 20 s")
	}
	return nil
}

func (c *conn) voiceState(ses *session, d json.RawMessage) error {
	var v struct {
		GuildID   snowflake  `json:"guild_id"`
		ChannelID *snowflake `json:"channel_id"`
		SelfMute  bool       `json:"self_mute"`
		SelfDeaf  bool       `json:"self_deaf"`
	}
	if err := json.Unmarshal(d, &v); err != nil {
		return err
	}
	bot := snowflake(c.srv.world.botID())
	if ses.intents&(1<<7) != 0 {
		ses.addJSON("VOICE_STATE_UPDATE", map[string]any{"guild_id": v.GuildID, "channel_id": v.ChannelID, "user_id": bot,
			"session_id": short(ses.id), "self_mute": v.SelfMute, "self_deaf": v.SelfDeaf, "mute": false, "deaf": false,
			"suppress": false, "self_video": false, "request_to_speak_timestamp": nil})
	}
	if v.ChannelID != nil {
		ses.addJSON("VOICE_SERVER_UPDATE", map[string]any{"token": "voice", "guild_id": v.GuildID, "endpoint": "voice.invalid:443"})
	}
	return nil
}

// requestMembers answers op 8 with GUILD_MEMBERS_CHUNKs, or RATE_LIMITED when
// one whole guild is asked for twice in 30 s.
func (c *conn) requestMembers(now time.Time, ses *session, d json.RawMessage) error {
	var q struct {
		GuildID snowflake   `json:"guild_id"`
		Query   *string     `json:"query"`
		Limit   int         `json:"limit"`
		UserIDs []snowflake `json:"user_ids"`
		Nonce   string      `json:"nonce"`
	}
	if err := json.Unmarshal(d, &q); err != nil {
		return err
	}
	c.srv.count.memberRequests.Add(1)
	whole := len(q.UserIDs) == 0 && q.Limit == 0 && (q.Query == nil || *q.Query == "")
	if whole {
		if wait := c.srv.world.membersWait(uint64(q.GuildID), now); wait > 0 {
			c.srv.count.membersRateLimits.Add(1)
			ses.addJSON("RATE_LIMITED", map[string]any{"opcode": opRequestMembers, "retry_after": wait.Seconds(),
				"meta": map[string]any{"guild_id": q.GuildID, "nonce": q.Nonce}})
			return nil
		}
	}
	i, known := c.srv.world.indexOf(uint64(q.GuildID))
	if !known || !ses.owns(uint64(q.GuildID)) {
		return nil // a foreign guild gets no answer
	}
	r := rendering{w: c.srv.world, g: uint64(q.GuildID), e: &event{guild: i}}
	members, missing := []any{}, []snowflake{}
	for n := range uint64(guildMembersOfOneChunk) {
		members = append(members, map[string]any{"user": map[string]any{"id": snowflake(r.user(n)), "username": "shepherd." + strconv.Itoa(int(n))},
			"roles": []any{}, "joined_at": "2025-05-06T07:08:09.000000+00:00", "deaf": false, "mute": false})
	}
	if len(q.UserIDs) > 0 {
		members, missing = []any{}, q.UserIDs[:min(100, len(q.UserIDs))]
	}
	chunk := map[string]any{"guild_id": q.GuildID, "members": members, "chunk_index": 0, "chunk_count": 1, "not_found": missing}
	if q.Nonce != "" && len(q.Nonce) <= 32 { // a longer one is dropped
		chunk["nonce"] = q.Nonce
	}
	ses.addJSON("GUILD_MEMBERS_CHUNK", chunk)
	return nil
}

func (c *conn) soundboard(ses *session, d json.RawMessage) error {
	var q struct {
		GuildIDs []snowflake `json:"guild_ids"`
	}
	if err := json.Unmarshal(d, &q); err != nil {
		return err
	}
	for _, id := range q.GuildIDs[:min(maxSoundboardGuilds, len(q.GuildIDs))] {
		if ses.owns(uint64(id)) {
			ses.addJSON("SOUNDBOARD_SOUNDS", map[string]any{"guild_id": id, "soundboard_sounds": []any{}})
		}
	}
	return nil
}

func (c *conn) channelInfo(ses *session, d json.RawMessage) error {
	var q struct {
		GuildID snowflake `json:"guild_id"`
		Fields  []string  `json:"fields"`
	}
	if err := json.Unmarshal(d, &q); err != nil {
		return err
	}
	ses.addJSON("CHANNEL_INFO", map[string]any{"guild_id": q.GuildID, "channels": []any{}})
	return nil
}

// addJSON dispatches t with v as its d.
func (ses *session) addJSON(t string, v any) {
	d, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values; cannot happen
	}
	ses.add(event{kind: kindRaw, raw: &rawEvent{t, d}})
}

// snowflake is an id: written as a string, read from a string or a number.
type snowflake uint64

func (id snowflake) MarshalJSON() ([]byte, error) {
	return append(strconv.AppendUint([]byte{'"'}, uint64(id), 10), '"'), nil
}

func (id *snowflake) UnmarshalJSON(b []byte) error {
	if len(b) >= 2 && b[0] == '"' {
		b = b[1 : len(b)-1]
	}
	n, err := strconv.ParseUint(string(b), 10, 64)
	*id = snowflake(n)
	return err
}
