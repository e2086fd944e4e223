package gateway

// zstdRun is what the sequences of one block work on.
type zstdRun struct {
	in       []byte // the bit stream is in[from:to]
	from, to int
	literals []byte // with slack behind them
	window   int
	most     int // bytes that the block may have
}

// run carries out the sequences of a block: each copies some literals and then a match (RFC 8878, 3.1.1.4). It reports
// whether they make sense.
func (t *zstdTables) run(r *zstdRun, seqs int, back *window, out *output) bool {
	pos, ok := lastBit(r.in, r.from, r.to)
	if !ok {
		return false
	}
	in, low := r.in, 8*r.from
	lengths, offsets, matches := t.seqs[ofLengths], t.seqs[ofOffsets], t.seqs[ofMatches]
	take := func(n uint8) uint64 {
		v := load(in, pos) >> 1 >> (63 - n)
		pos -= int(n)
		return v
	}
	l := lengths.entries[take(lengths.log)&stateMask]
	o := offsets.entries[take(offsets.log)&stateMask]
	m := matches.entries[take(matches.log)&stateMask]
	if pos < low {
		return false
	}
	rep0, rep1, rep2 := t.repeated[0], t.repeated[1], t.repeated[2]
	literals := r.literals
	lit := literals[:len(literals)+slack]
	used := 0
	stop := out.n + r.most
	out.room(min(4*(r.to-inFront), r.most))
	buf, n := out.b, out.n
	room := min(len(buf)-slack, stop)
	for {
		v := load(in, pos)
		ob, mb, lb := uint8(o>>24), uint8(m>>24), uint8(l>>24)
		off := int(o>>32) + int(v>>1>>(63-ob&63))
		v <<= ob & 63
		ml := int(m>>32) + int(v>>1>>(63-mb&63))
		v <<= mb & 63
		ll := int(l>>32) + int(v>>1>>(63-lb&63))
		pos -= int(ob) + int(mb) + int(lb)
		if off > 3 {
			off -= 3
			rep0, rep1, rep2 = off, rep0, rep1
		} else {
			if ll == 0 {
				off++
			}
			switch off {
			case 1:
				off = rep0
			case 2:
				off = rep1
				rep0, rep1 = off, rep0
			default:
				if off == 3 {
					off = rep2
				} else if off = rep0 - 1; off == 0 {
					return false
				}
				rep0, rep1, rep2 = off, rep0, rep1
			}
		}

		if n+ll+ml > room {
			if n+ll+ml > stop {
				return false
			}
			out.n = n
			out.room(ll + ml)
			buf = out.b
			room = min(len(buf)-slack, stop)
		}
		if ll > len(literals)-used {
			return false
		}
		if ll <= 16 {
			move16(buf, n, lit, used)
		} else {
			copy(buf[n:n+ll], literals[used:])
		}
		n += ll
		used += ll

		if from := n - off; from >= out.base && off >= 16 && ml <= 16 && off <= r.window {
			move16(buf, n, buf, from)
		} else if off > r.window || !back.match(buf, n, out.base, off, ml) {
			return false
		}
		n += ml

		if seqs--; seqs == 0 {
			break
		}
		v = load(in, pos)
		lb, mb, ob = uint8(l>>16), uint8(m>>16), uint8(o>>16)
		l = lengths.entries[(uint64(l)&0xffff+v>>1>>(63-lb&63))&stateMask]
		v <<= lb & 63
		m = matches.entries[(uint64(m)&0xffff+v>>1>>(63-mb&63))&stateMask]
		v <<= mb & 63
		o = offsets.entries[(uint64(o)&0xffff+v>>1>>(63-ob&63))&stateMask]
		pos -= int(lb) + int(mb) + int(ob)
		if pos < low {
			return false
		}
	}
	if pos != low || n+len(literals)-used > stop {
		return false
	}
	out.n = n
	out.append(literals[used:])
	t.repeated = [3]int{rep0, rep1, rep2}
	return true
}

// stateMask bounds a state to the entries of a table. A table of fewer has no larger states.
const stateMask = 1<<maxSeqLog - 1
