package gatewaysim

// guildShape is how much of everything a GUILD_CREATE has.
type guildShape struct {
	members                 uint64 // as it says
	shown                   uint64 // of them in it: those that are online
	roles, channels, emojis uint64
	channelBytes            int // channels go on to there
	atLeast                 int // members go on to there
}

// Bytes of one of each, roughly.
const (
	guildEmojiBytes  = 140
	guildMemberBytes = 289
	guildChanBytes   = 330
)

// shape follows from the guild, its size wanted, and what the session may see.
func (r *rendering) shape(giant int) guildShape {
	h := mix(r.g, 11)
	s := guildShape{members: 40 + h>>16%4000, roles: r.roles(), channels: 12 + h%28, emojis: h >> 32 % 30, atLeast: giant}
	if r.e.flags&presences != 0 {
		s.shown = min(s.members, 50) // large_threshold
	}
	if want := r.w.guildSize(r.g); want > 0 && giant == 0 {
		// A little of everything in a small guild, then channels up to the size.
		s.roles, s.emojis, s.shown = min(s.roles, uint64(want)/1500), min(s.emojis, uint64(want)/2500), min(s.shown, uint64(want)/2500)
		s.channels = 0
		s.channelBytes = want - int(s.emojis*guildEmojiBytes+s.shown*guildMemberBytes) - guildMemberBytes
	}
	return s
}

// guildSize is how large the guild is to be, 0 if it is left to chance.
func (w *world) guildSize(guildID uint64) int {
	smallest, largest := w.guildBytes[0], w.guildBytes[1]
	if largest == 0 {
		return 0
	}
	return smallest + int(mix(guildID, 21)%uint64(largest-smallest+1))
}

// appendGuild renders a whole GUILD_CREATE: 6 to 20 KB, 14 more with presences,
// or about what Options.GuildBytes says; or at least giant bytes, if that is not
// 0, filled up with members.
func appendGuild(dst []byte, r *rendering, giant int) []byte {
	start := len(dst)
	s := r.shape(giant)
	dst = guildHead.append(dst, r)
	dst = append(dst, `,"member_count":`...)
	dst = num(dst, s.members)
	dst = append(dst, `,"roles":`...)
	dst = appendRoles(dst, r, s.roles)
	dst = append(dst, `,"channels":[`...)
	for i := uint64(0); i < s.channels || len(dst)-start < s.channelBytes; i++ {
		dst = appendChannel(comma(dst, i > 0), r, i)
	}
	dst = append(dst, `],"emojis":[`...)
	for i := range s.emojis {
		dst = append(comma(dst, i > 0), `{"version":0,"roles":[],"require_colons":true,"name":"sheep`...)
		dst = num(dst, i)
		dst = append(dst, `","managed":false,"id":"`...)
		dst = append(num(dst, r.g+3<<22+i), `","available":true,"animated":false}`...)
	}
	dst = append(dst, `],"members":[{"user":{"username":"drover-sim","id":"`...)
	dst = num(dst, r.w.botID())
	dst = append(dst, `","bot":true,"discriminator":"0000","avatar":null},"roles":[],"joined_at":"2025-01-02T03:04:05.000000+00:00","deaf":false,"mute":false,"flags":0}`...)
	for i := uint64(0); i < s.shown || len(dst)-start < s.atLeast; i++ {
		dst = appendMember(dst, r, i)
	}
	return append(dst, `]}`...)
}

var guildHead = compile(`{"id":"$guild$","name":"$guildname$","icon":"$hash2$","description":null,"splash":null,"discovery_splash":null,"banner":null,"owner_id":"$owner$",` +
	`"application_id":null,"region":"us-east","joined_at":"2025-01-02T03:04:05.000000+00:00","large":false,"unavailable":false,"lazy":true,"afk_channel_id":null,"afk_timeout":300,` +
	`"system_channel_id":"$category$","system_channel_flags":0,"verification_level":1,"default_message_notifications":1,"mfa_level":0,"explicit_content_filter":2,"max_members":500000,` +
	`"vanity_url_code":null,"premium_tier":0,"premium_subscription_count":2,"nsfw_level":0,"preferred_locale":"en-US","rules_channel_id":null,"public_updates_channel_id":null,` +
	`"features":["COMMUNITY","NEWS"],"threads":[],"presences":[],"voice_states":[],"stage_instances":[],"guild_scheduled_events":[],"soundboard_sounds":[],"stickers":[],"embedded_activities":[],"version":1750000000000`)

// roles is how many the guild has, without @everyone.
func (r *rendering) roles() uint64 { return 4 + mix(r.g, 12)%12 }

func appendRoles(dst []byte, r *rendering, n uint64) []byte {
	dst = append(dst, `[{"position":0,"permissions":"2248473465835073","name":"@everyone","mentionable":false,"managed":false,"id":"`...)
	dst = append(num(dst, r.g), `","hoist":false,"flags":0,"color":0}`...)
	for i := range n {
		dst = append(dst, `,{"version":0,"unicode_emoji":null,"tags":{},"position":`...)
		dst = num(dst, i+1)
		dst = append(dst, `,"permissions":"1071698660929","name":"role `...)
		dst = num(dst, i)
		dst = append(dst, `","mentionable":false,"managed":false,"id":"`...)
		dst = append(num(dst, r.role(i)), `","icon":null,"hoist":false,"flags":0,"color":3066993}`...)
	}
	return append(dst, ']')
}

func appendChannel(dst []byte, r *rendering, i uint64) []byte {
	dst = append(dst, `{"version":0,"type":0,"topic":null,"rate_limit_per_user":0,"position":`...)
	dst = num(dst, i)
	dst = append(dst, `,"permission_overwrites":[{"type":0,"id":"`...)
	dst = num(dst, r.g)
	dst = append(dst, `","deny":"2048","allow":"0"}],"parent_id":"`...)
	dst = num(dst, r.channel(0))
	dst = append(dst, `","name":"field-`...)
	dst = num(dst, i)
	dst = append(dst, `","last_message_id":"`...)
	dst = num(dst, r.g+4<<22+i)
	dst = append(dst, `","id":"`...)
	return append(num(dst, r.g+1<<22+i), `","icon_emoji":null,"flags":0}`...)
}

func appendMember(dst []byte, r *rendering, i uint64) []byte {
	dst = append(dst, `,{"user":{"username":"shepherd.`...)
	dst = num(dst, i)
	dst = append(dst, `","id":"`...)
	dst = num(dst, r.user(i))
	dst = append(dst, `","discriminator":"0","avatar":"`...)
	dst = hash(dst, mix(r.g, i), mix(i, 3))
	dst = append(dst, `"},"roles":["`...)
	dst = num(dst, r.role(i))
	return append(dst, `"],"nick":null,"joined_at":"2025-05-06T07:08:09.000000+00:00","premium_since":null,"pending":false,"deaf":false,"mute":false,"flags":0}`...)
}
