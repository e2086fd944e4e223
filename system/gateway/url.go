package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Version is the gateway version that this package speaks.
const Version = 10

// GatewayURL makes the URL to dial of base, as GET /gateway/bot or the configuration gives it: with
// the query v=10&encoding=json, and compress unless that is "none" or "". Query parameters that base
// has are kept or overwritten, never doubled; an empty path becomes "/". The schemes http and https
// stand for ws and wss.
func GatewayURL(base, compress string) (string, error) {
	u, err := parseURL(base)
	if err != nil {
		return "", err
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	}
	return withQuery(u, compress)
}

// ResumeURL is GatewayURL for a resume_gateway_url, which must be ws or wss.
func ResumeURL(base, compress string) (string, error) {
	u, err := parseURL(base)
	if err != nil {
		return "", err
	}
	if u.Scheme != "ws" && u.Scheme != "wss" {
		return "", badURL(base, "its scheme is not wss")
	}
	return withQuery(u, compress)
}

func parseURL(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil {
		var parse *url.Error // repeats the URL, which badURL gives in short
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, badURL(base, err.Error())
	}
	switch u.Scheme {
	case "ws", "wss", "http", "https":
	default:
		return nil, badURL(base, "its scheme is not wss")
	}
	switch {
	case u.Hostname() == "":
		return nil, badURL(base, "it names no host")
	case u.User != nil:
		return nil, badURL(base, "a user name has no meaning there")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, badURL(base, "its port is not from 1 to 65535")
		}
	}
	return u, nil
}

func withQuery(u *url.URL, compress string) (string, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", badURL(u.String(), err.Error())
	}
	query.Set("v", strconv.Itoa(Version))
	query.Set("encoding", "json")
	query.Del("compress")
	if compress != "" && compress != "none" {
		query.Set("compress", compress)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.RawQuery, u.Fragment, u.RawFragment = query.Encode(), "", ""
	return u.String(), nil
}

// compressOf returns the compression that a URL made by GatewayURL or ResumeURL asks for; "" is none.
func compressOf(dial string) string {
	u, err := url.Parse(dial)
	if err != nil {
		return ""
	}
	return u.Query().Get("compress")
}

func badURL(base, why string) error {
	if at := strings.LastIndexByte(base, '@'); at >= 0 {
		base = "…" + base[at:] // what stands before it may be a password
	}
	const most = 100
	if len(base) > most {
		base = base[:most] + "…"
	}
	return fmt.Errorf("gateway: url %q: %s", base, why)
}
