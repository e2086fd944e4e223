package config

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// Key is one configuration key as an operator sees it.
type Key struct {
	Name    string   // pool.size
	Env     []string // variables that set it, the strongest first
	Default string   // as it would be written in the file; empty: nothing
}

// Keys lists every key in the order of Config's fields.
func Keys() []Key {
	var keys []Key
	for _, f := range allFields {
		keys = append(keys, Key{Name: f.key, Env: f.env(), Default: f.text(Default())})
	}
	return keys
}

// aliases are variables that bots of this ecosystem already use, the strongest
// first. DROVER_… beats them all.
var aliases = map[string][]string{
	"discord.token":     {"DISCORD_TOKEN", "DISCORD_BOT_TOKEN"},
	"discord.intents":   {"DISCORD_INTENTS"},
	"pool.id":           {"POOL_ID", "SHARD_ID"},
	"pool.total_shards": {"TOTAL_SHARDS"},
	"nats.url":          {"NATS_URL"},
	"http.addr":         {"HTTP_PORT", "METRICS_PORT"},
	"log.level":         {"LOG_LEVEL"},
	"database.url":      {"DATABASE_URL"},

	"telemetry.traces":      {"OTEL_TRACES_EXPORTER"},
	"telemetry.metrics":     {"OTEL_METRICS_EXPORTER"},
	"telemetry.logs":        {"OTEL_LOGS_EXPORTER"},
	"telemetry.endpoint":    {"OTEL_EXPORTER_OTLP_ENDPOINT"},
	"telemetry.protocol":    {"OTEL_EXPORTER_OTLP_PROTOCOL"},
	"telemetry.sampler":     {"OTEL_TRACES_SAMPLER"},
	"telemetry.sampler_arg": {"OTEL_TRACES_SAMPLER_ARG"},
}

// field is one key together with its place in Config.
type field struct {
	key   string
	index []int // for reflect's FieldByIndex
	typ   reflect.Type
}

// The types that a key may have; value.go reads each of them.
var (
	secretType   = reflect.TypeFor[Secret]()
	urlType      = reflect.TypeFor[URL]()
	bytesType    = reflect.TypeFor[Bytes]()
	reserveType  = reflect.TypeFor[Reserve]()
	durationType = reflect.TypeFor[time.Duration]()
	listType     = reflect.TypeFor[[]string]()
	optIntType   = reflect.TypeFor[*int]()
	intType      = reflect.TypeFor[int]()
	floatType    = reflect.TypeFor[float64]()
	stringType   = reflect.TypeFor[string]()
)

var (
	allFields = fieldsOf(reflect.TypeFor[Config](), "", nil)
	byKey     = func() map[string]field {
		m := map[string]field{}
		for _, f := range allFields {
			m[f.key] = f
		}
		return m
	}()
)

func fieldsOf(t reflect.Type, prefix string, index []int) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		key := prefix + sf.Tag.Get("mapstructure")
		at := append(slices.Clone(index), i)
		if sf.Type.Kind() == reflect.Struct {
			out = append(out, fieldsOf(sf.Type, key+".", at)...)
			continue
		}
		out = append(out, field{key: key, index: at, typ: sf.Type})
	}
	return out
}

// value is the field's value in c.
func (f field) value(c Config) any {
	return reflect.ValueOf(c).FieldByIndex(f.index).Interface()
}

// text is the field's value in c as it would be written in a file, masked.
func (f field) text(c Config) string { return formatValue(f.value(c)) }

// env lists the variables that set the field, the strongest first.
func (f field) env() []string {
	return append([]string{envName(f.key)}, aliases[f.key]...)
}

// hidden reports whether a wrong value must not be repeated in an error.
func (f field) hidden() bool { return f.typ == secretType || f.typ == urlType }

func envName(key string) string {
	return "DROVER_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// isSection reports whether name is the beginning of keys and no key itself.
func isSection(name string) bool {
	return slices.ContainsFunc(allFields, func(f field) bool {
		return strings.HasPrefix(f.key, name+".")
	})
}

// closest names the one of candidates that name was probably meant to be, or "".
func closest(name string, candidates []string) string {
	best, distance := "", 3 // more than two slips is another word
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(name), strings.ToLower(c)); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions and replacements between a and b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
