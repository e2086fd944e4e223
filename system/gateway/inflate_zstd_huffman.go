package gateway

import (
	"encoding/binary"
	"math/bits"
)

// huffman is a code for literals of at most 11 bits (RFC 8878, 4.2.1).
type huffman struct {
	bits uint8 // that an index has; 0: there is no code
	// For each index what it begins with, in 2 bytes: the length of the code in bits, and its symbol.
	table [2 << maxHuff]byte
}

const maxHuff = 11

// weights are the symbols of a code by their weight, each list in the order of the symbols. A code has w bits fewer than the
// longest one has, plus one; weight 0 is no code.
type weights struct {
	symbols [16][256]uint8
	count   [16]uint8 // but of weight 0
}

func (w *weights) add(symbol int, weight uint8) {
	n := &w.count[weight&15]
	w.symbols[weight&15][*n] = uint8(symbol)
	*n++
}

// read takes the description of a code at s.in[at:stop] and returns where it ends, 0 where it is corrupt. There must be 8 bytes
// before at.
func (h *huffman) read(s *scratch, at, stop int) int {
	h.bits = 0
	if at == stop {
		return 0
	}
	w := &s.weights
	w.count = [16]uint8{}
	n := int(s.in[at])
	at++
	if n >= 128 { // 4 bits each
		n -= 127
		end := at + (n+1)/2
		if end > stop {
			return 0
		}
		for i := range n {
			w.add(i, s.in[at+i/2]>>(4*(1-i&1))&15)
		}
		at = end
	} else {
		end := at + n
		if end > stop {
			return 0
		}
		n = w.read(s.in[:], at, end)
		at = end
	}
	if n == 0 || !h.build(w, n) {
		return 0
	}
	return at
}

// build makes the table for n weights and the one that follows from them.
func (h *huffman) build(w *weights, n int) bool {
	sum := 0
	for weight := 1; weight < len(w.count); weight++ {
		sum += int(w.count[weight]) << (weight - 1)
	}
	if sum == 0 {
		return false
	}
	size := bits.Len(uint(sum))
	left := 1<<size - sum
	if size > maxHuff || left&(left-1) != 0 {
		return false
	}
	w.add(n, uint8(bits.Len(uint(left))))
	if w.count[1] < 2 || w.count[1]&1 != 0 {
		return false
	}
	// The longest codes come first.
	at := 0
	for weight := 1; weight <= size; weight++ {
		run := 1 << (weight - 1)
		e := uint64(size + 1 - weight)
		for _, symbol := range w.symbols[weight][:w.count[weight]] {
			h.fill(at, run, e|uint64(symbol)<<8)
			at += run
		}
	}
	h.bits = uint8(size)
	return true
}

// fill sets n entries from at on, four at a time where it can: n is a power of two.
func (h *huffman) fill(at, n int, e uint64) {
	to := h.table[2*at:]
	switch {
	case n >= 4:
		e *= 1<<48 | 1<<32 | 1<<16 | 1
		to = to[:2*n]
		for ; len(to) >= 8; to = to[8:] {
			binary.LittleEndian.PutUint64(to, e)
		}
	case n == 2:
		binary.LittleEndian.PutUint32(to, uint32(e|e<<16))
	default:
		binary.LittleEndian.PutUint16(to, uint16(e))
	}
}

