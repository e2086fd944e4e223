package gateway

import (
	"fmt"
	"strings"
)

// Class says what the end of a connection means for the session.
type Class uint8

// The classes, from harmless to final.
const (
	Resume     Class = iota // continue the session if there is one, else IDENTIFY
	NewSession              // the session is gone: drop it, then IDENTIFY at the base URL
	FatalShard              // this shard cannot run as it is configured; others may
	FatalBot                // no shard of this bot can run as it is configured
)

// String returns the class in the words of logs.
func (c Class) String() string {
	switch c {
	case NewSession:
		return "new session"
	case FatalShard:
		return "fatal for the shard"
	case FatalBot:
		return "fatal for the bot"
	}
	return "resumable"
}

// Fatal reports whether redialling is pointless until a person has changed something.
func (c Class) Fatal() bool { return c == FatalShard || c == FatalBot }

// Close codes that Discord's "Gateway Close Event Codes" and experience give a name. 4006 is
// undocumented and retired, but has been seen.
const (
	codeUnknownOpcode        = 4001
	codeDecode               = 4002
	codeNotAuthenticated     = 4003
	codeAuthenticationFailed = 4004
	codeAlreadyAuthenticated = 4005
	codeSessionInvalid       = 4006
	codeInvalidSeq           = 4007
	codeRateLimited          = 4008
	codeSessionTimedOut      = 4009
	codeInvalidShard         = 4010
	codeShardingRequired     = 4011
	codeInvalidVersion       = 4012
	codeInvalidIntents       = 4013
	codeDisallowedIntents    = 4014
)

// ClassOf classes a close code that the server sent; 0, 1005 and 1006 stand for a connection that
// ended without one. A code that nobody knows is resumable: a wrong guess that way costs one round
// trip, a wrong guess toward IDENTIFY costs budget and events.
//
// The code of a close that we started is an echo and must not be classed.
func ClassOf(code int) Class {
	switch code {
	case codeUnknownOpcode, codeNotAuthenticated, codeAlreadyAuthenticated, codeSessionInvalid,
		codeInvalidSeq, codeSessionTimedOut:
		return NewSession
	case codeInvalidShard, codeShardingRequired:
		return FatalShard
	case codeAuthenticationFailed, codeInvalidVersion, codeInvalidIntents, codeDisallowedIntents:
		return FatalBot
	}
	return Resume
}

// CloseError says that the server ended the connection.
type CloseError struct {
	Code   int    // 1006 where no close frame came
	Reason string // as the server gave it; may be empty
	Class  Class

	// Intents are the intents that the shard asked for, so that Remedy can name the privileged ones
	// after a 4014. Zero where unknown.
	Intents Intents
}

// NewCloseError classes a close of the server.
func NewCloseError(code int, reason string) *CloseError {
	return &CloseError{Code: code, Reason: reason, Class: ClassOf(code)}
}

// Error names code, meaning and the server's reason.
func (e *CloseError) Error() string {
	name := closeName(e.Code)
	// Servers mostly repeat the code's name as the reason, with a full stop.
	if e.Reason == "" || strings.EqualFold(strings.TrimSuffix(e.Reason, "."), name) {
		return fmt.Sprintf("gateway: closed with %d: %s", e.Code, name)
	}
	return fmt.Sprintf("gateway: closed with %d: %s: %q", e.Code, name, e.Reason)
}

// Remedy returns one sentence that says what to change in Discord's developer portal or in drover's
// configuration. It is empty for codes that drover deals with by itself.
func (e *CloseError) Remedy() string {
	switch e.Code {
	case codeAuthenticationFailed:
		return "Discord refused the bot's token: copy a fresh one from the developer portal (Bot, Reset Token) into discord.token (DISCORD_TOKEN)."
	case codeInvalidShard:
		return "Discord refused the shard id for this shard count: set pool.total_shards (TOTAL_SHARDS) to the count that Discord recommends, which for very large bots is a multiple of the number that Discord gave you."
	case codeShardingRequired:
		return "This shard would hold more than 2,500 guilds: raise pool.total_shards (TOTAL_SHARDS), at least to the count that Discord recommends."
	case codeInvalidVersion:
		return "Discord no longer speaks gateway version 10: update drover."
	case codeInvalidIntents:
		return "discord.intents (DISCORD_INTENTS) has a bit that Discord does not know: use the names of intents in place of a number."
	case codeDisallowedIntents:
		return disallowedRemedy(e.Intents.Privileged())
	}
	return ""
}

func disallowedRemedy(privileged []string) string {
	switch len(privileged) {
	case 0:
		return "The bot may not use a privileged intent that discord.intents (DISCORD_INTENTS) asks for: switch it on in the developer portal (Bot, Privileged Gateway Intents), or take it out."
	case 1:
		return fmt.Sprintf("The bot may not use the privileged intent %s: switch it on in the developer portal (Bot, Privileged Gateway Intents), or take it out of discord.intents (DISCORD_INTENTS).", privileged[0])
	}
	return fmt.Sprintf("The bot may not use all of the privileged intents %s: switch them on in the developer portal (Bot, Privileged Gateway Intents), or take them out of discord.intents (DISCORD_INTENTS).", strings.Join(privileged, ", "))
}

// CloseName is what a close code means, in Discord's words.
func CloseName(code int) string { return closeName(code) }

func closeName(code int) string {
	switch code {
	case 0, 1005, 1006:
		return "no close frame"
	case 1000:
		return "normal closure"
	case 1001:
		return "going away"
	case 1009:
		return "message too big"
	case 4000:
		return "unknown error"
	case codeUnknownOpcode:
		return "unknown opcode"
	case codeDecode:
		return "decode error"
	case codeNotAuthenticated:
		return "not authenticated"
	case codeAuthenticationFailed:
		return "authentication failed"
	case codeAlreadyAuthenticated:
		return "already authenticated"
	case codeSessionInvalid:
		return "session no longer valid"
	case codeInvalidSeq:
		return "invalid sequence"
	case codeRateLimited:
		return "rate limited"
	case codeSessionTimedOut:
		return "session timed out"
	case codeInvalidShard:
		return "invalid shard"
	case codeShardingRequired:
		return "sharding required"
	case codeInvalidVersion:
		return "invalid API version"
	case codeInvalidIntents:
		return "invalid intents"
	case codeDisallowedIntents:
		return "disallowed intents"
	}
	return "unknown code"
}
