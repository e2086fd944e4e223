package messages

// Fence says whether this node may act for a pool: no other node may while it says yes. Whoever publishes, keeps a
// checkpoint or sends IDENTIFY for one of the pool's shards asks right before that.
type Fence interface {
	// Valid reports whether a step that begins now is covered. Any goroutine may call it; it does not block, and is
	// cheap enough to be asked for each event. What is invalid may become valid again.
	Valid() bool
}

// Valid reports whether f covers a step that begins now. No fence covers every step.
func Valid(f Fence) bool { return f == nil || f.Valid() }
