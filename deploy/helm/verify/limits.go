package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// limits tries each number and word that the schema draws a line at on drover itself: what the schema lets through drover must take, and
// what is just outside drover must refuse. It returns how many it has tried.
func limits(t tools) (tried int, wrong []string) {
	rules, err := schemaRules(t)
	if err != nil {
		return 0, []string{err.Error()}
	}
	takes := func(key, value string) (bool, string) {
		tried++
		args := []string{"config", "check", "--set", key + "=" + value}
		if strings.HasSuffix(key, ".replicas") { // more than one needs a cluster
			args = append(args, "--nats-url", "nats://nats:4222")
		}
		out, err := run(t, "/", nil, args...)
		return err == nil, out
	}
	number := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	for _, key := range slices.Sorted(maps.Keys(rules)) {
		r := rules[key]
		for i, bound := range []*float64{r.Minimum, r.Maximum} {
			if bound == nil {
				continue
			}
			outside := *bound + 2*float64(i) - 1
			if ok, out := takes(key, number(*bound)); !ok {
				wrong = append(wrong, fmt.Sprintf("values.schema.json: config.%s: %v is allowed, and drover refuses it: %s", key, *bound, out))
			}
			if ok, _ := takes(key, number(outside)); ok {
				wrong = append(wrong, fmt.Sprintf("values.schema.json: config.%s: %v is refused, and drover takes it", key, outside))
			}
		}
		for _, word := range r.Enum {
			if ok, out := takes(key, fmt.Sprint(word)); !ok {
				wrong = append(wrong, fmt.Sprintf("values.schema.json: config.%s: %v is allowed, and drover refuses it: %s", key, word, out))
			}
		}
		if len(r.Enum) > 0 {
			if ok, _ := takes(key, "sheep"); ok {
				wrong = append(wrong, fmt.Sprintf("values.schema.json: config.%s: drover takes any word", key))
			}
		}
	}
	if tried < 40 {
		wrong = append(wrong, fmt.Sprintf("values.schema.json: only %d bounds were found: the schema is read wrongly", tried))
	}
	return tried, wrong
}
