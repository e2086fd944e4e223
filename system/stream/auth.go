package stream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// TLSOptions secure the connection to an external server. All empty: TLS where the URL or the
// server asks for it, with the system's authorities.
type TLSOptions struct {
	CAFile            string // PEM; trusted instead of the system's authorities
	CertFile, KeyFile string // PEM; the client's certificate, both or none
	HandshakeFirst    bool   // TLS before the server's greeting; the server must be set up for it
}

func (t TLSOptions) apply(n *nats.Options) error {
	if t == (TLSOptions{}) {
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return fmt.Errorf("stream: tls authority: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("stream: tls authority: %s holds no PEM certificate", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return errors.New("stream: tls certificate: certificate and key go together, one of them is missing")
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return fmt.Errorf("stream: tls certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	n.TLSConfig, n.Secure, n.TLSHandshakeFirst = c, true, t.HandshakeFirst
	return nil
}

// credentials are read once, here, so that a missing or broken file is an error at once and not an
// endless row of failed attempts.
func (o *Options) credentials(n *nats.Options) error {
	kinds := 0
	for _, set := range []bool{o.User != "", o.Token != "", o.CredsFile != "", o.NKeyFile != ""} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		return errors.New("stream: credentials: give only one of user, token, creds file and nkey file")
	}
	if o.Password != "" && o.User == "" {
		return errors.New("stream: credentials: a password without a user")
	}
	n.User, n.Password, n.Token = o.User, o.Password, o.Token
	switch {
	case o.CredsFile != "":
		raw, err := os.ReadFile(o.CredsFile)
		if err != nil {
			return fmt.Errorf("stream: creds file: %w", err)
		}
		if !strings.Contains(string(raw), "NATS USER JWT") || !strings.Contains(string(raw), "USER NKEY SEED") {
			return fmt.Errorf("stream: creds file: %s holds no user JWT and seed", o.CredsFile)
		}
		if err := nats.UserCredentials(o.CredsFile)(n); err != nil {
			return fmt.Errorf("stream: creds file: %s: %w", o.CredsFile, err)
		}
	case o.NKeyFile != "":
		option, err := nats.NkeyOptionFromSeed(o.NKeyFile)
		if err == nil {
			err = option(n)
		}
		if err != nil {
			return fmt.Errorf("stream: nkey file: %s: %w", o.NKeyFile, err)
		}
	}
	return nil
}

// servers splits and checks a comma-separated list. Its errors count the entries instead of
// showing them: an entry may hold a password.
func servers(list string) ([]string, error) {
	var out []string
	parts := strings.Split(list, ",")
	for i, s := range parts {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		if !strings.Contains(s, "://") {
			s = "nats://" + s
		}
		if why := checkServer(s); why != "" {
			return nil, fmt.Errorf("stream: nats url: server %d of %d: %s", i+1, len(parts), why)
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, errors.New("stream: nats url: no server given")
	}
	return out, nil
}

func checkServer(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "not a URL; expected nats://host:port"
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
	default:
		return fmt.Sprintf("the scheme is %q; expected nats, tls, ws or wss", u.Scheme)
	}
	if u.Hostname() == "" {
		return "the host is missing; expected nats://host:port"
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return "the port is not between 1 and 65535"
		}
	} else if _, _, err := net.SplitHostPort(u.Host); err == nil {
		return "the port is empty"
	}
	return ""
}

// redact takes secrets out of errors.
type redact struct{ secrets []string }

func newRedact(o Options) redact {
	var r redact
	add := func(s string) {
		if s != "" {
			r.secrets = append(r.secrets, s)
		}
	}
	add(o.Password)
	add(o.Token)
	for s := range strings.SplitSeq(o.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(s))
		if err != nil || u.User == nil {
			continue
		}
		if p, ok := u.User.Password(); ok {
			add(p)
		} else {
			add(u.User.Username()) // a user alone is a token
		}
	}
	return r
}

var userinfo = regexp.MustCompile(`://[^\s/]*@`)

// clean returns err, or an error of the same kind without secrets in its text.
func (r redact) clean(err error) error {
	if err == nil {
		return nil
	}
	text := userinfo.ReplaceAllString(err.Error(), "://***@")
	for _, s := range r.secrets {
		text = strings.ReplaceAll(text, s, "***")
	}
	text = strings.TrimPrefix(text, "nats: ")
	if text == err.Error() {
		return err
	}
	return &cleanError{text: text, cause: err}
}

// cleanError keeps what errors.Is finds in its cause and shows another text.
type cleanError struct {
	text  string
	cause error
}

func (e *cleanError) Error() string        { return e.text }
func (e *cleanError) Is(target error) bool { return errors.Is(e.cause, target) }
