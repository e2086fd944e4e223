package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
)

// How one shard ends in order, and how it ends when its session is another node's.

// quiesce stops reading and leaves everything else as it is. What has no session to keep ends here: an IDENTIFY now
// would be spent for nothing.
func (s *shard) quiesce(ctx actor.Context) {
	if !s.quiet {
		s.quiet = true
		if s.reader != nil {
			s.reader.quiesce()
		}
		// A session whose READY was taken, and waits in the mailbox, is one to keep.
		if state := s.session.State(); state != messages.Ready && state != messages.Resuming && (s.reader == nil || s.reader.session == "") {
			s.do(s.session.Drain(time.Now(), s.seen()))
			s.hangUp()
		}
		s.settle()
	}
	ctx.Send(ctx.Parent(), messages.Quiesced{Pool: s.Pool, ShardID: s.ID})
}

// settle leaves to the publisher what the reader owes: no dispatch follows, and a checkpoint may wait for it.
func (s *shard) settle() {
	if owed := s.carried.owed; len(owed) > 0 {
		s.carried.owed = nil
		s.root.Send(s.Publisher, owing{owed})
	}
}

func (s *shard) drain(ctx actor.Context) {
	if !s.drained {
		s.drained = true
		s.do(s.session.Drain(time.Now(), s.seen()))
		s.hangUp()
	}
	ctx.Send(ctx.Parent(), messages.Drained{Pool: s.Pool, ShardID: s.ID})
}

// drop closes the connection without a word to anybody: the session is another node's.
func (s *shard) drop(ctx actor.Context) {
	s.quiet, s.drained = true, true
	s.hangUp()
	ctx.Send(ctx.Parent(), messages.Drained{Pool: s.Pool, ShardID: s.ID})
}
