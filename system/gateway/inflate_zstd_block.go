package gateway

// decode appends to out what the compressed block b stands for. Matches reach back into out and,
// before that, into back.
func (t *zstdTables) decode(b []byte, s *scratch, size int, back *window, out *output) error {
	end := inFront + len(b)
	copy(s.in[inFront:], b)
	literals, at := t.literals(s, inFront, end, min(size, maxBlock))
	if at == 0 {
		return errZstd
	}
	seqs, at := t.sequences(s.in[:end], at)
	switch {
	case at == 0, seqs == 0 && at != end:
		return errZstd
	case seqs == 0:
		out.append(literals)
		return nil
	}
	r := zstdRun{in: s.in[:], from: at, to: end, literals: literals, window: size, most: min(size, maxBlock)}
	if !t.run(&r, seqs, back, out) {
		return errZstd
	}
	return nil
}

// literals decodes the literals section, which is at s.in[at:end] (RFC 8878, 3.1.1.3.1). It returns them, with slack behind
// them, and where the section ends, 0 if it is corrupt.
func (t *zstdTables) literals(s *scratch, at, end, most int) (_ []byte, next int) {
	in := s.in[:end]
	if end-at < 2 {
		return nil, 0
	}
	head := uint64(in[at]) | uint64(in[at+1])<<8 | uint64(s.in[at+2])<<16 | uint64(s.in[at+3])<<24 | uint64(s.in[at+4])<<32
	kind, form := head&3, head>>2&3
	if kind < 2 { // raw, or one byte repeated
		size := int(head & 0xff >> 3)
		at++
		switch form {
		case 1:
			size = int(head & 0xffff >> 4)
			at++
		case 3:
			size = int(head & 0xffffff >> 4)
			at += 2
		}
		switch {
		case size > most:
			return nil, 0
		case kind == 0 && at+size <= end:
			return s.in[at : at+size], at + size
		case kind == 1 && at < end:
			literals := s.literals[:size]
			for i := range literals {
				literals[i] = in[at]
			}
			return literals, at + 1
		}
		return nil, 0
	}
	width := []uint{10, 10, 14, 18}[form]
	size := int(head >> 4 & (1<<width - 1))
	wire := int(head >> (4 + width) & (1<<width - 1))
	at += []int{3, 3, 4, 5}[form]
	stop := at + wire
	if size > most || stop > end {
		return nil, 0
	}
	if kind == 2 {
		if at = t.huffman.read(s, at, stop); at == 0 {
			return nil, 0
		}
	}
	if t.huffman.bits == 0 { // there is no earlier code
		return nil, 0
	}
	literals := s.literals[:size]
	if form == 0 {
		if !t.huffman.decode(literals, s.in[:], at, stop) {
			return nil, 0
		}
		return literals, stop
	}
	if !t.huffman.decode4(literals, s.in[:], at, stop) {
		return nil, 0
	}
	return literals, stop
}

// decode4 is decode for four streams, each with a quarter of the literals.
func (h *huffman) decode4(dst, in []byte, at, stop int) bool {
	if stop-at < 6+4 {
		return false
	}
	quarter := (len(dst) + 3) / 4
	sizes := in[at : at+6]
	at += 6
	for i := range 4 {
		end := stop
		if i < 3 {
			end = at + int(sizes[2*i]) + int(sizes[2*i+1])<<8
		}
		n := min(quarter, len(dst))
		if i == 3 {
			n = len(dst)
		}
		if end > stop || n == 0 || !h.decode(dst[:n], in, at, end) {
			return false
		}
		dst, at = dst[n:], end
	}
	return true
}

// sequences reads the head of the sequences section, which begins at in[at] (RFC 8878, 3.1.1.3.2.1): their number, and the
// tables. It returns where their bit stream begins, 0 where the section is corrupt.
func (t *zstdTables) sequences(in []byte, at int) (seqs, next int) {
	b := in[at:]
	if len(b) == 0 {
		return 0, 0
	}
	seqs = int(b[0])
	switch {
	case seqs == 0:
		return 0, at + 1
	case seqs < 128:
		b = b[1:]
	case seqs < 255 && len(b) > 1:
		seqs = (seqs-128)<<8 + int(b[1])
		b = b[2:]
	case seqs == 255 && len(b) > 2:
		seqs = int(b[1]) + int(b[2])<<8 + 0x7f00
		b = b[3:]
	default:
		return 0, 0
	}
	if len(b) == 0 || b[0]&3 != 0 || seqs == 0 {
		return 0, 0
	}
	modes := b[0]
	b = b[1:]
	for kind := ofLengths; kind <= ofMatches; kind++ {
		var err error
		if b, err = t.read(kind, modes>>(6-2*kind), b); err != nil {
			return 0, 0
		}
	}
	return seqs, len(in) - len(b)
}
