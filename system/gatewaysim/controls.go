package gatewaysim

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Groups of keys that several controls take.
var (
	onTarget = []string{"shard", "session"}
	onLimit  = []string{"count", "for"}
)

func keys(groups ...[]string) []string {
	list := []string{}
	for _, g := range groups {
		list = append(list, g...)
	}
	return list
}

// controls is the one table of the control API; docs/simulator.md is held to it
// by a test.
var controls = []Control{
	{"close", "Closes connections with any close code. Codes that end a session at Discord end it here.", keys(onTarget, []string{"code", "reason"}), `{"shard":0,"code":4000}`,
		func(s *Server, a *controlArgs) (any, error) {
			code := 4000
			if a.Code != nil {
				code = *a.Code
			}
			if len(a.Reason) > 120 {
				return nil, errors.New("reason is longer than 120 bytes")
			}
			if err := checkCode(code); err != nil {
				return nil, err
			}
			return s.CloseAll(a.target(), code, a.Reason), nil
		}},
	{"drop", "Ends connections without a close frame: the client sees 1006.", onTarget, `{"shard":0}`,
		func(s *Server, a *controlArgs) (any, error) { return s.Drop(a.target()), nil }},
	{"reconnect", "Sends op 7: reconnect and resume.", onTarget, `{}`,
		func(s *Server, a *controlArgs) (any, error) { return s.Reconnect(a.target()), nil }},
	{"invalidate", "Sends op 9 on running sessions; resumable false ends them.", keys(onTarget, []string{"resumable"}), `{"shard":1,"resumable":false}`,
		func(s *Server, a *controlArgs) (any, error) { return s.Invalidate(a.target(), a.Resumable), nil }},
	{"heartbeat", "Sends op 1: the client must answer with a heartbeat at once.", onTarget, `{}`,
		func(s *Server, a *controlArgs) (any, error) { return s.RequestHeartbeat(a.target()), nil }},
	{"heartbeat-interval", "Sets the interval in the HELLOs to come; for 0 undoes it.", []string{"for"}, `{"for":"5s"}`,
		func(s *Server, a *controlArgs) (any, error) {
			if a.For != 0 && time.Duration(a.For) < 10*time.Millisecond {
				return nil, errors.New("for is less than 10ms")
			}
			s.SetHeartbeat(time.Duration(a.For))
			return nil, nil
		}},
	{"drop-acks", "Leaves heartbeats unanswered (on, the default) or answers them again. Without a target also on connections to come.", keys(onTarget, []string{"on"}), `{"shard":2,"on":true}`,
		func(s *Server, a *controlArgs) (any, error) {
			return s.DropAcks(a.target(), a.On == nil || *a.On), nil
		}},
	{"silent-edge", "Upgrades the next connections and sends nothing, not even HELLO.", onLimit, `{"count":3}`,
		func(s *Server, a *controlArgs) (any, error) { s.SilentEdge(a.limit()); return nil, nil }},
	{"reconnect-hello", "Sends op 7 in place of HELLO on the next connections.", onLimit, `{"count":1}`,
		func(s *Server, a *controlArgs) (any, error) { s.ReconnectHello(a.limit()); return nil, nil }},
	{"refuse-dials", "Refuses WebSocket dials. host: base, resume, both. mode: reset (TCP), 503 (the edge), hang, refuse (the listener is closed; on base REST and this API go with it, so it needs for).",
		keys([]string{"host", "mode"}, onLimit), `{"host":"resume","mode":"refuse","for":"30s"}`, controlRefuse},
	{"allow-dials", "Undoes refuse-dials.", []string{"host"}, `{"host":"resume"}`,
		func(s *Server, a *controlArgs) (any, error) {
			hosts, err := a.hosts()
			for _, h := range hosts {
				err = errors.Join(err, s.AllowDials(h))
			}
			return nil, err
		}},
	{"ready", "Delays the READYs of the next IDENTIFYs, or makes them name another shard.", keys([]string{"delay", "pretend_shard"}, onLimit), `{"delay":"90s","for":"10m"}`,
		func(s *Server, a *controlArgs) (any, error) {
			s.NextReady(ReadyFault{Delay: time.Duration(a.Delay), Shard: a.Pretend}, a.limit())
			return nil, nil
		}},
	{"identify-answer", "Answers the next IDENTIFYs with: invalid (op 9 false), resumable (op 9 true), silence, drop (1006), close (with code).", keys([]string{"answer", "code"}, onLimit), `{"answer":"invalid","count":3}`,
		func(s *Server, a *controlArgs) (any, error) {
			f, err := a.answer()
			if err == nil {
				s.AnswerIdentify(f, a.limit())
			}
			return nil, err
		}},
	{"resume-answer", "Answers the next RESUMEs with: invalid (op 9 false, the session ends), resumable (op 9 true), silence, drop (1006), close (with code, 4007 if none is given).", keys([]string{"answer", "code"}, onLimit), `{"answer":"drop","count":3}`,
		func(s *Server, a *controlArgs) (any, error) {
			f, err := a.answer()
			if err == nil {
				s.AnswerResume(f, a.limit())
			}
			return nil, err
		}},
	{"session-life", "Sets how long a session without a connection lives.", []string{"for"}, `{"for":"5s"}`,
		func(s *Server, a *controlArgs) (any, error) {
			if a.For <= 0 {
				return nil, errors.New("for must be more than 0")
			}
			s.SetSessionLife(time.Duration(a.For))
			return nil, nil
		}},
	{"brick", "Drops every RESUME of the sessions without an answer for that long, as happens after an op 7.", keys(onTarget, []string{"for"}), `{"shard":0,"for":"60s"}`,
		func(s *Server, a *controlArgs) (any, error) {
			return s.Brick(a.target(), time.Duration(a.For)), nil
		}},
	{"forget", "Ends sessions without telling anybody.", onTarget, `{"shard":0}`,
		func(s *Server, a *controlArgs) (any, error) { return s.Forget(a.target()), nil }},
	{"corrupt", "Sends input that no decoder accepts (an uncompressed connection gets a binary message).", onTarget, `{"shard":0}`,
		func(s *Server, a *controlArgs) (any, error) { return s.Corrupt(a.target()), nil }},
	{"garbage", "Sends a payload that is not JSON, correctly framed and compressed.", onTarget, `{"shard":0}`,
		func(s *Server, a *controlArgs) (any, error) { return s.Garbage(a.target()), nil }},
	{"unknown-op", "Sends an op that nobody knows (99 unless op is given).", keys(onTarget, []string{"op"}), `{"op":99}`,
		func(s *Server, a *controlArgs) (any, error) {
			op := 99
			if a.Op != nil {
				op = *a.Op
			}
			return s.UnknownOp(a.target(), op), nil
		}},
	{"dispatch", "Dispatches t with d, also a t that nobody knows (the default).", keys(onTarget, []string{"t", "d"}), `{"shard":0,"t":"SHEEP_SHORN","d":{"guild_id":"1"}}`,
		func(s *Server, a *controlArgs) (any, error) {
			if a.T == "" {
				a.T = "SHEEP_SHORN"
			}
			if len(a.D) == 0 {
				a.D = []byte(`{}`)
			}
			return s.Dispatch(a.target(), a.T, a.D)
		}},
	{"duplicate", "Sends the newest dispatch a second time.", onTarget, `{"shard":0}`,
		func(s *Server, a *controlArgs) (any, error) { return s.Duplicate(a.target()), nil }},
	{"jump", "Leaves n sequence numbers out.", keys(onTarget, []string{"n"}), `{"shard":0,"n":3}`,
		func(s *Server, a *controlArgs) (any, error) { return s.Jump(a.target(), a.number(3)), nil }},
	{"giant-guild", "Sends a GUILD_CREATE of n MiB (20 if none is given).", keys(onTarget, []string{"n"}), `{"shard":0,"n":20}`,
		func(s *Server, a *controlArgs) (any, error) { return s.GiantGuild(a.target(), a.number(20)) }},
	{"split", "Cuts payloads at arbitrary places: into messages (zlib-stream only) and messages into WebSocket fragments. Zeros end it.", keys(onTarget, []string{"messages", "fragments"}), `{"messages":3,"fragments":2}`,
		func(s *Server, a *controlArgs) (any, error) {
			if max(a.Messages, a.Fragments) > 100 {
				return nil, errors.New("messages and fragments are at most 100")
			}
			return s.Split(a.target(), SplitFault{Messages: a.Messages, Fragments: a.Fragments}), nil
		}},
	{"rest", "Makes GET /gateway/bot fail with status (401, 429, 5xx) and a Retry-After header.", keys([]string{"status", "retry_after"}, onLimit), `{"status":429,"retry_after":"30s","count":1}`,
		func(s *Server, a *controlArgs) (any, error) {
			return nil, s.REST(RESTFault{Status: a.Status, RetryAfter: time.Duration(a.RetryAfter)}, a.limit())
		}},
	{"max-concurrency", "Sets session_start_limit.max_concurrency.", []string{"n"}, `{"n":1}`,
		func(s *Server, a *controlArgs) (any, error) {
			if n := a.number(0); n < 1 || n > 1<<16 {
				return nil, errors.New("n must be 1 to 65536")
			}
			s.SetMaxConcurrency(*a.N)
			return nil, nil
		}},
	{"budget", "Sets the IDENTIFYs that are left today, and when the day ends.", []string{"remaining", "reset_after"}, `{"remaining":5,"reset_after":"1h"}`,
		func(s *Server, a *controlArgs) (any, error) {
			if a.Remaining == nil {
				return nil, errors.New("remaining is missing")
			}
			s.SetBudget(*a.Remaining, time.Duration(a.ResetAfter))
			return nil, nil
		}},
	{"token", "Sets the token that is accepted (empty: any) and forgives a token reset.", []string{"token"}, `{"token":"new"}`,
		func(s *Server, a *controlArgs) (any, error) { s.SetToken(a.Token); return nil, nil }},
	{"deny-intents", "Switches privileged intents off (33026 is all): their sessions get 4003, new IDENTIFYs 4014. 0 undoes it.", []string{"intents"}, `{"intents":2}`,
		func(s *Server, a *controlArgs) (any, error) {
			if a.Intents == nil {
				return nil, errors.New("intents is missing")
			}
			return s.DenyIntents(*a.Intents), nil
		}},
	{"rate", "Sets the traffic in events per second; 0 stops it.", []string{"rate"}, `{"rate":500}`,
		func(s *Server, a *controlArgs) (any, error) {
			if a.Rate == nil || !(*a.Rate >= 0) {
				return nil, errors.New("rate is missing or below 0")
			}
			s.SetRate(*a.Rate)
			return nil, nil
		}},
	{"surge", "Encodes so many events ahead, spread over all sessions that are connected, and holds them until release. Answers sessions, events and bytes once all are held.", []string{"events"}, `{"events":100000}`,
		func(s *Server, a *controlArgs) (any, error) { return s.Surge(a.Events) }},
	{"release", "Writes what a surge holds as fast as the sockets take it. Answers at, the Unix time in ns just before.", nil, `{}`,
		func(s *Server, _ *controlArgs) (any, error) {
			at, err := s.Release()
			return map[string]any{"at": at.UnixNano()}, err
		}},
	{"guild-outage", "Makes a guild unavailable, for a time or until guild-back. guild: an id, or a small number: the guilds are counted from 0.", []string{"guild", "for"}, `{"guild":0,"for":"1m"}`,
		func(s *Server, a *controlArgs) (any, error) {
			return nil, s.GuildOutage(s.guildArg(a), time.Duration(a.For))
		}},
	{"guild-back", "Ends a guild's outage, or sends a guild anew.", []string{"guild"}, `{"guild":0}`,
		func(s *Server, a *controlArgs) (any, error) { return nil, s.GuildBack(s.guildArg(a)) }},
	{"guild-join", "Adds the bot to a new guild and answers its id.", nil, `{}`,
		func(s *Server, _ *controlArgs) (any, error) {
			return map[string]any{"guild": snowflake(s.JoinGuild())}, nil
		}},
	{"guild-leave", "Removes the bot from a guild.", []string{"guild"}, `{"guild":0}`,
		func(s *Server, a *controlArgs) (any, error) { return nil, s.LeaveGuild(s.guildArg(a)) }},
	{"hold-guilds", "The last n guilds of each READY to come never load; 0 undoes it.", []string{"n"}, `{"n":1}`,
		func(s *Server, a *controlArgs) (any, error) { s.HoldGuilds(a.number(0)); return nil, nil }},
	{"clear", "Ends every fault that waits or lasts, and opens both hosts.", nil, `{}`,
		func(s *Server, _ *controlArgs) (any, error) { return nil, s.Clear() }},
}

// guildArg is the guild meant: an id, or its place among all guilds, which is
// never as large as an id.
func (s *Server) guildArg(a *controlArgs) uint64 {
	if a.Guild < firstGuildTime {
		return s.world.guildID(uint32(a.Guild & (1<<32 - 1)))
	}
	return uint64(a.Guild)
}

func (a *controlArgs) number(fallback int) int {
	if a.N == nil {
		return fallback
	}
	return *a.N
}

func controlRefuse(s *Server, a *controlArgs) (any, error) {
	hosts, err := a.hosts()
	if err != nil {
		return nil, err
	}
	mode := DialMode(a.Mode)
	switch mode {
	case "":
		mode = DialReset
	case DialReset, Dial503, DialHang, DialRefuse:
	default:
		return nil, errors.New("mode is " + strings.ToValidUTF8(a.Mode, "?") + ", want reset, 503, hang or refuse")
	}
	if mode == DialRefuse && a.For <= 0 && slices.Contains([]string{"", "both", "base"}, a.Host) {
		return nil, errors.New("mode refuse on the base host needs for: this API is gone meanwhile")
	}
	for _, h := range hosts {
		err = errors.Join(err, s.RefuseDials(h, mode, a.limit()))
	}
	return nil, err
}
