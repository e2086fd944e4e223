package gateway

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/bwmarrin/discordgo"
)

// Intents is the set of event groups that a session asks for in IDENTIFY. Zero is allowed: such a
// session gets only what needs no intent.
type Intents uint64

// intentNames has the one name of each bit that Discord knows.
var intentNames = []struct {
	bit  Intents
	name string
}{
	{Intents(discordgo.IntentGuilds), "GUILDS"},
	{Intents(discordgo.IntentGuildMembers), "GUILD_MEMBERS"},
	{Intents(discordgo.IntentGuildModeration), "GUILD_MODERATION"},
	{Intents(discordgo.IntentGuildEmojis), "GUILD_EXPRESSIONS"}, // discordgo has the older name
	{Intents(discordgo.IntentGuildIntegrations), "GUILD_INTEGRATIONS"},
	{Intents(discordgo.IntentGuildWebhooks), "GUILD_WEBHOOKS"},
	{Intents(discordgo.IntentGuildInvites), "GUILD_INVITES"},
	{Intents(discordgo.IntentGuildVoiceStates), "GUILD_VOICE_STATES"},
	{Intents(discordgo.IntentGuildPresences), "GUILD_PRESENCES"},
	{Intents(discordgo.IntentGuildMessages), "GUILD_MESSAGES"},
	{Intents(discordgo.IntentGuildMessageReactions), "GUILD_MESSAGE_REACTIONS"},
	{Intents(discordgo.IntentGuildMessageTyping), "GUILD_MESSAGE_TYPING"},
	{Intents(discordgo.IntentDirectMessages), "DIRECT_MESSAGES"},
	{Intents(discordgo.IntentDirectMessageReactions), "DIRECT_MESSAGE_REACTIONS"},
	{Intents(discordgo.IntentDirectMessageTyping), "DIRECT_MESSAGE_TYPING"},
	{Intents(discordgo.IntentMessageContent), "MESSAGE_CONTENT"},
	{Intents(discordgo.IntentGuildScheduledEvents), "GUILD_SCHEDULED_EVENTS"},
	{Intents(discordgo.IntentAutoModerationConfiguration), "AUTO_MODERATION_CONFIGURATION"},
	{Intents(discordgo.IntentAutoModerationExecution), "AUTO_MODERATION_EXECUTION"},
	{Intents(discordgo.IntentGuildMessagePolls), "GUILD_MESSAGE_POLLS"},
	{Intents(discordgo.IntentDirectMessagePolls), "DIRECT_MESSAGE_POLLS"},
}

// Sets of intents.
const (
	// PrivilegedIntents must be switched on in the developer portal before a bot may ask for them.
	PrivilegedIntents = Intents(discordgo.IntentGuildMembers | discordgo.IntentGuildPresences | discordgo.IntentMessageContent)
	// AllIntents are the intents that Discord knows; any other bit ends the session with 4013.
	AllIntents Intents = 53608447
)

// intentAliases are names that Discord or its libraries used before.
var intentAliases = map[string]string{
	"GUILD_BANS":                "GUILD_MODERATION",
	"GUILD_EMOJIS":              "GUILD_EXPRESSIONS",
	"GUILD_EMOJIS_AND_STICKERS": "GUILD_EXPRESSIONS",
}

// ParseIntents makes a set of the words of discord.intents: names in any case, decimal numbers,
// and "all" or "all_unprivileged". Empty words are skipped. An error names the word that is wrong,
// guesses what was meant, and lists what there is.
func ParseIntents(words []string) (Intents, error) {
	var set Intents
	for _, word := range words {
		bit, err := parseIntent(strings.TrimSpace(word))
		if err != nil {
			return 0, err
		}
		set |= bit
	}
	return set, nil
}

func parseIntent(word string) (Intents, error) {
	if word == "" {
		return 0, nil
	}
	if strings.Trim(word, "+-0123456789") == "" {
		return intentsOfNumber(word)
	}
	name := strings.ToUpper(strings.ReplaceAll(word, "-", "_"))
	switch name {
	case "ALL":
		return AllIntents, nil
	case "ALL_UNPRIVILEGED":
		return AllIntents &^ PrivilegedIntents, nil
	}
	if now, ok := intentAliases[name]; ok {
		name = now
	}
	for _, in := range intentNames {
		if in.name == name {
			return in.bit, nil
		}
	}
	guess := ""
	if near := nearestIntent(name); near != "" {
		guess = "; did you mean " + near + "?"
	}
	return 0, fmt.Errorf("gateway: intents: unknown intent %q%s (known: %s; or their sum as a number)",
		word, guess, strings.Join(AllIntents.Names(), ", "))
}

func intentsOfNumber(word string) (Intents, error) {
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("gateway: intents: %q is not a number from 0 to %d", word, AllIntents)
	}
	if unknown := Intents(n) &^ AllIntents; unknown != 0 {
		return 0, fmt.Errorf("gateway: intents: %s: Discord knows no intent for %s (all of them: %d)",
			word, strings.Join(unknown.Names(), ", "), AllIntents)
	}
	return Intents(n), nil
}

// Names lists the set's intents by rising bit; a bit without a name is given as "bit 17".
func (i Intents) Names() []string {
	names := make([]string, 0, bits.OnesCount64(uint64(i)))
	for _, in := range intentNames {
		if i&in.bit != 0 {
			names = append(names, in.name)
		}
	}
	for rest := i &^ AllIntents; rest != 0; rest &= rest - 1 {
		names = append(names, "bit "+strconv.Itoa(bits.TrailingZeros64(uint64(rest))))
	}
	return names
}

// Privileged lists the set's privileged intents.
func (i Intents) Privileged() []string { return (i & PrivilegedIntents).Names() }

// nearestIntent guesses which name was meant, or returns "". A forgotten or superfluous GUILD_ is
// the usual mistake, spelling the next.
func nearestIntent(name string) string {
	bare := strings.TrimPrefix(name, "GUILD_")
	for _, in := range intentNames {
		if strings.TrimPrefix(in.name, "GUILD_") == bare {
			return in.name
		}
	}
	if len(name) > 64 {
		return ""
	}
	best, at := "", max(2, len(name)/4)+1
	for _, in := range intentNames {
		if d := editDistance(name, in.name); d < at {
			best, at = in.name, d
		}
	}
	return best
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
