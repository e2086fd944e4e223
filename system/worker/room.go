package worker

import "sync"

// room bounds the bytes that are in hand. One goroutine enters, any leaves.
type room struct {
	most int64

	mu    sync.Mutex
	used  int64
	freed *sync.Cond
}

func newRoom(most int64) *room {
	r := &room{most: most}
	r.freed = sync.NewCond(&r.mu)
	return r
}

// enter waits until there is room for n bytes. What is larger than all of it waits until nobody else is there.
func (r *room) enter(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.used > 0 && r.used+n > r.most {
		r.freed.Wait()
	}
	r.used += n
}

// leave gives back what enter took.
func (r *room) leave(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= n
	r.freed.Signal()
}
