package gatewaysim

// kind is the row of the event table that an event was made from.
type kind uint8

const (
	kindVoid kind = iota // a sequence number that is never sent
	kindRaw              // bytes made elsewhere
	kindGuildCreate
	kindGuildOutage
	kindGuildRemoved
	kindGuildGiant // event.seed is the size in bytes

	// Traffic.
	kindMessage
	kindMessageUpdate
	kindMessageDelete
	kindReaction
	kindMemberAdd
	kindMemberUpdate
	kindMemberRemove
	kindCommand
	kindSubcommand
	kindComponent
	kindAutocomplete
	kindModal
	kindGuildUpdate
	kindGuildRefresh
	kindRole
	kindChannel
	kindTyping
	kindPresence
	kindVoice
	kindDirectMessage
	kindDirectCommand
	kindCount
)

// kindRow describes one kind. Weights are per thousand of the mix that a bot
// with all intents sees; a session's mix has the rows that its intents allow.
type kindRow struct {
	name    string // Discord's t
	intents uint64 // any one suffices; 0: always sent
	weight  int
	direct  bool // has no guild: shard 0 only
	text    template
}

var kinds = [kindCount]kindRow{
	kindGuildCreate:  {name: "GUILD_CREATE", intents: intentGuilds},
	kindGuildOutage:  {name: "GUILD_DELETE", intents: intentGuilds, text: compile(`{"id":"$guild$","unavailable":true}`)},
	kindGuildRemoved: {name: "GUILD_DELETE", intents: intentGuilds, text: compile(`{"id":"$guild$"}`)},
	kindGuildGiant:   {name: "GUILD_CREATE", intents: intentGuilds},

	kindMessage:       {name: "MESSAGE_CREATE", intents: intentGuildMessages, weight: 440, text: compile(messageText)},
	kindMessageUpdate: {name: "MESSAGE_UPDATE", intents: intentGuildMessages, weight: 8, text: compile(messageText)},
	kindMessageDelete: {name: "MESSAGE_DELETE", intents: intentGuildMessages, weight: 4, text: compile(messageDeleteText)},
	kindReaction:      {name: "MESSAGE_REACTION_ADD", intents: intentGuildReactions, weight: 8, text: compile(reactionText)},
	kindMemberAdd:     {name: "GUILD_MEMBER_ADD", intents: intentGuildMembers, weight: 80, text: compile(memberAddText)},
	kindMemberUpdate:  {name: "GUILD_MEMBER_UPDATE", intents: intentGuildMembers, weight: 250, text: compile(memberUpdateText)},
	kindMemberRemove:  {name: "GUILD_MEMBER_REMOVE", intents: intentGuildMembers, weight: 70, text: compile(memberRemoveText)},
	kindCommand:       {name: "INTERACTION_CREATE", weight: 70, text: compile(commandText)},
	kindSubcommand:    {name: "INTERACTION_CREATE", weight: 20, text: compile(subcommandText)},
	kindComponent:     {name: "INTERACTION_CREATE", weight: 28, text: compile(componentText)},
	kindAutocomplete:  {name: "INTERACTION_CREATE", weight: 12, text: compile(autocompleteText)},
	kindModal:         {name: "INTERACTION_CREATE", weight: 6, text: compile(modalText)},
	kindGuildUpdate:   {name: "GUILD_UPDATE", intents: intentGuilds, weight: 3, text: compile(guildUpdateText)},
	kindGuildRefresh:  {name: "GUILD_CREATE", intents: intentGuilds, weight: 1},
	kindRole:          {name: "GUILD_ROLE_UPDATE", intents: intentGuilds, weight: 3, text: compile(roleText)},
	kindChannel:       {name: "CHANNEL_UPDATE", intents: intentGuilds, weight: 3, text: compile(channelText)},
	kindTyping:        {name: "TYPING_START", intents: 1 << 11, weight: 8, text: compile(typingText)},
	kindPresence:      {name: "PRESENCE_UPDATE", intents: intentGuildPresences, weight: 8, text: compile(presenceText)},
	kindVoice:         {name: "VOICE_STATE_UPDATE", intents: 1 << 7, weight: 4, text: compile(voiceText)},
	kindDirectMessage: {name: "MESSAGE_CREATE", intents: intentDirectMessages, weight: 4, direct: true, text: compile(directMessageText)},
	kindDirectCommand: {name: "INTERACTION_CREATE", weight: 2, direct: true, text: compile(directCommandText)},
}

// name is Discord's t.
func (e *event) name() string {
	if e.kind == kindRaw {
		return e.raw.t
	}
	return kinds[e.kind].name
}

// allowed says whether a session with those intents receives k.
func (k kind) allowed(intents uint64) bool {
	row := &kinds[k]
	return row.intents == 0 || row.intents&intents != 0
}

// mixTable draws kinds by weight. Immutable.
type mixTable struct {
	kinds []kind
	upTo  []int // cumulative weights
	total int
}

// newMix is the mix for a session: guild says whether it has guilds to talk
// about, direct whether events without a guild come to it.
func newMix(intents uint64, guild, direct bool) *mixTable {
	m := &mixTable{}
	for k := kindMessage; k < kindCount; k++ {
		row := &kinds[k]
		if row.weight == 0 || !k.allowed(intents) || row.direct && !direct || !row.direct && !guild {
			continue
		}
		m.total += row.weight
		m.kinds = append(m.kinds, k)
		m.upTo = append(m.upTo, m.total)
	}
	return m
}

// draw picks a kind; n is any number.
func (m *mixTable) draw(n uint64) kind {
	at := int(n % uint64(m.total))
	for i, upTo := range m.upTo {
		if at < upTo {
			return m.kinds[i]
		}
	}
	return m.kinds[len(m.kinds)-1]
}
