package gatewaysim

// The texts of traffic: what Discord sends, with made-up values. $name$ is a
// field (templates.go). Keys stand in Discord's usual order, and contents hold
// escapes, emoji and text that looks like JSON, as real ones do.

const userText = `{"id":"$user$","username":"$uname$","global_name":"$gname$","discriminator":"0","avatar":"$hash$","avatar_decoration_data":null,` +
	`"banner":null,"accent_color":null,"public_flags":$flags$,"bot":false,"primary_guild":{"identity_guild_id":"$guild$","identity_enabled":true,"tag":"DROV","badge":"$hash2$"},` +
	`"clan":null,"collectibles":null,"display_name_styles":null}`

const memberKeys = `"roles":$roles$,"premium_since":null,"pending":false,"nick":$nick$,"mute":false,"joined_at":"$joined$","flags":$flags$,` +
	`"deaf":false,"communication_disabled_until":null,"banner":null,"avatar":null`

const messageText = `{"type":0,"tts":false,"timestamp":"$ts$","pinned":false,"nonce":"$id2$",` +
	`"mentions":$mentions$,` +
	`"mention_roles":[],"mention_everyone":false,"member":{` + memberKeys + `},"id":"$id$","flags":0,"embeds":$embeds$,"edited_timestamp":null,` +
	`"content":"$content$","components":[],"channel_type":0,"channel_id":"$channel$","author":` + userText + `,"attachments":$attachments$,"guild_id":"$guild$"}`

const messageDeleteText = `{"id":"$id$","channel_id":"$channel$","guild_id":"$guild$"}`

const reactionText = `{"user_id":"$user$","type":0,"message_id":"$id$","message_author_id":"$bot$","member":{"user":` + userText + `,` + memberKeys + `},` +
	`"emoji":{"name":"\ud83d\udc4d","id":null},"channel_id":"$channel$","burst":false,"guild_id":"$guild$"}`

const memberAddText = `{"user":` + userText + `,"roles":[],"premium_since":null,"pending":true,"nick":null,"mute":false,"joined_at":"$ts$","flags":0,` +
	`"deaf":false,"communication_disabled_until":null,"unusual_dm_activity_until":null,"banner":null,"avatar":null,"guild_id":"$guild$"}`

const memberUpdateText = `{"user":` + userText + `,` + memberKeys + `,"unusual_dm_activity_until":null,"guild_id":"$guild$"}`

const memberRemoveText = `{"user":` + userText + `,"guild_id":"$guild$"}`

const interactionHead = `{"version":1,"type":%TYPE%,"token":"$itoken$","member":{"user":` + userText + `,"unusual_dm_activity_until":null,` + memberKeys + `,"permissions":"2248473465835073"},` +
	`"locale":"en-GB","id":"$id$","guild_locale":"en-US","guild_id":"$guild$","guild":{"locale":"en-US","id":"$guild$","features":["NEWS","COMMUNITY","AUTO_MODERATION","INVITE_SPLASH"]},` +
	`"entitlements":[],"entitlement_sku_ids":[],"context":0,"channel_id":"$channel$","channel":{"type":0,"topic":"$topic$","theme_color":null,"rate_limit_per_user":0,"position":3,"permissions":"2248473465835073","parent_id":"$category$","nsfw":false,"name":"general","last_message_id":"$id2$","id":"$channel$","icon_emoji":{"name":"\ud83d\udc4b","id":null},"guild_id":"$guild$","flags":0},` +
	`"authorizing_integration_owners":{"0":"$guild$"},"attachment_size_limit":10485760,"application_id":"$bot$","app_permissions":"2248473465835073","data":`

var (
	commandText = interaction(2, `{"type":1,"name":"$command$","id":"$cmdid$","options":[{"type":3,"name":"reason","value":"$short$"},{"type":6,"name":"member","value":"$user2$"},{"type":4,"name":"days","value":7}],`+
		`"resolved":{"users":{"$user2$":{"id":"$user2$","username":"$uname$","discriminator":"0","avatar":"$hash2$","public_flags":0}},"members":{"$user2$":{`+memberKeys+`,"permissions":"1071698660929"}}}}`)
	subcommandText   = interaction(2, `{"type":1,"name":"config","id":"$cmdid$","options":[{"type":2,"name":"welcome","options":[{"type":1,"name":"$command$","options":[{"type":7,"name":"channel","value":"$channel$"},{"type":3,"name":"text","value":"$short$"}]}]}]}`)
	componentText    = `{"message":` + componentMessage + `,` + interaction(3, `{"id":2,"custom_id":"page:$num$:$user$","component_type":2}`)[1:]
	autocompleteText = interaction(4, `{"type":1,"name":"$command$","id":"$cmdid$","options":[{"type":3,"name":"query","value":"dro","focused":true}]}`)
	modalText        = interaction(5, `{"custom_id":"report:$user2$","components":[{"type":1,"id":1,"components":[{"value":"$short$","type":4,"id":2,"custom_id":"why"}]},{"type":1,"id":3,"components":[{"value":"$topic$","type":4,"id":4,"custom_id":"where"}]}]}`)
)

