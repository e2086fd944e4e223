package store

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The chart hands a private CA over in PGSSLROOTCERT: with it sslmode=verify-full takes a server that the CA signed, and without it none.
func TestOpen_trusts_the_CA_of_PGSSLROOTCERT(t *testing.T) {
	file, cert := selfSigned(t)
	for _, tt := range []struct {
		name, ca string
		want     bool // the handshake is done
	}{
		{"with the CA", file, true},
		{"without it", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("PGSSLROOTCERT", tt.ca)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			shaken := make(chan error, 10)
			go func() { // ends when l is closed
				for {
					nc, err := l.Accept()
					if err != nil {
						return
					}
					select {
					case shaken <- shake(nc, cert):
					default: // the pool tries more often than anybody asks
					}
				}
			}()
			s, err := Open(t.Context(), Options{URL: "postgres://app_worker:secret@" + l.Addr().String() + "/drover?sslmode=verify-full"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Ping(t.Context()); err == nil {
				t.Fatal("got an answer of a server that gives none")
			}
			select {
			case err := <-shaken:
				if got := err == nil; got != tt.want {
					t.Errorf("got the handshake done: %v (%v), want %v", got, err, tt.want)
				}
			case <-time.After(time.Minute):
				t.Fatal("nobody has asked for TLS")
			}
		})
	}
}

// shake is PostgreSQL's side until TLS is there: it says S to the request for it.
func shake(nc net.Conn, cert tls.Certificate) error {
	defer nc.Close()
	if _, err := io.ReadFull(nc, make([]byte, 8)); err != nil {
		return err
	}
	if _, err := nc.Write([]byte("S")); err != nil {
		return err
	}
	return tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
}

// selfSigned is a certificate for loopback that signs itself, and its file.
func selfSigned(t *testing.T) (file string, cert tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
