package stream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// Each way to prove who we are, against a server that asks for it, and once with the wrong proof.
func TestConnect_authenticates(t *testing.T) {
	user, _ := nkeys.CreateUser()
	seed, _ := user.Seed()
	public, _ := user.PublicKey()
	other, _ := nkeys.CreateUser()
	otherSeed, _ := other.Seed()
	ca := newAuthority(t)
	serverCert, serverKey := ca.issue(t, "server", x509.ExtKeyUsageServerAuth)
	clientCert, clientKey := ca.issue(t, "client", x509.ExtKeyUsageClientAuth)
	stranger := newAuthority(t)
	operator, creds := decentralised(t)
	for _, c := range []struct {
		name, conf   string
		scheme       string
		good, bad    Options
		inURL, badIn string // userinfo
	}{
		{name: "user and password", conf: `authorization { user: "u", password: "p4ss" }`, good: Options{User: "u", Password: "p4ss"}, bad: Options{User: "u", Password: "wr0ng"}},
		{name: "user and password in the url", conf: `authorization { user: "u", password: "p4ss" }`, inURL: "u:p4ss@", badIn: "u:wr0ng@"},
		{name: "token", conf: `authorization { token: "t0k" }`, good: Options{Token: "t0k"}, bad: Options{Token: "wr0ng"}},
		{name: "token in the url", conf: `authorization { token: "t0k" }`, inURL: "t0k@", badIn: "wr0ng@"},
		{name: "nkey", conf: fmt.Sprintf(`authorization { users: [ { nkey: %s } ] }`, public),
			good: Options{NKeyFile: writeFile(t, "seed", string(seed))}, bad: Options{NKeyFile: writeFile(t, "seed", string(otherSeed))}},
		{name: "creds file", conf: operator, good: Options{CredsFile: writeFile(t, "user.creds", creds)}},
		{name: "tls with our own authority and a client certificate",
			conf: fmt.Sprintf(`tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }`, serverCert, serverKey, ca.file),
			good: Options{TLS: TLSOptions{CAFile: ca.file, CertFile: clientCert, KeyFile: clientKey}}, bad: Options{TLS: TLSOptions{CAFile: ca.file}}},
		{name: "tls before the greeting",
			conf:   fmt.Sprintf(`tls { cert_file: %q, key_file: %q, handshake_first: true }`, serverCert, serverKey),
			scheme: "tls://", good: Options{TLS: TLSOptions{CAFile: ca.file, HandshakeFirst: true}}, bad: Options{TLS: TLSOptions{CAFile: stranger.file, HandshakeFirst: true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := startNATS(t, "-c", writeFile(t, "nats.conf", c.conf))
			scheme := "nats://"
			if c.scheme != "" {
				scheme = c.scheme
			}
			c.good.URL, c.bad.URL = scheme+c.inURL+d.addr, scheme+c.badIn+d.addr
			b := connect(t, c.good)
			if err := b.WaitConnected(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !b.Connected() || strings.Contains(b.Server(), "p4ss") || strings.Contains(b.Server(), "t0k") {
				t.Errorf("got connected %v to %s, want true and no secret", b.Connected(), b.Server())
			}
			if c.scheme == "" && c.badIn == "" && c.bad.User+c.bad.Token+c.bad.NKeyFile+c.bad.TLS.CAFile == "" {
				return // no wrong proof worth trying
			}
			lost := make(chan error, 1)
			c.bad.Hooks.Lost = func(err error) { lost <- err }
			wrong := connect(t, c.bad)
			err := <-lost
			if wrong.Connected() || err == nil || strings.Contains(err.Error(), "wr0ng") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got connected %v, %v, want one sentence without secrets", wrong.Connected(), err)
			}
			t.Log(err)
		})
	}
}

// decentralised makes the configuration of a server that trusts an operator, and a user's creds file.
func decentralised(t *testing.T) (conf, creds string) {
	t.Helper()
	must := func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	key := func(k nkeys.KeyPair, err error) (nkeys.KeyPair, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return k, must(k.PublicKey())
	}
	operatorKey, operatorID := key(nkeys.CreateOperator())
	accountKey, accountID := key(nkeys.CreateAccount())
	systemKey, systemID := key(nkeys.CreateAccount())
	userKey, userID := key(nkeys.CreateUser())
	_ = systemKey
	operator := jwt.NewOperatorClaims(operatorID)
	operator.SystemAccount = systemID
	account := jwt.NewAccountClaims(accountID)
	system := jwt.NewAccountClaims(systemID)
	conf = fmt.Sprintf("operator: %s\nresolver: MEMORY\nresolver_preload: {\n%s: %s\n%s: %s\n}\n", must(operator.Encode(operatorKey)),
		accountID, must(account.Encode(operatorKey)), systemID, must(system.Encode(operatorKey)))
	seed, err := userKey.Seed()
	if err != nil {
		t.Fatal(err)
	}
	file, err := jwt.FormatUserConfig(must(jwt.NewUserClaims(userID).Encode(accountKey)), seed)
	if err != nil {
		t.Fatal(err)
	}
	return conf, string(file)
}

// authority signs certificates for 127.0.0.1.
type authority struct {
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	a.file = a.write(t, a.cert, key)
	return a
}

func (a *authority) issue(t *testing.T, name string, usage x509.ExtKeyUsage) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert = a.write(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, k)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return cert, writeFile(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func (a *authority) write(t *testing.T, c *x509.Certificate, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}
