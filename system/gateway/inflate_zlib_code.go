package gateway

import (
	"math/bits"
	"sync"
)

// deflateCodes are the two codes of a compressed block: of literals and lengths, and of distances. An
// index of literalBits or distanceBits leads to the entry of the code that it begins with; for longer
// codes that names a second table, behind the first.
type deflateCodes struct {
	literals  [1334]deflateEntry // the most that 288 codes of up to 15 bits can take
	distances [402]deflateEntry  // and 32
}

const (
	literalBits  = 10
	distanceBits = 8
	longestCode  = 15
)

// deflateEntry is, from the lowest bit on: 5 bits length of the code; 3 bits kind; 4 bits number of extra bits, or of index
// bits of the second table; from bit 16 on the literal, the value before the extra bits, or where the second table begins.
type deflateEntry uint32

const (
	isLiteral deflateEntry = 1 << 5
	isTable   deflateEntry = 1 << 6
	isOther   deflateEntry = 1 << 7 // the end of a block, or no code at all

	endOfBlock = 1 // the value that tells it from no code
)

// What symbols stand for, without the length of their codes.
var (
	literalEntries  = makeLiteralEntries()
	distanceEntries = makeEntries(32, 30, 1, [][2]int{{4, 0}, {2, 1}, {2, 2}, {2, 3}, {2, 4}, {2, 5}, {2, 6}, {2, 7}, {2, 8}, {2, 9}, {2, 10}, {2, 11}, {2, 12}, {2, 13}})
	lengthEntries   = makeEntries(19, 19, 0, [][2]int{{19, 0}}) // of the code that the lengths of codes are written in
)

func makeLiteralEntries() []deflateEntry {
	list := make([]deflateEntry, 257, 288)
	for i := range 256 {
		list[i] = isLiteral | deflateEntry(i)<<16
	}
	list[256] = isOther | endOfBlock<<16
	lengths := makeEntries(31, 29, 3, [][2]int{{8, 0}, {4, 1}, {4, 2}, {4, 3}, {4, 4}, {4, 5}, {1, 0}})
	lengths[28] = 258 << 16 // not 259
	return append(list, lengths...)
}

// makeEntries is codes with entries, filled up to size with such as are no code.
func makeEntries(size, known, from int, runs [][2]int) []deflateEntry {
	list := make([]deflateEntry, size)
	for i, code := range codes(from, runs) {
		list[i] = deflateEntry(code.value)<<16 | deflateEntry(code.extra)<<8
	}
	for i := known; i < size; i++ {
		list[i] = isOther
	}
	return list
}

// fixedCodes are the codes that need no description.
var fixedCodes = sync.OnceValue(func() *deflateCodes {
	var lengths [288]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	var distances [32]uint8
	for i := range distances {
		distances[i] = 5
	}
	c := &deflateCodes{}
	makeCode(c.literals[:], literalBits, lengths[:], literalEntries)
	makeCode(c.distances[:], distanceBits, distances[:], distanceEntries)
	return c
})

// codes reads the description of a block's codes.
func (d *deflated) codes(c *deflateCodes) bool {
	d.refill()
	literals, distances, n := d.take(5)+257, d.take(5)+1, d.take(4)+4
	if literals > 286 || distances > 30 {
		return false
	}
	var lengths [286 + 30 + 138]uint8
	for i := range n {
		if i == 10 {
			d.refill()
		}
		lengths[[...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[i]] = uint8(d.take(3))
	}
	table := &d.s.lengths
	if !makeCode(table[:], 7, lengths[:19], lengthEntries) {
		return false
	}
	lengths = [len(lengths)]uint8{}
	all := literals + distances
	for n = 0; n < all; {
		if d.bits < 14 {
			if d.refill(); d.bits < 0 {
				return false
			}
		}
		e := table[d.v&127]
		if e&isOther != 0 {
			return false
		}
		d.take(int(e & 31))
		symbol := uint8(e >> 16)
		if symbol < 16 {
			lengths[n] = symbol
			n++
			continue
		}
		times, length := 0, uint8(0)
		switch symbol {
		case 16:
			if n == 0 {
				return false
			}
			times, length = 3+d.take(2), lengths[n-1]
		case 17:
			n += 3 + d.take(3)
		case 18:
			n += 11 + d.take(7)
		}
		for range times {
			lengths[n] = length
			n++
		}
	}
	return n == all && lengths[256] != 0 &&
		makeCode(c.literals[:], literalBits, lengths[:literals], literalEntries) &&
		makeCode(c.distances[:], distanceBits, lengths[literals:all], distanceEntries)
}

// makeCode fills table for the canonical code with those lengths, its first part with indexes of first bits. It reports
// whether that is a code.
func makeCode(table []deflateEntry, first int, lengths []uint8, entries []deflateEntry) bool {
	var count [longestCode + 1]int
	for _, length := range lengths {
		count[length&15]++
	}
	// The symbols in the order of their codes.
	var next [longestCode + 2]int
	space := 0 // used of 1<<15
	for length := 1; length <= longestCode; length++ {
		next[length+1] = next[length] + count[length]
		space += count[length] << (longestCode - length)
	}
	used := next[longestCode+1]
	if space != 1<<longestCode && !(used <= 1 && count[1] == used) {
		return false // only a code of one symbol may have room for more
	}
	var sorted [288]uint16
	at := next
	at[0] = 0
	for symbol, length := range lengths {
		if length != 0 {
			sorted[at[length&15]] = uint16(symbol)
			at[length&15]++
		}
	}
	if used <= 1 {
		for i := range table[:1<<first] {
			table[i] = isOther
			if used == 1 && i&1 == 0 {
				table[i] = entries[sorted[0]] | 1
			}
		}
		return true
	}
	// Codes are read from their first bit on, which is the lowest of an index. So they are counted up from the top bit down, and
	// a table for codes of one bit more is the same one twice.
	code, length, n := 0, 1, 0
	end := 2 // of the table for codes up to length
	for count[length] == 0 {
		length++
		end *= 2
	}
	for length <= first {
		for range count[length] {
			table[code] = entries[sorted[n]] | deflateEntry(length)
			n++
			if code == end-1 {
				for ; end < 1<<first; end *= 2 {
					copy(table[end:2*end], table[:end])
				}
				return true
			}
			code = following(code, end)
		}
		if length++; length <= first {
			copy(table[end:2*end], table[:end])
			end *= 2
		}
	}
	end = 1 << first
	prefix, start := -1, 0
	left := count[length]
	for {
		for left == 0 {
			length++
			left = count[length]
		}
		if code&(1<<first-1) != prefix { // a second table, with room for the longest code in it
			prefix, start = code&(1<<first-1), end
			width := length - first
			for have := left; have < 1<<width; {
				width++
				have = have<<1 + count[first+width]
			}
			end = start + 1<<width
			table[prefix] = isTable | deflateEntry(start)<<16 | deflateEntry(width)<<8 | deflateEntry(first)
		}
		e := entries[sorted[n]] | deflateEntry(length-first)
		n++
		for i := start + code>>first; i < end; i += 1 << (length - first) {
			table[i] = e
		}
		if code == 1<<length-1 {
			return true
		}
		code = following(code, 1<<length)
		left--
	}
}

// following returns the code after code, both with their first bit lowest, among codes of one length; size is 1<<length.
func following(code, size int) int {
	bit := 1 << (bits.Len(uint(code^(size-1))) - 1)
	return code&(bit-1) | bit
}
