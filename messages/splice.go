package messages

import "strconv"

// MemberJoin holds what is spliced into a member.join, as raw JSON values of the dispatch; nil is absent.
type MemberJoin struct {
	Username      []byte // with its quotes
	Discriminator []byte // with its quotes
}

// Append appends the members "username" and "discriminator" for Event.Extra. The discriminator
// becomes an integer, as workers of the earlier gateway expect.
func (m MemberJoin) Append(dst []byte) []byte {
	dst = append(dst, `"username":`...)
	dst = appendRaw(dst, m.Username)
	dst = append(dst, `,"discriminator":`...)
	if n, err := strconv.ParseUint(unquote(m.Discriminator), 10, 32); err == nil {
		return strconv.AppendUint(dst, n, 10)
	}
	return append(dst, `null`...)
}

// Interaction holds what is spliced into an interaction.create, as raw JSON values of the dispatch;
// nil is absent.
type Interaction struct {
	ID      []byte // with its quotes
	Type    int
	Token   []byte // with its quotes; a secret: never anywhere but in the payload
	Command []byte // the command's name with its quotes; nil unless a command or its autocomplete
	Group   []byte // the subcommand group's name with its quotes
	Sub     []byte // the subcommand's name with its quotes
}

// Append appends the members interaction_id, interaction_type, interaction_token and, where there
// are any, command_name and subcommand for Event.Extra.
func (i Interaction) Append(dst []byte) []byte {
	dst = append(dst, `"interaction_id":`...)
	dst = appendRaw(dst, i.ID)
	dst = append(dst, `,"interaction_type":"`...)
	dst = append(dst, interactionType(i.Type)...)
	dst = append(dst, `","interaction_token":`...)
	dst = appendRaw(dst, i.Token)
	if i.Command == nil {
		return dst
	}
	dst = append(dst, `,"command_name":`...)
	dst = append(dst, i.Command...)
	if i.Sub == nil {
		return dst
	}
	dst = append(dst, `,"subcommand":"`...)
	if i.Group != nil {
		dst = append(dst, unquote(i.Group)...)
		dst = append(dst, ' ')
	}
	dst = append(dst, unquote(i.Sub)...)
	return append(dst, '"')
}

func interactionType(n int) string {
	switch n {
	case 1:
		return "Ping"
	case 2:
		return "ApplicationCommand"
	case 3:
		return "MessageComponent"
	case 4:
		return "ApplicationCommandAutocomplete"
	case 5:
		return "ModalSubmit"
	}
	return "Unknown(" + strconv.Itoa(n) + ")"
}

func appendRaw(dst, value []byte) []byte {
	if value == nil {
		return append(dst, `null`...)
	}
	return append(dst, value...)
}

// unquote strips the quotes of a raw JSON string and leaves its escapes as they are.
func unquote(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	return string(raw[1 : len(raw)-1])
}
