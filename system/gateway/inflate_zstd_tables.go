package gateway

// zstdTables are what compressed blocks of one frame hand on: the newest Huffman code, the newest
// three tables of sequences, and the newest three offsets (RFC 8878, 3.1.1.3). 17 KB for each connection.
type zstdTables struct {
	huffman  huffman
	seqs     [3]*seqTable // in force: own or predefined; nil before the first
	own      [3]seqTable
	repeated [3]int
}

// Kinds of seqTable, in the order in which a block describes them.
const (
	ofLengths = iota // of literals
	ofOffsets
	ofMatches
)

func newZstdTables() *zstdTables {
	t := &zstdTables{}
	t.reset()
	return t
}

// reset is the state at the begin of a frame.
func (t *zstdTables) reset() {
	t.huffman.bits = 0
	t.seqs = [3]*seqTable{}
	t.repeated = [3]int{1, 4, 8}
}

// seqTable decodes one of the three codes of sequences by finite state entropy: an entry for each state.
type seqTable struct {
	log     uint8 // of the number of entries in use
	entries [1 << maxSeqLog]seqEntry
}

const maxSeqLog = 9

// seqEntry is a state: from the lowest bit on 16 bits next state before its low bits, 8 bits number of those, 8 bits
// number of extra bits of the value, 32 bits value before the extra bits. In one word, so that a state is one load.
type seqEntry uint64

func makeEntry(next, bits int, code seqCode) seqEntry {
	return seqEntry(next) | seqEntry(bits)<<16 | seqEntry(code.extra)<<24 | seqEntry(code.value)<<32
}

// seqCode is what a symbol stands for.
type seqCode struct {
	value uint32
	extra uint8 // bits
}

// seqKind is what the three kinds of tables differ in.
type seqKind struct {
	codes      []seqCode
	most       int // accuracy log
	predefined seqTable
}

var seqKinds = makeSeqKinds()

func makeSeqKinds() *[3]seqKind {
	kinds := &[3]seqKind{
		ofLengths: {most: 9, codes: codes(0, [][2]int{{16, 0}, {4, 1}, {2, 2}, {2, 3}, {1, 4}, {1, 6}, {1, 7}, {1, 8}, {1, 9}, {1, 10}, {1, 11}, {1, 12}, {1, 13}, {1, 14}, {1, 15}, {1, 16}})},
		ofMatches: {most: 9, codes: codes(3, [][2]int{{32, 0}, {4, 1}, {2, 2}, {2, 3}, {2, 4}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {1, 10}, {1, 11}, {1, 12}, {1, 13}, {1, 14}, {1, 15}, {1, 16}})},
		ofOffsets: {most: 8},
	}
	for n := range 32 {
		// No window that we take has offsets of more than 24 bits: with any number of extra bits the value stays too large.
		kinds[ofOffsets].codes = append(kinds[ofOffsets].codes, seqCode{1 << n, uint8(min(n, 24))})
	}
	for kind, norm := range [3][]int16{
		ofLengths: {4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1},
		ofOffsets: {1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1},
		ofMatches: {1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1},
	} {
		log := 6
		if kind == ofOffsets {
			log = 5
		}
		kinds[kind].predefined.build(norm, log, kinds[kind].codes)
	}
	return kinds
}

// codes makes a list of codes that follow one another without gaps, from runs of how many with how many extra bits.
func codes(from int, runs [][2]int) (list []seqCode) {
	for _, run := range runs {
		for range run[0] {
			list = append(list, seqCode{uint32(from), uint8(run[1])})
			from += 1 << run[1]
		}
	}
	return list
}

// build makes the table of a normalised distribution, whose sum is 1<<log with -1 counted as 1.
func (t *seqTable) build(norm []int16, log int, codes []seqCode) {
	t.log = uint8(log)
	var states fseStates
	states.spread(norm, log)
	entries := t.entries[:1<<log]
	for i := range entries {
		symbol := states.symbols[i&(1<<maxSeqLog-1)]
		next, bits := states.step(symbol, log)
		entries[i] = makeEntry(next, bits, codes[symbol])
	}
}

// repeat makes the table of one symbol that costs no bits.
func (t *seqTable) repeat(code seqCode) {
	t.log, t.entries[0] = 0, makeEntry(0, 0, code)
}

// read takes the table of one kind as a block describes it, mode by mode, and returns the rest of the description.
func (t *zstdTables) read(kind int, mode byte, b []byte) ([]byte, error) {
	k := &seqKinds[kind]
	switch mode & 3 {
	case 0:
		t.seqs[kind] = &k.predefined
		return b, nil
	case 1:
		if len(b) == 0 || int(b[0]) >= len(k.codes) {
			return nil, errZstd
		}
		t.own[kind].repeat(k.codes[b[0]])
		t.seqs[kind] = &t.own[kind]
		return b[1:], nil
	case 2:
		var norm [64]int16
		n, log, used := readNorm(b, norm[:len(k.codes)], k.most)
		if used == 0 {
			return nil, errZstd
		}
		t.own[kind].build(norm[:n], log, k.codes)
		t.seqs[kind] = &t.own[kind]
		return b[used:], nil
	}
	if t.seqs[kind] == nil { // nothing to repeat
		return nil, errZstd
	}
	return b, nil
}
