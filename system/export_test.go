package system

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// SetPatience makes nodes that are made from now on take what stands still for stuck earlier. Not for parallel tests.
func SetPatience(t *testing.T, publisher, actors time.Duration) {
	before := usual
	t.Cleanup(func() { usual = before })
	usual = patience{publisher: publisher, actor: actors}
}

// Suspend wedges one of the node's actors, by its path like root/pool-0/shard-1: it works off no message until resume is called.
func (s *System) Suspend(t *testing.T, path string) (resume func()) {
	t.Helper()
	pid := s.actors.NewLocalPID(path)
	process, ok := s.actors.ProcessRegistry.GetLocal(pid.Id)
	if !ok {
		t.Fatalf("there is no actor %s", path)
	}
	process.SendSystemMessage(pid, &actor.SuspendMailbox{})
	return func() { process.SendSystemMessage(pid, &actor.ResumeMailbox{}) }
}
