package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// secured is a stock nats-server with the users that we ship, one of another bot, and an admin for the test.
type secured struct {
	*process
	url      string
	tls      bool
	dir      string            // of its configuration, and of the certificates
	password map[string]string // by user
	users    map[string]*server.Permissions
}

// shippedUsers are those of deploy/nats/accounts.conf.
var shippedUsers = []string{"node", "worker", "operator"}

// otherBot makes of our users' subjects those of a bot with the prefix "sheep", as accounts.conf says.
var otherBot = strings.NewReplacer(
	".EVENTS", ".sheep_EVENTS", ".COMMANDS", ".sheep_COMMANDS", "KV_drover_", "KV_sheep_", "$KV.drover_", "$KV.sheep_",
	`"events.>"`, `"sheep.events.>"`, `"commands.>"`, `"sheep.commands.>"`, "drover.control.", "sheep.control.", "_INBOX.drover.node.>", "_INBOX.sheep.node.>",
)

// startSecured runs it with the files of deploy/nats, edited as little as a test needs.
func startSecured(t *testing.T, tls bool, edit func(accounts string) string) *secured {
	t.Helper()
	s := newSecured(t, tls)
	s.configure(t, s.dir, edit)
	s.process, s.url = s.serve(t, s.dir, "secure.conf")
	return s
}

func newSecured(t *testing.T, tls bool) *secured {
	t.Helper()
	s := &secured{tls: tls, dir: t.TempDir(), password: map[string]string{}, users: map[string]*server.Permissions{}}
	for _, user := range shippedUsers {
		s.password[user] = "pass" + strings.ToLower(rand.Text())
	}
	s.password["admin"], s.password["stranger"] = "admin"+rand.Text(), s.password["node"]
	s.certify(t)
	return s
}

// configure writes the files of deploy/nats into a server's folder, which also has its data.
func (s *secured) configure(t *testing.T, dir string, edit func(accounts string) string, instead ...string) {
	t.Helper()
	for _, name := range []string{"nats-server.conf", "accounts.conf", "tls.conf", "secure.conf", "cluster.conf"} {
		raw, err := os.ReadFile("../../deploy/nats/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer(append(instead, "/var/lib/nats", quote(dir), "/etc/nats/", s.dir+"/")...).Replace(string(raw))
		switch name {
		case "accounts.conf":
			if edit != nil {
				text = edit(text)
			}
			text = s.addUsers(t, text)
			s.readUsers(t, text)
		case "secure.conf":
			text += "\nmax_traced_msg_len: 8\n"
			if !s.tls {
				text = strings.Replace(text, `include "tls.conf"`, "", 1)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serve starts a server with a configured folder.
func (s *secured) serve(t *testing.T, dir, conf string, env ...string) (*process, string) {
	t.Helper()
	for _, user := range shippedUsers {
		env = append(env, "DROVER_"+strings.ToUpper(user)+"_PASSWORD="+s.password[user])
	}
	program, err := natsProgram()
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, "nats-server", env, program, "-c", filepath.Join(dir, conf), "-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-V")
	addr := p.match(p.stderr, `Listening for client connections on (\S+)`)
	p.match(p.stderr, `Server is ready`)
	if s.tls {
		return p, "tls://" + addr
	}
	return p, "nats://" + addr
}

// readUsers learns what each user may do, as the server reads it.
func (s *secured) readUsers(t *testing.T, accounts string) {
	t.Helper()
	path := filepath.Join(s.dir, "users.conf")
	text := strings.NewReplacer("$DROVER_NODE_PASSWORD", "x", "$DROVER_WORKER_PASSWORD", "x", "$DROVER_OPERATOR_PASSWORD", "x").Replace(accounts)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range o.Users {
		s.users[u.Username] = u.Permissions
	}
}

// addUsers puts another bot's node and an admin beside our users.
func (s *secured) addUsers(t *testing.T, accounts string) string {
	t.Helper()
	begin, end := strings.Index(accounts, "      {\n        user: node\n"), strings.Index(accounts, "      # drover shards, drover tail")
	if begin < 0 || end < begin {
		t.Fatal("accounts.conf has no node where this test looks for it")
	}
	stranger := strings.Replace(otherBot.Replace(accounts[begin:end]), "user: node", "user: stranger", 1)
	admin := "      { user: admin, password: " + s.password["admin"] + " }\n"
	return accounts[:begin] + stranger + admin + accounts[begin:]
}

// certify makes an authority, and certificates for the server and for all clients.
func (s *secured) certify(t *testing.T) {
	t.Helper()
	write := func(name, kind string, der []byte, err error) {
		if err == nil {
			err = os.WriteFile(filepath.Join(s.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var ca *x509.Certificate // of those below it
	var caKey *ecdsa.PrivateKey
	for i, c := range []struct {
		name  string
		usage []x509.ExtKeyUsage // none: it signs
	}{
		{"ca", nil},
		{"server", []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
		{"client", []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
		{"route-ca", nil},
		{"route", []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		cert := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: c.name}, NotAfter: time.Now().Add(time.Hour),
			ExtKeyUsage: c.usage, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}
		if c.usage == nil {
			cert.IsCA, cert.BasicConstraintsValid, cert.KeyUsage = true, true, x509.KeyUsageCertSign
			ca, caKey = cert, key
		}
		der, err := x509.CreateCertificate(rand.Reader, cert, ca, &key.PublicKey, caKey)
		write(c.name+".pem", "CERTIFICATE", der, err)
		der, err = x509.MarshalPKCS8PrivateKey(key)
		write(c.name+"-key.pem", "PRIVATE KEY", der, err)
	}
}

// env has a process of ours connect as a user.
func (s *secured) env(user string) []string {
	env := []string{"NATS_URL=" + s.url, "DROVER_NATS_USER=" + user, "DROVER_NATS_PASSWORD=" + s.password[user]}
	if s.tls {
		env = append(env, "DROVER_NATS_TLS_CA_FILE="+s.dir+"/ca.pem", "DROVER_NATS_TLS_CERT_FILE="+s.dir+"/client.pem", "DROVER_NATS_TLS_KEY_FILE="+s.dir+"/client-key.pem")
	}
	return env
}

// client connects as a user, as a program of somebody else would.
func (s *secured) client(t *testing.T, user string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	options := []nats.Option{nats.UserInfo(user, s.password[user]), nats.Name("test " + user), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}
	if s.tls {
		options = append(options, nats.RootCAs(s.dir+"/ca.pem"), nats.ClientCert(s.dir+"/client.pem", s.dir+"/client-key.pem"))
	}
	nc, err := nats.Connect(s.url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	prefix := jetstream.DefaultAPIPrefix
	if user == "worker" {
		prefix = "drover.API"
	}
	js, err := jetstream.NewWithAPIPrefix(nc, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// wantRefused publishes, or subscribes, and wants the server to say that it does not allow that.
func wantRefused(t *testing.T, nc *nats.Conn, verb, subject string) {
	t.Helper()
	var err error
	if verb == "subscribe" {
		_, err = nc.SubscribeSync(subject)
	} else {
		err = nc.Publish(subject, []byte("{}"))
	}
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	if last := nc.LastError(); last == nil || !strings.Contains(last.Error(), `"`+subject+`"`) {
		t.Errorf("%s %s: got %v, want it refused", verb, subject, last)
	}
}
