package gateway

// samples are messages in the form of Discord's, with values of our own, and the ids that an envelope
// has to have. "" is none.
var samples = []struct {
	name                 string
	frame                string
	op                   int
	t                    string
	s                    int64
	guild, channel, user string
}{
	{"hello", `{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250,"_trace":["[\"gw\",{\"micros\":0.5}]"]}}`, 10, "", 0, "", "", ""},
	{"ack", `{"op":11}`, 11, "", 0, "", "", ""},
	{"ack with nulls", `{"t":null,"s":null,"op":11,"d":null}`, 11, "", 0, "", "", ""},
	{"invalid session", `{"op":9,"d":false}`, 9, "", 0, "", "", ""},
	{"ready", `{"t":"READY","s":1,"op":0,"d":{"v":10,"user":{"id":"31","username":"mybot","bot":true},"session_id":"ab12","resume_gateway_url":"wss://gw.example","shard":[1,2],"guilds":[{"id":"51","unavailable":true}],"application":{"id":"31","flags":0}}}`, 0, "READY", 1, "", "", "31"},
	{"resumed", `{"t":"RESUMED","s":72,"op":0,"d":{"_trace":[]}}`, 0, "RESUMED", 72, "", "", ""},
	{"rate limited", `{"op":0,"s":8,"t":"RATE_LIMITED","d":{"opcode":8,"retry_after":29.46,"meta":{"guild_id":"51","nonce":"n"}}}`, 0, "RATE_LIMITED", 8, "51", "", ""},
	{"guild create", `{"t":"GUILD_CREATE","s":2,"op":0,"d":{"id":"51","name":"Hall \"A\"","owner_id":"41","unavailable":false,"member_count":3,"roles":[{"id":"51","name":"@everyone"}],"channels":[{"id":"61","type":0,"parent_id":null}],"members":[{"user":{"id":"31"},"roles":[]}]}}`, 0, "GUILD_CREATE", 2, "51", "", ""},
	{"guild create in an outage", `{"t":"GUILD_CREATE","s":3,"op":0,"d":{"id":"54","unavailable":true}}`, 0, "GUILD_CREATE", 3, "54", "", ""},
	{"guild delete", `{"t":"GUILD_DELETE","s":5,"op":0,"d":{"id":"51"}}`, 0, "GUILD_DELETE", 5, "51", "", ""},
	{"message in a guild", `{"t":"MESSAGE_CREATE","s":6,"op":0,"d":{"id":"71","channel_id":"61","guild_id":"51","type":0,"content":"h\u00e9 <@31> 👍\n","author":{"id":"42","username":"ada","avatar":null},"member":{"roles":["81"],"deaf":false},"mentions":[{"id":"31","member":{"roles":[]}}],"embeds":[{"author":{"id":"1"}}],"nonce":"70"}}`, 0, "MESSAGE_CREATE", 6, "51", "61", "42"},
	{"direct message", `{"t":"MESSAGE_CREATE","s":7,"op":0,"d":{"id":"72","channel_id":"64","type":0,"content":"","author":{"id":"42"}}}`, 0, "MESSAGE_CREATE", 7, "", "64", "42"},
	{"reaction", `{"t":"MESSAGE_REACTION_ADD","s":9,"op":0,"d":{"user_id":"42","channel_id":"61","message_id":"71","guild_id":"51","message_author_id":"31","member":{"user":{"id":"43"}},"emoji":{"id":null,"name":"👍"}}}`, 0, "MESSAGE_REACTION_ADD", 9, "51", "61", "42"},
	{"interaction in a guild", `{"t":"INTERACTION_CREATE","s":10,"op":0,"d":{"id":"75","type":2,"token":"tok","guild_id":"51","channel_id":"61","channel":{"id":"61"},"member":{"user":{"id":"42"},"roles":[]},"data":{"id":"76","name":"roll","type":1,"options":[{"name":"sides","type":4,"value":6}]}}}`, 0, "INTERACTION_CREATE", 10, "51", "61", "42"},
	{"interaction in a direct message", `{"t":"INTERACTION_CREATE","s":11,"op":0,"d":{"id":"75","type":3,"token":"tok","channel_id":"64","user":{"id":"43"},"data":{"custom_id":"again"}}}`, 0, "INTERACTION_CREATE", 11, "", "64", "43"},
	{"member add", `{"t":"GUILD_MEMBER_ADD","s":12,"op":0,"d":{"guild_id":"51","user":{"id":"43","username":"bo","discriminator":"0"},"roles":[],"flags":0}}`, 0, "GUILD_MEMBER_ADD", 12, "51", "", "43"},
	{"channel create", `{"t":"CHANNEL_CREATE","s":14,"op":0,"d":{"id":"62","guild_id":"51","type":0}}`, 0, "CHANNEL_CREATE", 14, "51", "62", ""},
	{"thread create", `{"t":"THREAD_CREATE","s":14,"op":0,"d":{"id":"63","guild_id":"51","owner_id":"42","parent_id":"62"}}`, 0, "THREAD_CREATE", 14, "51", "63", "42"},
	{"left a voice channel", `{"t":"VOICE_STATE_UPDATE","s":16,"op":0,"d":{"guild_id":"51","channel_id":null,"user_id":"42","session_id":"v"}}`, 0, "VOICE_STATE_UPDATE", 16, "51", "", "42"},
	{"presence", `{"t":"PRESENCE_UPDATE","s":17,"op":0,"d":{"user":{"id":"42"},"guild_id":"51","status":"idle"}}`, 0, "PRESENCE_UPDATE", 17, "51", "", "42"},
	{"user update", `{"t":"USER_UPDATE","s":17,"op":0,"d":{"id":"31","username":"mybot"}}`, 0, "USER_UPDATE", 17, "", "", "31"},
	{"invite", `{"t":"INVITE_CREATE","s":17,"op":0,"d":{"channel_id":"61","guild_id":"51","code":"x","inviter":{"id":"41"}}}`, 0, "INVITE_CREATE", 17, "51", "61", "41"},
	{"audit log", `{"t":"GUILD_AUDIT_LOG_ENTRY_CREATE","s":20,"op":0,"d":{"guild_id":"51","id":"77","user_id":"41","target_id":"43","options":{"channel_id":"61"}}}`, 0, "GUILD_AUDIT_LOG_ENTRY_CREATE", 20, "51", "61", "41"},
	{"auto moderation rule", `{"t":"AUTO_MODERATION_RULE_CREATE","s":20,"op":0,"d":{"id":"78","guild_id":"51","creator_id":"41"}}`, 0, "AUTO_MODERATION_RULE_CREATE", 20, "51", "", "41"},
	{"a dispatch nobody knows", `{"t":"FOO_BAR","s":21,"op":0,"d":{"guild_id":"51","channel_id":"61","user_id":"42","user":{"id":"1"}}}`, 0, "FOO_BAR", 21, "51", "61", "42"},
	{"d before t", `{"d":{"id":"51","unavailable":true},"op":0,"s":4,"t":"GUILD_DELETE"}`, 0, "GUILD_DELETE", 4, "51", "", ""},
	{"white space", " \t\r\n{ \"op\" : 0 ,\n\"t\" : \"TYPING_START\" , \"s\":18, \"d\" : { \"channel_id\" : \"61\" , \"guild_id\":\"51\",\"user_id\": \"42\" } } \n", 0, "TYPING_START", 18, "51", "61", "42"},
	{"integer ids", `{"t":"TYPING_START","s":18,"op":0,"d":{"channel_id":61,"guild_id":18446744073709551615,"user_id":42}}`, 0, "TYPING_START", 18, "18446744073709551615", "61", "42"},
	{"no ids", `{"t":"TYPING_START","s":18,"op":0,"d":{"channel_id":"","guild_id":"123456789012345678901","user_id":-4}}`, 0, "TYPING_START", 18, "", "", ""},
	{"ids of wrong types", `{"t":"TYPING_START","s":18,"op":0,"d":{"channel_id":{"id":"1"},"guild_id":["51"],"user_id":true}}`, 0, "TYPING_START", 18, "", "", ""},
	{"objects of wrong types", `{"t":"INTERACTION_CREATE","s":1,"op":0,"d":{"member":{"user":"42"},"user":[{"id":"1"}],"guild_id":1.5,"channel_id":1e3}}`, 0, "INTERACTION_CREATE", 1, "", "", ""},
	{"escaped keys", `{"\u006fp":0,"\u0074":"TYPING_START","s":1,"\u0064":{"\u0067uild_id":"51","user\u005fid":"42"}}`, 0, "TYPING_START", 1, "51", "", "42"},
	{"escaped t", `{"op":0,"t":"TYPING\u005fSTART","s":1,"d":{"guild_id":"51"}}`, 0, "TYPING_START", 1, "51", "", ""},
	{"keys twice", `{"op":10,"op":0,"t":"X","t":"PRESENCE_UPDATE","s":1,"s":2,"d":{"guild_id":"1","user":{"id":"1"}},"d":{"guild_id":"2","guild_id":"51","user":{"id":"42"},"user":{"id":"43"}}}`, 0, "PRESENCE_UPDATE", 2, "51", "", "43"},
	{"an earlier object is forgotten", `{"op":0,"t":"PRESENCE_UPDATE","s":1,"d":{"user":{"id":"1"},"guild_id":"51","user":{"name":"x"}}}`, 0, "PRESENCE_UPDATE", 1, "51", "", ""},
	{"an earlier d is forgotten", `{"op":0,"t":"PRESENCE_UPDATE","s":1,"d":{"user":{"id":"1"},"guild_id":"51"},"d":null}`, 0, "PRESENCE_UPDATE", 1, "", "", ""},
	{"nothing at all", `{}`, -1, "", 0, "", "", ""},
	{"an op nobody knows", `{"op":77,"d":[1,2,{"a":[]}],"x":{"guild_id":"1"}}`, 77, "", 0, "", "", ""},
}
