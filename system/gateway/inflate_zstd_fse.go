package gateway

import (
	"encoding/binary"
	"math/bits"
)

// fseStates spreads symbols over the states of an FSE table (RFC 8878, 4.1.1). Its life is one build.
type fseStates struct {
	symbols [1 << maxSeqLog]uint8
	next    [64]uint16 // of each symbol: the number of its next state
}

// spread gives each symbol its states. The sum of norm must be 1<<log, with -1 counted as 1.
func (s *fseStates) spread(norm []int16, log int) {
	size := 1 << log
	high := size - 1
	for symbol, n := range norm {
		if n == -1 { // rare symbols share the end
			s.symbols[high&(1<<maxSeqLog-1)] = uint8(symbol)
			high--
			n = 1
		}
		s.next[symbol&63] = uint16(n)
	}
	at, step, mask := 0, size>>1+size>>3+3, size-1
	for symbol, n := range norm {
		for range n {
			s.symbols[at&(1<<maxSeqLog-1)] = uint8(symbol)
			at = (at + step) & mask
			for at > high {
				at = (at + step) & mask
			}
		}
	}
}

// step returns what the next state of symbol, in the order of the table, leads to: the number of bits to read and what they
// are added to.
func (s *fseStates) step(symbol uint8, log int) (next, nbits int) {
	x := int(s.next[symbol&63])
	s.next[symbol&63]++
	nbits = log - (bits.Len(uint(x)) - 1)
	return x<<nbits - 1<<log, nbits
}

// readNorm reads a normalised distribution of at most len(norm) symbols. It returns how many there are, their accuracy log
// and the bytes that they took; 0 bytes where the description is corrupt.
func readNorm(b []byte, norm []int16, most int) (n, log, used int) {
	if len(b) == 0 {
		return 0, 0, 0
	}
	log = int(b[0]&15) + 5
	if log > most {
		return 0, 0, 0
	}
	pos, left := 4, 1<<log
	for left > 0 {
		if n == len(norm) || pos > 8*len(b) {
			return 0, 0, 0
		}
		width := bits.Len(uint(left + 1))
		v := int(forward(b, pos)) & (1<<width - 1)
		// Values that are small enough take one bit less.
		low, short := v&(1<<(width-1)-1), 1<<width-1-(left+1)
		switch {
		case low < short:
			v = low
			width--
		case v >= 1<<(width-1):
			v -= short
		}
		pos += width
		v-- // 0 stands for -1, which takes one state as 1 does
		norm[n] = int16(v)
		n++
		left -= max(v, -v)
		if v != 0 {
			continue
		}
		for more := 3; more == 3; {
			if pos > 8*len(b) {
				return 0, 0, 0
			}
			more = int(forward(b, pos)) & 3
			pos += 2
			if n += more; n > len(norm) { // they are 0 already
				return 0, 0, 0
			}
		}
	}
	used = (pos + 7) / 8
	if left < 0 || used > len(b) {
		return 0, 0, 0
	}
	return n, log, used
}

// forward returns the bits of b from bit pos on, at least 25 of them. Behind the end there are zeros.
func forward(b []byte, pos int) uint32 {
	i := pos >> 3
	if i+4 <= len(b) {
		return binary.LittleEndian.Uint32(b[i:]) >> (pos & 7)
	}
	var tail [4]byte
	if i < len(b) {
		copy(tail[:], b[i:])
	}
	return binary.LittleEndian.Uint32(tail[:]) >> (pos & 7)
}
