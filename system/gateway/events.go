package gateway

import "strings"

// eventRow says where a dispatch has its ids, and which intents bring it.
type eventRow struct {
	guild, channel path
	user, elseUser path // the user's id stands at the first of these that is there
	intents        string
}

// anyEvent is the row of a dispatch that nobody knows yet.
var anyEvent = eventRow{guild: atGuildID, channel: atChannelID, user: atUserID}

// rowOf returns the row of the dispatch t.
func rowOf(t []byte) *eventRow {
	if row, ok := events[string(t)]; ok {
		return row
	}
	return &anyEvent
}

// IntentsOf returns the intents that bring the dispatch t: any one of them suffices (of a pair for
// guilds and direct messages, the one that fits the place). Zero: it always comes, or nobody knows it.
func IntentsOf(t string) Intents {
	row, ok := events[t]
	if !ok {
		return 0
	}
	set, err := ParseIntents(strings.Fields(row.intents))
	if err != nil {
		panic(err) // a typing error in the table below, which the tests would have found
	}
	return set
}

// NearestEvent returns t where Discord documents such a dispatch, else the documented name that was
// probably meant, or "".
func NearestEvent(t string) string {
	if _, ok := events[t]; ok {
		return t
	}
	if len(t) > 64 {
		return ""
	}
	best, at := "", max(2, len(t)/4)+1
	for name := range events {
		if d := editDistance(t, name); d < at || d == at && best != "" && name < best {
			best, at = name, d
		}
	}
	return best
}

