package gatewaysim

// Op codes and intents of the gateway, version 10.
const (
	opDispatch       = 0
	opHeartbeat      = 1
	opIdentify       = 2
	opPresence       = 3
	opVoiceState     = 4
	opResume         = 6
	opReconnect      = 7
	opRequestMembers = 8
	opInvalidSession = 9
	opHello          = 10
	opHeartbeatAck   = 11
	opSoundboard     = 31
	opChannelInfo    = 43
)

const (
	intentGuilds             = 1 << 0
	intentGuildMembers       = 1 << 1
	intentGuildPresences     = 1 << 8
	intentGuildMessages      = 1 << 9
	intentGuildReactions     = 1 << 10
	intentDirectMessages     = 1 << 12
	intentMessageContent     = 1 << 15
	intentsKnown             = 53608447
	intentsPrivileged        = intentGuildMembers | intentGuildPresences | intentMessageContent
	guildMembersOfOneChunk   = 3 // members that a simulated guild has
	maxSoundboardGuilds      = 200
	presenceUpdatesPerWindow = 5
)

// Close codes that the gateway sends. Discord documentation, "Gateway Close Event Codes".
const (
	closeUnknownOp        = 4001
	closeDecode           = 4002
	closeNotAuthenticated = 4003
	closeAuthFailed       = 4004
	closeAlreadyAuth      = 4005
	closeSessionInvalid   = 4006 // retired, seen when a second connection resumes
	closeInvalidSeq       = 4007
	closeRateLimited      = 4008
	closeInvalidShard     = 4010
	closeShardingRequired = 4011
	closeInvalidVersion   = 4012
	closeInvalidIntents   = 4013
	closeDisallowed       = 4014
)

// closeEndsSession says whether a close with that code by the server leaves the
// session dead. 4002, 4008 and all codes below 4000 keep it.
func closeEndsSession(code int) bool {
	switch code {
	case closeUnknownOp, closeNotAuthenticated, closeAuthFailed, closeAlreadyAuth, closeSessionInvalid, closeInvalidSeq,
		4009, closeInvalidShard, closeShardingRequired, closeInvalidVersion, closeInvalidIntents, closeDisallowed:
		return true
	}
	return false
}

// validCloseCode says whether code may stand in a close frame.
func validCloseCode(code int) bool {
	return code >= 1000 && code <= 4999 && code != 1004 && code != 1005 && code != 1006 && code != 1015
}
