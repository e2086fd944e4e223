package main

import (
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

var (
	ownAddress = regexp.MustCompile(`\b(?:0\.0\.0\.0|127\.0\.0\.1):(\d{4})\b`)
	dsn        = regexp.MustCompile(`\bhost=([a-z0-9-]+) port=(\d+)`)
	listenAddr = regexp.MustCompile(`(?m)^listen_addr = .*$`)
	listenPort = regexp.MustCompile(`(?m)^listen_port = (\d+)`)
	named      = regexp.MustCompile(`\b([a-z][a-z0-9-]*):(\d{4})\b`)
)

// translate puts this machine's addresses and paths in place of the container's.
func (r *processes) translate(s types.ServiceConfig, root, text string) (string, error) {
	var failed error
	swap := func(re *regexp.Regexp, f func(m []string) (service, port, form string)) {
		text = re.ReplaceAllStringFunc(text, func(whole string) string {
			service, port, form := f(re.FindStringSubmatch(whole))
			known, ok := r.p.Services[service]
			if !ok || !slices.Contains(known.Expose, port) {
				return whole
			}
			addr, err := r.address(service, port)
			if err != nil {
				failed = err
				return whole
			}
			host, number, _ := net.SplitHostPort(addr)
			return strings.NewReplacer("ADDR", addr, "HOST", host, "PORT", number).Replace(form)
		})
	}
	swap(ownAddress, func(m []string) (string, string, string) { return s.Name, m[1], "ADDR" })
	swap(dsn, func(m []string) (string, string, string) { return m[1], m[2], "host=HOST port=PORT" })
	swap(listenPort, func(m []string) (string, string, string) { return s.Name, m[1], "listen_port = PORT" })
	swap(named, func(m []string) (string, string, string) { return m[1], m[2], "ADDR" })
	text = listenAddr.ReplaceAllString(text, "listen_addr = 127.0.0.1")
	for _, target := range targets(s) {
		re := regexp.MustCompile(`(^|[\s="'\[(,>])(` + regexp.QuoteMeta(target) + `)($|[\s/"'\]),])`)
		text = re.ReplaceAllString(text, "${1}"+strings.ReplaceAll(root, "$", "$$")+"${2}${3}")
	}
	return text, failed
}

// targets are the folders in which something of a service's is mounted.
func targets(s types.ServiceConfig) []string {
	set := map[string]bool{}
	for _, v := range s.Volumes {
		if v.Type == "volume" {
			set[v.Target] = true
		} else {
			set[filepath.Dir(v.Target)] = true
		}
	}
	for _, t := range s.Tmpfs {
		folder, _, _ := strings.Cut(t, ":")
		set[folder] = true
	}
	var out []string
	for t := range set {
		out = append(out, t)
	}
	slices.Sort(out)
	// A folder inside another one is translated with it.
	return slices.CompactFunc(out, func(a, b string) bool { return strings.HasPrefix(b, a+"/") })
}
