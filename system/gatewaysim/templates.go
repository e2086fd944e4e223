package gatewaysim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// template is text with fields in it, cut up once so that rendering is copying.
type template []segment

type segment struct {
	text  string
	field field // follows text; nil at the end
}

// field appends one value. r holds the event and the choices made for it.
type field func(dst []byte, r *rendering) []byte

// rendering is one event being written. Everything in it follows from the
// event, so the same event always gives the same bytes.
type rendering struct {
	w *world
	e *event
	g uint64 // guild id
	u uint64 // number of the acting user
}

// compile cuts text at its $field$ marks. It panics on an unknown one.
func compile(text string) template {
	var t template
	parts := strings.Split(text, "$")
	for i := 0; i < len(parts); i += 2 {
		s := segment{text: parts[i]}
		if i+1 < len(parts) {
			f, ok := fields[parts[i+1]]
			if !ok {
				panic(fmt.Sprintf("gatewaysim: template: unknown field %q", parts[i+1]))
			}
			s.field = f
		}
		t = append(t, s)
	}
	return t
}

func newRendering(w *world, e *event) rendering {
	return rendering{w: w, e: e, g: w.guildID(e.guild), u: mix(e.seed, 7) % 500}
}

// appendData renders d.
func appendData(dst []byte, w *world, e *event) []byte {
	r := newRendering(w, e)
	return r.data(dst)
}

func (r *rendering) data(dst []byte) []byte {
	switch r.e.kind {
	case kindRaw:
		return append(dst, r.e.raw.d...)
	case kindGuildCreate, kindGuildRefresh:
		return appendGuild(dst, r, 0)
	case kindGuildGiant:
		return appendGuild(dst, r, int(r.e.seed))
	}
	return kinds[r.e.kind].text.append(dst, r)
}

func (t template) append(dst []byte, r *rendering) []byte {
	for i := range t {
		dst = append(dst, t[i].text...)
		if t[i].field != nil {
			dst = t[i].field(dst, r)
		}
	}
	return dst
}

// interaction builds the text of an INTERACTION_CREATE.
func interaction(kind int, data string) string {
	return strings.Replace(interactionHead, "%TYPE%", strconv.Itoa(kind), 1) + data + "}"
}

// Ids that belong to a guild are its id plus a little: they are stable, and
// look like ids of the same age.
func (r *rendering) channel(n uint64) uint64 { return r.g + 1<<22 + n%12 }
func (r *rendering) role(n uint64) uint64    { return r.g + 2<<22 + n%16 }
func (r *rendering) user(n uint64) uint64    { return 800000000000000000 + mix(r.g, n)%99999999999999999 }

var fields = map[string]field{
	"guild":    func(b []byte, r *rendering) []byte { return num(b, r.g) },
	"bot":      func(b []byte, r *rendering) []byte { return num(b, r.w.botID()) },
	"owner":    func(b []byte, r *rendering) []byte { return num(b, r.user(1000)) },
	"channel":  func(b []byte, r *rendering) []byte { return num(b, r.channel(mix(r.e.seed, 1))) },
	"category": func(b []byte, r *rendering) []byte { return num(b, r.channel(0)) },
	"role":     func(b []byte, r *rendering) []byte { return num(b, r.role(mix(r.e.seed, 2))) },
	"user":     func(b []byte, r *rendering) []byte { return num(b, r.user(r.u)) },
	"user2":    func(b []byte, r *rendering) []byte { return num(b, r.user(r.u+1)) },
	"dm":       func(b []byte, r *rendering) []byte { return num(b, r.user(r.u)+1<<22) },
	"uname":    func(b []byte, r *rendering) []byte { return num(append(b, "shepherd."...), r.u) },
	"gname":    func(b []byte, r *rendering) []byte { return num(append(b, `Shep \ud83d\udc15 `...), r.u) },
	"flags":    func(b []byte, r *rendering) []byte { return num(b, r.u&1<<8) },
	"num":      func(b []byte, r *rendering) []byte { return num(b, 1+r.e.seed%40) },
	"cmdid":    func(b []byte, r *rendering) []byte { return num(b, 900000000000000100+r.e.seed%5) },
	"id":       func(b []byte, r *rendering) []byte { return num(b, snowflakeAt(r.e.at, r.e.seed)) },
	"id2":      func(b []byte, r *rendering) []byte { return num(b, snowflakeAt(r.e.at-45, r.e.seed>>22)) },
	"unix":     func(b []byte, r *rendering) []byte { return num(b, uint64(r.e.at/1000)) },
	"ts":       func(b []byte, r *rendering) []byte { return stamp(b, r.e.at) },
	"joined":   func(b []byte, r *rendering) []byte { return stamp(b, r.e.at-int64(1+r.u)*86_400_000) },
	"hash":     func(b []byte, r *rendering) []byte { return hash(b, mix(r.g, r.u), mix(r.u, 3)) },
	"hash2":    func(b []byte, r *rendering) []byte { return hash(b, mix(r.g, 4), mix(r.g, 5)) },
	"itoken":   interactionToken,
	"mentions": mention,
	"command":  func(b []byte, r *rendering) []byte { return append(b, commands[r.e.seed%uint64(len(commands))]...) },
	"nick": func(b []byte, r *rendering) []byte {
		if r.u&1 == 0 {
			return append(b, "null"...)
		}
		return append(num(append(b, `"Wool\t`...), r.u), '"')
	},
	"roles": func(b []byte, r *rendering) []byte {
		b = append(b, '[')
		for i := range 4 + r.u%9 {
			b = append(num(append(comma(b, i > 0), '"'), r.role(r.u+i)), '"')
		}
		return append(b, ']')
	},
	"guildroles": func(b []byte, r *rendering) []byte { return appendRoles(b, r, r.roles()) },
	"guildname":  func(b []byte, r *rendering) []byte { return num(append(b, "Pasture "...), uint64(r.e.guild)) },
	"topic":      func(b []byte, r *rendering) []byte { return text(b, r.e.seed>>8, 2) },
	"short":      func(b []byte, r *rendering) []byte { return text(b, r.e.seed>>16, 1) },
	"direct":     func(b []byte, r *rendering) []byte { return text(b, r.e.seed, 2) },
	"content": func(b []byte, r *rendering) []byte {
		if r.e.flags&noContent != 0 {
			return b
		}
		return text(b, r.e.seed, 1+int(r.e.seed>>32%5))
	},
	"embeds": func(b []byte, r *rendering) []byte {
		if r.e.flags&noContent != 0 || r.e.seed>>40%6 != 0 {
			return append(b, "[]"...)
		}
		b = append(b, `[{"type":"rich","title":"`...)
		b = append(text(b, r.e.seed>>3, 1), `","description":"`...)
		return append(text(b, r.e.seed>>5, 4), `","url":"https://example.com/a?b=1&c=2","color":5793266,"content_scan_version":0}]`...)
	},
	"attachments": func(b []byte, r *rendering) []byte {
		if r.e.flags&noContent != 0 || r.e.seed>>44%5 != 0 {
			return append(b, "[]"...)
		}
		b = num(append(b, `[{"width":1080,"url":"https://cdn.example.com/attachments/`...), r.channel(1))
		b = num(append(b, `/sheep.png?ex=68","size":`...), r.e.seed%900000)
		b = num(append(b, `,"proxy_url":"https://media.example.com/sheep.png","placeholder_version":1,"id":"`...), snowflakeAt(r.e.at, r.e.seed+1))
		return append(b, `","height":720,"filename":"sheep.png","content_type":"image/png"}]`...)
	},
}

