package gateway

import "encoding/binary"

// deflated is a message of zlib-stream on its way: whole blocks, the last of them a sync flush (RFC 1951).
type deflated struct {
	in   []byte
	at   int    // the next byte of in
	v    uint64 // bits that were taken from in, the next one lowest
	bits int    // that count of v; below 0: in was too short
	s    *scratch
	back *window
	out  *output
	most int
}

// refill makes v have 56 bits at least, as long as there are any.
func (d *deflated) refill() {
	if d.at+8 <= len(d.in) {
		d.v |= binary.LittleEndian.Uint64(d.in[d.at:]) << (d.bits & 63)
		d.at += (63 - d.bits) >> 3
		d.bits |= 56
		return
	}
	for d.bits <= 55 && d.at < len(d.in) {
		d.v |= uint64(d.in[d.at]) << (d.bits & 63)
		d.at++
		d.bits += 8
	}
}

// take returns the next n bits, which refill must have brought.
func (d *deflated) take(n int) int {
	v := int(d.v & (1<<n - 1))
	d.v >>= n
	d.bits -= n
	return v
}

// inflate appends to out what all of in stands for.
func (d *deflated) inflate() error {
	for {
		d.refill()
		if d.take(1) != 0 { // the last block of a stream that never ends
			return errZlib
		}
		ok := false
		switch d.take(2) {
		case 0:
			if ok = d.stored(); ok && d.at == len(d.in) {
				return nil
			}
		case 1:
			ok = d.compressed(fixedCodes())
		case 2:
			ok = d.codes(&d.s.codes) && d.compressed(&d.s.codes)
		}
		switch {
		case d.out.n > d.most:
			return ErrTooBig
		case !ok || d.bits < 0:
			return errZlib
		}
	}
}

// stored takes a block that is not compressed. A sync flush is one of 0 bytes.
func (d *deflated) stored() bool {
	if d.bits < 0 {
		return false
	}
	d.at -= d.bits >> 3 // it begins at a whole byte
	d.v, d.bits = 0, 0
	if len(d.in)-d.at < 4 {
		return false
	}
	head := binary.LittleEndian.Uint32(d.in[d.at:])
	d.at += 4
	size := int(head & 0xffff)
	if size != int(^head>>16) || size > len(d.in)-d.at {
		return false
	}
	d.out.append(d.in[d.at : d.at+size])
	d.at += size
	return true
}

const (
	maxMatch = 258
	// perRound is what one round of the loop below may write: two literals and a match.
	perRound = 2 + maxMatch
)

// compressed takes the rest of a block that is coded with c.
func (d *deflated) compressed(c *deflateCodes) bool {
	in, at, v, bits := d.in, d.at, d.v, d.bits
	buf, n := d.out.b, d.out.n
	room := len(buf) - slack - perRound
	ok := false
	for bits >= 0 {
		if n > room {
			d.out.n = n
			if n > d.most {
				return false
			}
			d.out.room(perRound)
			buf = d.out.b
			room = len(buf) - slack - perRound
		}
		if at+8 <= len(in) {
			v |= binary.LittleEndian.Uint64(in[at:]) << (bits & 63)
			at += (63 - bits) >> 3
			bits |= 56
		} else {
			for bits <= 55 && at < len(in) {
				v |= uint64(in[at]) << (bits & 63)
				at++
				bits += 8
			}
		}
		// With up to two literals before it a match has 2·11 + 48 bits at most, so there is one more refill.
		e := c.literals[v&(1<<literalBits-1)]
		if e&isLiteral != 0 {
			v >>= e & 31
			bits -= int(e & 31)
			buf[n] = byte(e >> 16)
			n++
			e = c.literals[v&(1<<literalBits-1)]
			if e&isLiteral != 0 {
				v >>= e & 31
				bits -= int(e & 31)
				buf[n] = byte(e >> 16)
				n++
				continue
			}
			if at+8 <= len(in) {
				v |= binary.LittleEndian.Uint64(in[at:]) << (bits & 63)
				at += (63 - bits) >> 3
				bits |= 56
			} else {
				continue // near the end: to the refill that goes byte by byte
			}
		}
		if e&isTable != 0 {
			v >>= literalBits
			bits -= literalBits
			e = c.literals[int(e>>16)+int(v&(1<<(e>>8&15)-1))]
			if e&isLiteral != 0 {
				v >>= e & 31
				bits -= int(e & 31)
				buf[n] = byte(e >> 16)
				n++
				continue
			}
		}
		if e&isOther != 0 { // the end of the block, or no code
			v >>= e & 31
			bits -= int(e & 31)
			ok = e>>16 == endOfBlock
			break
		}
		v >>= e & 31
		bits -= int(e & 31)
		extra := e >> 8 & 15
		ml := int(e>>16) + int(v&(1<<extra-1))
		v >>= extra
		bits -= int(extra)

		e = c.distances[v&(1<<distanceBits-1)]
		if e&isTable != 0 {
			v >>= distanceBits
			bits -= distanceBits
			e = c.distances[int(e>>16)+int(v&(1<<(e>>8&15)-1))]
		}
		if e&isOther != 0 {
			break
		}
		v >>= e & 31
		bits -= int(e & 31)
		extra = e >> 8 & 15
		off := int(e>>16) + int(v&(1<<extra-1))
		v >>= extra
		bits -= int(extra)

		if from := n - off; from >= 0 && off >= 16 && ml <= 16 {
			move16(buf, n, buf, from)
		} else if !d.back.match(buf, n, 0, off, ml) {
			break
		}
		n += ml
	}
	d.at, d.v, d.bits, d.out.n = at, v, bits, n
	return ok && bits >= 0
}
