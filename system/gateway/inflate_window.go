package gateway

// window is the history that a compressed stream may refer back to: the newest bytes of the payloads
// before the present one, in a ring. It grows with what comes, so a quiet connection has a small one.
type window struct {
	ring []byte // full from the start on, except before it has wrapped
	next int    // where the next byte goes; len(ring) only while the ring still grows
	most int    // bytes that may be referred to
}

const leastRing = 4 << 10

// begin forgets everything; at most most bytes are kept from here on.
func (w *window) begin(most int) {
	if most > w.most {
		w.ring = nil // a larger one grows as it is needed
	}
	*w = window{ring: w.ring[:0], most: most}
}

// add appends p, of which only the newest bytes stay.
func (w *window) add(p []byte) {
	if len(p) >= w.most {
		w.grow(w.most)
		w.ring = append(w.ring[:0], p[len(p)-w.most:]...)
		w.next = w.most
		return
	}
	if free := w.most - len(w.ring); free > 0 { // has not wrapped: next == len(ring)
		n := min(free, len(p))
		w.grow(len(w.ring) + n)
		w.ring = append(w.ring, p[:n]...)
		w.next, p = len(w.ring), p[n:]
	}
	for len(p) > 0 {
		if w.next == w.most {
			w.next = 0
		}
		n := copy(w.ring[w.next:], p)
		w.next, p = w.next+n, p[n:]
	}
}

// grow makes room for n bytes in all, at most w.most. It doubles, so that the copying stays small.
func (w *window) grow(n int) {
	if n <= cap(w.ring) {
		return
	}
	room := max(leastRing, 2*cap(w.ring))
	for room < n {
		room *= 2
	}
	w.ring = append(make([]byte, 0, min(room, w.most)), w.ring...)
}

// match writes ml bytes at buf[n:] that repeat those off bytes before; what lies before buf[base:] lies in
// the window. It reports whether there are such. buf must have room for them and the slack.
func (w *window) match(buf []byte, n, base, off, ml int) bool {
	from := n - off
	if from < base {
		back := base - from
		if back > len(w.ring) {
			return false
		}
		i := w.next - back
		if i < 0 {
			i += len(w.ring)
		}
		if ml <= 32 && ml <= back && i+32 <= len(w.ring) {
			move16(buf, n, w.ring, i)
			move16(buf, n+16, w.ring, i+16)
			return true
		}
		m := min(back, ml)
		if k := copy(buf[n:n+m], w.ring[i:]); k < m {
			copy(buf[n+k:n+m], w.ring)
		}
		if ml -= m; ml == 0 {
			return true
		}
		n, from = n+m, base
	}
	for ml > 0 { // a match may overlap what it writes: then it repeats itself
		m := copy(buf[n:n+ml], buf[from:n])
		n, ml = n+m, ml-m
	}
	return true
}