// mention is one in four messages' mention of the bot.
func mention(b []byte, r *rendering) []byte {
	if r.e.seed>>48&3 != 0 {
		return append(b, "[]"...)
	}
	b = append(b, `[{"username":"drover-sim","public_flags":0,"member":{"roles":[],"premium_since":null,"pending":false,"nick":null,"mute":false,"joined_at":"`...)
	b = stamp(b, r.e.at-int64(1+r.u)*86_400_000)
	b = append(b, `","flags":0,"deaf":false,"communication_disabled_until":null,"banner":null,"avatar":null},"id":"`...)
	return append(num(b, r.w.botID()), `","global_name":null,"discriminator":"0000","bot":true,"avatar":null}]`...)
}

var commands = []string{"ban", "roll", "play", "lookup", "remind"}

func num(b []byte, n uint64) []byte { return strconv.AppendUint(b, n, 10) }

func comma(b []byte, yes bool) []byte {
	if yes {
		return append(b, ',')
	}
	return b
}

// stamp is ISO 8601 as Discord writes it. By hand, for it is a third of the cost
// of an event otherwise.
func stamp(b []byte, ms int64) []byte {
	t := time.UnixMilli(ms).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = digits(b, year, 1000)
	b = digits(append(b, '-'), int(month), 10)
	b = digits(append(b, '-'), day, 10)
	b = digits(append(b, 'T'), hour, 10)
	b = digits(append(b, ':'), minute, 10)
	b = digits(append(b, ':'), second, 10)
	b = digits(append(b, '.'), t.Nanosecond()/1000, 100_000)
	return append(b, "+00:00"...)
}

// digits appends n with leading zeros; first is the weight of the first digit.
func digits(b []byte, n, first int) []byte {
	for ; first > 0; first /= 10 {
		b = append(b, byte('0'+n/first%10))
	}
	return b
}

const hexDigits = "0123456789abcdef"

func hash(b []byte, parts ...uint64) []byte {
	for _, p := range parts {
		for range 16 {
			b = append(b, hexDigits[p&15])
			p >>= 4
		}
	}
	return b
}

// text appends n sentences.
func text(b []byte, seed uint64, n int) []byte {
	for i := range n {
		b = append(b, contents[mix(seed, uint64(i))%uint64(len(contents))]...)
	}
	return b
}

const tokenLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// interactionToken is as long as real ones and worth as little as it looks.
func interactionToken(b []byte, r *rendering) []byte {
	b = append(b, "aW50ZXJhY3Rpb246"...)
	for i := range uint64(18) {
		n := mix(r.e.seed, 100+i)
		for range 10 {
			b = append(b, tokenLetters[n&63])
			n >>= 6
		}
	}
	return b
}