// events are the dispatches that Discord documents. Mind what stands in d.id: of a GUILD_CREATE the
// guild, of a CHANNEL_CREATE the channel, of a MESSAGE_CREATE neither. intents are the names of those
// that bring the event, any of them, divided by blanks; without one it always comes.
var events = map[string]*eventRow{
	"READY":                                  {user: atUserDotID},
	"RESUMED":                                {},
	"RATE_LIMITED":                           {guild: atMetaGuildID},
	"APPLICATION_COMMAND_PERMISSIONS_UPDATE": {guild: atGuildID},
	"AUTO_MODERATION_RULE_CREATE":            {guild: atGuildID, user: atCreatorID, intents: "AUTO_MODERATION_CONFIGURATION"},
	"AUTO_MODERATION_RULE_UPDATE":            {guild: atGuildID, user: atCreatorID, intents: "AUTO_MODERATION_CONFIGURATION"},
	"AUTO_MODERATION_RULE_DELETE":            {guild: atGuildID, user: atCreatorID, intents: "AUTO_MODERATION_CONFIGURATION"},
	"AUTO_MODERATION_ACTION_EXECUTION":       {guild: atGuildID, channel: atChannelID, user: atUserID, intents: "AUTO_MODERATION_EXECUTION"},
	"CHANNEL_CREATE":                         {guild: atGuildID, channel: atID, intents: "GUILDS"},
	"CHANNEL_UPDATE":                         {guild: atGuildID, channel: atID, intents: "GUILDS"},
	"CHANNEL_DELETE":                         {guild: atGuildID, channel: atID, intents: "GUILDS"},
	"CHANNEL_INFO":                           {guild: atGuildID},
	"CHANNEL_PINS_UPDATE":                    {guild: atGuildID, channel: atChannelID, intents: "GUILDS DIRECT_MESSAGES"},
	"VOICE_CHANNEL_STATUS_UPDATE":            {guild: atGuildID, channel: atID, intents: "GUILDS"},
	"VOICE_CHANNEL_START_TIME_UPDATE":        {guild: atGuildID, channel: atID, intents: "GUILDS"},
	"THREAD_CREATE":                          {guild: atGuildID, channel: atID, user: atOwnerID, intents: "GUILDS"},
	"THREAD_UPDATE":                          {guild: atGuildID, channel: atID, user: atOwnerID, intents: "GUILDS"},
	"THREAD_DELETE":                          {guild: atGuildID, channel: atID, intents: "GUILDS"},
	"THREAD_LIST_SYNC":                       {guild: atGuildID, intents: "GUILDS"},
	"THREAD_MEMBER_UPDATE":                   {guild: atGuildID, channel: atID, user: atUserID, intents: "GUILDS"},
	"THREAD_MEMBERS_UPDATE":                  {guild: atGuildID, channel: atID, intents: "GUILDS GUILD_MEMBERS"},
	"ENTITLEMENT_CREATE":                     {guild: atGuildID, user: atUserID},
	"ENTITLEMENT_UPDATE":                     {guild: atGuildID, user: atUserID},
	"ENTITLEMENT_DELETE":                     {guild: atGuildID, user: atUserID},
	"SUBSCRIPTION_CREATE":                    {user: atUserID},
	"SUBSCRIPTION_UPDATE":                    {user: atUserID},
	"SUBSCRIPTION_DELETE":                    {user: atUserID},
	"GUILD_CREATE":                           {guild: atID, intents: "GUILDS"},
	"GUILD_UPDATE":                           {guild: atID, intents: "GUILDS"},
	"GUILD_DELETE":                           {guild: atID, intents: "GUILDS"},
	"GUILD_AUDIT_LOG_ENTRY_CREATE":           {guild: atGuildID, channel: atOptionsChannelID, user: atUserID, intents: "GUILD_MODERATION"},
	"GUILD_BAN_ADD":                          {guild: atGuildID, user: atUserDotID, intents: "GUILD_MODERATION"},
	"GUILD_BAN_REMOVE":                       {guild: atGuildID, user: atUserDotID, intents: "GUILD_MODERATION"},
	"GUILD_EMOJIS_UPDATE":                    {guild: atGuildID, intents: "GUILD_EXPRESSIONS"},
	"GUILD_STICKERS_UPDATE":                  {guild: atGuildID, intents: "GUILD_EXPRESSIONS"},
	"GUILD_INTEGRATIONS_UPDATE":              {guild: atGuildID, intents: "GUILD_INTEGRATIONS"},
	"GUILD_MEMBER_ADD":                       {guild: atGuildID, user: atUserDotID, intents: "GUILD_MEMBERS"},
	"GUILD_MEMBER_UPDATE":                    {guild: atGuildID, user: atUserDotID, intents: "GUILD_MEMBERS"},
	"GUILD_MEMBER_REMOVE":                    {guild: atGuildID, user: atUserDotID, intents: "GUILD_MEMBERS"},
	"GUILD_MEMBERS_CHUNK":                    {guild: atGuildID},
	"GUILD_ROLE_CREATE":                      {guild: atGuildID, intents: "GUILDS"},
	"GUILD_ROLE_UPDATE":                      {guild: atGuildID, intents: "GUILDS"},
	"GUILD_ROLE_DELETE":                      {guild: atGuildID, intents: "GUILDS"},
	"GUILD_SCHEDULED_EVENT_CREATE":           {guild: atGuildID, channel: atChannelID, user: atCreatorID, intents: "GUILD_SCHEDULED_EVENTS"},
	"GUILD_SCHEDULED_EVENT_UPDATE":           {guild: atGuildID, channel: atChannelID, user: atCreatorID, intents: "GUILD_SCHEDULED_EVENTS"},
	"GUILD_SCHEDULED_EVENT_DELETE":           {guild: atGuildID, channel: atChannelID, user: atCreatorID, intents: "GUILD_SCHEDULED_EVENTS"},
	"GUILD_SCHEDULED_EVENT_USER_ADD":         {guild: atGuildID, user: atUserID, intents: "GUILD_SCHEDULED_EVENTS"},
	"GUILD_SCHEDULED_EVENT_USER_REMOVE":      {guild: atGuildID, user: atUserID, intents: "GUILD_SCHEDULED_EVENTS"},
	"GUILD_SOUNDBOARD_SOUND_CREATE":          {guild: atGuildID, user: atUserDotID, intents: "GUILD_EXPRESSIONS"},
	"GUILD_SOUNDBOARD_SOUND_UPDATE":          {guild: atGuildID, user: atUserDotID, intents: "GUILD_EXPRESSIONS"},
	"GUILD_SOUNDBOARD_SOUND_DELETE":          {guild: atGuildID, intents: "GUILD_EXPRESSIONS"},
	"GUILD_SOUNDBOARD_SOUNDS_UPDATE":         {guild: atGuildID, intents: "GUILD_EXPRESSIONS"},
	"SOUNDBOARD_SOUNDS":                      {guild: atGuildID},
	"INTEGRATION_CREATE":                     {guild: atGuildID, intents: "GUILD_INTEGRATIONS"},
	"INTEGRATION_UPDATE":                     {guild: atGuildID, intents: "GUILD_INTEGRATIONS"},
	"INTEGRATION_DELETE":                     {guild: atGuildID, intents: "GUILD_INTEGRATIONS"},
	"INTERACTION_CREATE":                     {guild: atGuildID, channel: atChannelID, user: atMemberUserDotID, elseUser: atUserDotID},
	"INVITE_CREATE":                          {guild: atGuildID, channel: atChannelID, user: atInviterDotID, intents: "GUILD_INVITES"},
	"INVITE_DELETE":                          {guild: atGuildID, channel: atChannelID, intents: "GUILD_INVITES"},
	"MESSAGE_CREATE":                         {guild: atGuildID, channel: atChannelID, user: atAuthorDotID, intents: "GUILD_MESSAGES DIRECT_MESSAGES"},
	"MESSAGE_UPDATE":                         {guild: atGuildID, channel: atChannelID, user: atAuthorDotID, intents: "GUILD_MESSAGES DIRECT_MESSAGES"},
	"MESSAGE_DELETE":                         {guild: atGuildID, channel: atChannelID, intents: "GUILD_MESSAGES DIRECT_MESSAGES"},
	"MESSAGE_DELETE_BULK":                    {guild: atGuildID, channel: atChannelID, intents: "GUILD_MESSAGES"},
	"MESSAGE_REACTION_ADD":                   {guild: atGuildID, channel: atChannelID, user: atUserID, intents: "GUILD_MESSAGE_REACTIONS DIRECT_MESSAGE_REACTIONS"},
	"MESSAGE_REACTION_REMOVE":                {guild: atGuildID, channel: atChannelID, user: atUserID, intents: "GUILD_MESSAGE_REACTIONS DIRECT_MESSAGE_REACTIONS"},
	"MESSAGE_REACTION_REMOVE_ALL":            {guild: atGuildID, channel: atChannelID, intents: "GUILD_MESSAGE_REACTIONS DIRECT_MESSAGE_REACTIONS"},
	"MESSAGE_REACTION_REMOVE_EMOJI":          {guild: atGuildID, channel: atChannelID, intents: "GUILD_MESSAGE_REACTIONS DIRECT_MESSAGE_REACTIONS"},
	"MESSAGE_POLL_VOTE_ADD":                  {guild: atGuildID, channel: atChannelID, user: atUserID, intents: "GUILD_MESSAGE_POLLS DIRECT_MESSAGE_POLLS"},
	"MESSAGE_POLL_VOTE_REMOVE":               {guild: atGuildID, channel: atChannelID, user: atUserID, intents: "GUILD_MESSAGE_POLLS DIRECT_MESSAGE_POLLS"},
	"PRESENCE_UPDATE":                        {guild: atGuildID, user: atUserDotID, intents: "GUILD_PRESENCES"},
	"STAGE_INSTANCE_CREATE":                  {guild: atGuildID, channel: atChannelID, intents: "GUILDS"},
	"STAGE_INSTANCE_UPDATE":                  {guild: atGuildID, channel: atChannelID, intents: "GUILDS"},
	"STAGE_INSTANCE_DELETE":                  {guild: atGuildID, channel: atChannelID, intents: "GUILDS"},
	"TYPING_START":                           {guild: atGuildID, channel: atChannelID, user: atUserID, intents: "GUILD_MESSAGE_TYPING DIRECT_MESSAGE_TYPING"},
	"USER_UPDATE":                            {user: atID},
	"VOICE_CHANNEL_EFFECT_SEND":              {guild: atGuildID, channel: atChannelID, user: atUserID, intents: "GUILD_VOICE_STATES"},
	"VOICE_STATE_UPDATE":                     {guild: atGuildID, channel: atChannelID, user: atUserID, intents: "GUILD_VOICE_STATES"},
	"VOICE_SERVER_UPDATE":                    {guild: atGuildID},
	"WEBHOOKS_UPDATE":                        {guild: atGuildID, channel: atChannelID, intents: "GUILD_WEBHOOKS"},
}