const componentMessage = `{"type":20,"tts":false,"timestamp":"$joined$","pinned":false,"mentions":[],"mention_roles":[],"mention_everyone":false,"id":"$id2$","flags":0,` +
	`"embeds":[{"type":"rich","title":"Page $num$","description":"$topic$","color":5793266,"content_scan_version":0}],"edited_timestamp":null,"content":"",` +
	`"components":[{"type":1,"id":1,"components":[{"type":2,"style":1,"label":"Next","id":2,"custom_id":"page:$num$:$user$"}]}],"channel_id":"$channel$",` +
	`"author":{"username":"drover-sim","public_flags":0,"id":"$bot$","global_name":null,"discriminator":"0000","bot":true,"avatar":null},"attachments":[],"application_id":"$bot$"}`

const guildUpdateText = `{"id":"$guild$","name":"$guildname$","icon":"$hash$","description":"$topic$","splash":null,"discovery_splash":null,"banner":null,"owner_id":"$owner$","application_id":null,"region":"us-east",` +
	`"afk_channel_id":null,"afk_timeout":300,"system_channel_id":"$channel$","system_channel_flags":0,"widget_enabled":false,"widget_channel_id":null,"verification_level":2,` +
	`"default_message_notifications":1,"mfa_level":0,"explicit_content_filter":2,"max_presences":null,"max_members":500000,"max_video_channel_users":25,"vanity_url_code":null,"premium_tier":1,` +
	`"premium_subscription_count":3,"nsfw":false,"nsfw_level":0,"preferred_locale":"en-US","rules_channel_id":null,"public_updates_channel_id":null,"hub_type":null,"premium_progress_bar_enabled":false,` +
	`"roles":$guildroles$,"emojis":[],"stickers":[],"features":["NEWS","COMMUNITY"],"incidents_data":null,"inventory_settings":null,"embed_enabled":false,"embed_channel_id":null,"guild_id":"$guild$"}`

const roleText = `{"role":{"version":$num$,"unicode_emoji":null,"tags":{},"position":4,"permissions":"1071698660929","name":"helpers","mentionable":true,"managed":false,"id":"$role$","icon":null,"hoist":true,"flags":0,"description":null,"colors":{"tertiary_color":null,"secondary_color":null,"primary_color":3066993},"color":3066993},"guild_id":"$guild$"}`

const channelText = `{"version":$num$,"type":0,"topic":"$topic$","rate_limit_per_user":0,"position":2,"permission_overwrites":[{"type":0,"id":"$guild$","deny":"1024","allow":"0"},{"type":0,"id":"$role$","deny":"0","allow":"1024"}],` +
	`"parent_id":"$category$","nsfw":false,"name":"general","last_message_id":"$id2$","id":"$channel$","icon_emoji":null,"theme_color":null,"guild_id":"$guild$","flags":0}`

const typingText = `{"user_id":"$user$","timestamp":$unix$,"member":{"user":` + userText + `,` + memberKeys + `},"channel_id":"$channel$","guild_id":"$guild$"}`

const presenceText = `{"user":{"id":"$user$"},"status":"idle","processed_at_timestamp":$unix$,"guild_id":"$guild$","client_status":{"web":"idle"},"activities":[{"type":0,"name":"Sheep Dog Trials","id":"$hash$","created_at":$unix$}]}`

const voiceText = `{"member":{"user":` + userText + `,` + memberKeys + `},"user_id":"$user$","suppress":false,"session_id":"$hash2$","self_video":false,"self_mute":false,"self_deaf":false,"request_to_speak_timestamp":null,"mute":false,"guild_id":"$guild$","deaf":false,"channel_id":"$channel$"}`

const directMessageText = `{"type":0,"tts":false,"timestamp":"$ts$","pinned":false,"nonce":"$id2$","mentions":[],"mention_roles":[],"mention_everyone":false,"id":"$id$","flags":0,"embeds":[],"edited_timestamp":null,` +
	`"content":"$direct$","components":[],"channel_type":1,"channel_id":"$dm$","author":{"id":"$user$","username":"$uname$","global_name":"$gname$","discriminator":"0","avatar":"$hash$","public_flags":0},"attachments":[]}`

const directCommandText = `{"version":1,"user":{"id":"$user$","username":"$uname$","global_name":"$gname$","discriminator":"0","avatar":"$hash$","public_flags":0},"type":2,"token":"$itoken$","locale":"en-GB","id":"$id$","entitlements":[],"context":1,"channel_id":"$dm$",` +
	`"channel":{"type":1,"last_message_id":"$id2$","id":"$dm$","flags":0},"authorizing_integration_owners":{"0":"0"},"attachment_size_limit":10485760,"application_id":"$bot$","app_permissions":"562949953601536","data":{"type":1,"name":"$command$","id":"$cmdid$"}}`

// contents are message texts; a message has several of them in a row.
var contents = []string{
	`has anyone seen the new collie at the farm? `,
	`she said \"bring the \\\"good\\\" whistle\" and left `,
	`the gate on the north field is open again, I closed it twice today `,
	`\ud83d\udc11\ud83d\udc11\ud83d\udc11 counting sheep does not work `,
	`un \u00e9levage de moutons \u00e0 c\u00f4t\u00e9 de la rivi\u00e8re `,
	`羊が一匹、羊が二匹 🐑 `,
	`{\"op\":0,\"t\":\"READY\",\"s\":999,\"d\":{\"guild_id\":\"1\"}} is what I get in the log, is that normal? `,
	`path is C:\\sheep\\dog\\`,
	`line one\nline two\ttabbed \u003cscript\u003e and <@900000000000000001> plus <:dog:123456789012345678> `,
	`ok `,
	`thanks, that fixed it! `,
	`we moved four hundred of them over the pass before noon, and only one went missing, which turned up behind the hut an hour later looking very pleased with itself `,
}
