package gatewaysim

// appendGuild renders a whole GUILD_CREATE: between 8 and 60 KB, or at least
// size bytes, if size is not 0, filled up with members.
func appendGuild(dst []byte, r *rendering, size int) []byte {
	start := len(dst)
	h := mix(r.g, 11)
	channels, members := 12+h%28, 40+h>>16%4000
	dst = guildHead.append(dst, r)
	dst = append(dst, `,"member_count":`...)
	dst = num(dst, members)
	dst = append(dst, `,"roles":`...)
	dst = appendRoles(dst, r)
	dst = append(dst, `,"channels":[`...)
	for i := range channels {
		dst = appendChannel(comma(dst, i > 0), r, i)
	}
	dst = append(dst, `],"emojis":[`...)
	for i := range h >> 32 % 30 {
		dst = append(comma(dst, i > 0), `{"version":0,"roles":[],"require_colons":true,"name":"sheep`...)
		dst = num(dst, i)
		dst = append(dst, `","managed":false,"id":"`...)
		dst = append(num(dst, r.g+3<<22+i), `","available":true,"animated":false}`...)
	}
	dst = append(dst, `],"members":[{"user":{"username":"drover-sim","id":"`...)
	dst = num(dst, r.w.botID())
	dst = append(dst, `","bot":true,"discriminator":"0000","avatar":null},"roles":[],"joined_at":"2025-01-02T03:04:05.000000+00:00","deaf":false,"mute":false,"flags":0}`...)
	shown := uint64(0)
	if r.e.flags&presences != 0 {
		shown = min(members, 50) // large_threshold
	}
	for i := uint64(0); i < shown || len(dst)-start < size; i++ {
		dst = appendMember(dst, r, i)
	}
	return append(dst, `]}`...)
}

var guildHead = compile(`{"id":"$guild$","name":"$guildname$","icon":"$hash2$","description":null,"splash":null,"discovery_splash":null,"banner":null,"owner_id":"$owner$",` +
	`"application_id":null,"region":"us-east","joined_at":"2025-01-02T03:04:05.000000+00:00","large":false,"unavailable":false,"lazy":true,"afk_channel_id":null,"afk_timeout":300,` +
	`"system_channel_id":"$category$","system_channel_flags":0,"verification_level":1,"default_message_notifications":1,"mfa_level":0,"explicit_content_filter":2,"max_members":500000,` +
	`"vanity_url_code":null,"premium_tier":0,"premium_subscription_count":2,"nsfw_level":0,"preferred_locale":"en-US","rules_channel_id":null,"public_updates_channel_id":null,` +
	`"features":["COMMUNITY","NEWS"],"threads":[],"presences":[],"voice_states":[],"stage_instances":[],"guild_scheduled_events":[],"soundboard_sounds":[],"stickers":[],"embedded_activities":[],"version":1750000000000`)

func appendRoles(dst []byte, r *rendering) []byte {
	dst = append(dst, `[{"position":0,"permissions":"2248473465835073","name":"@everyone","mentionable":false,"managed":false,"id":"`...)
	dst = append(num(dst, r.g), `","hoist":false,"flags":0,"color":0}`...)
	for i := range 4 + mix(r.g, 12)%12 {
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
