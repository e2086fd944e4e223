package main

import (
	"net/url"
	"strings"
)

// natsPorts are the ports of a nats.url, read in another way than the chart does it.
func natsPorts(text string) []string {
	var ports []string
	if text == "" || text == "none" {
		return nil
	}
	for server := range strings.SplitSeq(text, ",") {
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		switch {
		case err != nil:
			ports = append(ports, "unreadable")
		case u.Port() != "":
			ports = append(ports, u.Port())
		case u.Scheme == "wss":
			ports = append(ports, "443")
		case u.Scheme == "ws":
			ports = append(ports, "80")
		default:
			ports = append(ports, "4222")
		}
	}
	return ports
}