// read decodes weights that are FSE-coded themselves, at in[from:to], and returns how many there are, 0 where they are
// corrupt. There must be 8 bytes before from.
func (w *weights) read(in []byte, from, to int) int {
	var norm [maxHuff + 2]int16
	symbols, log, used := readNorm(in[from:to], norm[:], 6)
	if used == 0 {
		return 0
	}
	from += used
	var table [64]weightState
	spreadWeights(&table, norm[:symbols], log)
	pos, ok := lastBit(in, from, to)
	low := 8 * from
	if !ok || pos-low < 2*log {
		return 0
	}
	v := load(in, pos)
	one, two := v>>(64-log), v<<log>>(64-log)
	pos -= 2 * log
	// Two states take turns. When the bits are used up the other one's symbol is the last.
	for n := 0; n < 253; n += 2 {
		v := load(in, pos)
		e := table[one&63]
		w.add(n, e.weight)
		one = uint64(e.next) + v>>1>>(63-e.bits&63)
		v <<= e.bits & 63
		f := table[two&63]
		w.add(n+1, f.weight)
		two = uint64(f.next) + v>>1>>(63-f.bits&63)
		if pos -= int(e.bits); pos < low {
			return n + 2
		}
		if pos -= int(f.bits); pos < low {
			w.add(n+2, table[one&63].weight)
			return n + 3
		}
	}
	return 0
}

// weightState is a state of the code of weights.
type weightState struct{ weight, bits, next uint8 }

// spreadWeights is seqTable.build for weights, which have at most 64 states.
func spreadWeights(table *[64]weightState, norm []int16, log int) {
	var next [16]uint8
	size := 1 << log
	high, step, mask := size-1, size>>1+size>>3+3, size-1
	for weight, n := range norm {
		if n == -1 {
			table[high&63].weight = uint8(weight)
			high--
			n = 1
		}
		next[weight&15] = uint8(n)
	}
	at := 0
	for weight, n := range norm {
		for ; n > 0; n-- {
			table[at&63].weight = uint8(weight)
			at = (at + step) & mask
			for at > high {
				at = (at + step) & mask
			}
		}
	}
	for i := range table[:size] {
		e := &table[i&63]
		x := int(next[e.weight&15])
		next[e.weight&15]++
		nbits := log - (bits.Len8(uint8(x)) - 1)
		e.bits, e.next = uint8(nbits), uint8(x<<nbits-size)
	}
}

// decode fills dst from the bit stream in[from:to], which is read from its end. There must be 8 bytes before from.
func (h *huffman) decode(dst, in []byte, from, to int) bool {
	pos, ok := lastBit(in, from, to)
	if !ok {
		return false
	}
	shift := 63 - h.bits
	for len(dst) >= 5 && pos > 8*from { // 5 codes have 55 bits at most, and a load 56
		v := load(in, pos)
		e0 := h.at(v, shift)
		v <<= e0 & 15
		e1 := h.at(v, shift)
		v <<= e1 & 15
		e2 := h.at(v, shift)
		v <<= e2 & 15
		e3 := h.at(v, shift)
		v <<= e3 & 15
		e4 := h.at(v, shift)
		dst[0], dst[1], dst[2], dst[3], dst[4] = byte(e0>>8), byte(e1>>8), byte(e2>>8), byte(e3>>8), byte(e4>>8)
		pos -= int(e0&15 + e1&15 + e2&15 + e3&15 + e4&15)
		dst = dst[5:]
	}
	for i := range dst {
		if pos <= 8*from {
			return false
		}
		e := h.at(load(in, pos), shift)
		dst[i] = byte(e >> 8)
		pos -= int(e & 15)
	}
	return pos == 8*from
}

// at returns the entry of the code that v has at its top. shift is 63 - h.bits.
func (h *huffman) at(v uint64, shift uint8) uint16 {
	return binary.LittleEndian.Uint16(h.table[v>>(shift&63)&(2<<maxHuff-2):])
}

// lastBit returns the position behind the last bit of the stream in[from:to]: a 1 above it marks the end.
func lastBit(in []byte, from, to int) (pos int, ok bool) {
	if to <= from || in[to-1] == 0 {
		return 0, false
	}
	return 8*to - bits.LeadingZeros8(in[to-1]) - 1, true
}

// load returns the bits before pos, the next one at the top; at least 56 of them count.
func load(in []byte, pos int) uint64 {
	i := pos >> 3
	return binary.LittleEndian.Uint64(in[i-7:i+1]) << (8 - pos&7)
}
