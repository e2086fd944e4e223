package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// EmbeddedOptions describe the NATS server inside this process.
type EmbeddedOptions struct {
	Listen     string // host:port for workers; port 0 takes a free one, which ClientURL tells
	DataDir    string // JetStream's files; made if it is missing, used by one process at a time
	MaxPayload int    // bytes of one message; default and at most 8 MiB, what NATS recommends
	Name       string // server name; default: one that NATS makes up
	// Cluster makes the server a member of one; nil: it is alone. StartEmbedded then returns when the server takes connections,
	// which may be before its JetStream has found enough of the others.
	Cluster *EmbeddedCluster
	Log     *slog.Logger
}

// maxPayload is the largest message that NATS supports well; a large guild's GUILD_CREATE has a few MB.
const maxPayload = 8 << 20

// ListenError says that the embedded server cannot listen on Addr: mostly the port is in use.
type ListenError struct {
	Addr string
	Err  error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("stream: embedded server: listen on %s: %v", e.Addr, e.Err)
}

// Unwrap returns what the operating system said.
func (e *ListenError) Unwrap() error { return e.Err }

// ErrDataDirInUse means that another process has its embedded server in the same directory.
var ErrDataDirInUse = errors.New("another drover uses it")

// DataDirError says that the embedded server cannot keep its files in Dir: not writable, or
// ErrDataDirInUse.
type DataDirError struct {
	Dir string
	Err error
}

func (e *DataDirError) Error() string {
	return fmt.Sprintf("stream: embedded server: data directory %s: %v", e.Dir, e.Err)
}

// Unwrap returns the cause.
func (e *DataDirError) Unwrap() error { return e.Err }

// Embedded is a NATS server with JetStream inside this process, made by StartEmbedded. Any
// goroutine may use it.
type Embedded struct {
	srv  *server.Server
	lock *os.File
	once sync.Once
}

// StartEmbedded starts the server and returns when it serves. Errors are a *ListenError, a
// *DataDirError, or what the server said.
func StartEmbedded(o EmbeddedOptions) (*Embedded, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxPayload <= 0 || o.MaxPayload > maxPayload {
		o.MaxPayload = maxPayload
	}
	host, port, err := listenAddr(o.Listen)
	if err != nil {
		return nil, &ListenError{o.Listen, err}
	}
	lock, err := lockDataDir(o.DataDir)
	if err != nil {
		return nil, &DataDirError{o.DataDir, err}
	}
	e := &Embedded{lock: lock}
	if err := e.start(o, host, port); err != nil {
		e.Shutdown()
		return nil, err
	}
	return e, nil
}

// ClientURL is where workers connect: nats://host:port.
func (e *Embedded) ClientURL() string { return e.srv.ClientURL() }

// InProcessConn connects without a socket; it is nats.go's InProcessConnProvider.
func (e *Embedded) InProcessConn() (net.Conn, error) { return e.srv.InProcessConn() }

// Shutdown stops the server and returns when its files are closed. It may be called twice.
func (e *Embedded) Shutdown() {
	e.once.Do(func() {
		if e.srv != nil {
			e.srv.Shutdown()
			e.srv.WaitForShutdown()
		}
		_ = e.lock.Close() // frees the lock; nothing was written
	})
}

func (e *Embedded) start(o EmbeddedOptions, host string, port int) error {
	// The server itself only logs that it cannot listen, after JetStream's start.
	probe, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(max(port, 0))))
	if err != nil {
		return &ListenError{o.Listen, reason(err)}
	}
	_ = probe.Close()
	log := newServerLog(o.Log)
	options := &server.Options{
		ServerName: o.Name,
		Host:       host,
		Port:       port,
		MaxPayload: int32(o.MaxPayload),
		JetStream:  true,
		StoreDir:   o.DataDir,
		NoSigs:     true,

		DisableJetStreamBanner: true,
	}
	if o.Cluster != nil {
		if err := o.Cluster.apply(options); err != nil {
			return err
		}
	}
	e.srv, err = server.NewServer(options)
	if err != nil {
		return fmt.Errorf("stream: embedded server: %w", err)
	}
	e.srv.SetLoggerV2(log, o.Log.Enabled(context.Background(), slog.LevelDebug), false, false)
	started := make(chan struct{})
	go func() { // ends when Start returns: at once, or when JetStream has read its files
		defer close(started)
		e.srv.Start()
	}()
	select {
	case <-started:
	case err := <-log.fatal:
		return e.startError(o, err)
	}
	select {
	case err := <-log.fatal:
		return e.startError(o, err)
	default:
	}
	// Generous: a large store on a slow disk. Clients cannot connect before.
	if !e.srv.ReadyForConnections(time.Minute) {
		return errors.New("stream: embedded server: not ready within 1 min")
	}
	return nil
}

func (e *Embedded) startError(o EmbeddedOptions, err error) error {
	var in *net.OpError
	if errors.As(err, &in) {
		return &ListenError{o.Listen, reason(err)}
	}
	return fmt.Errorf("stream: embedded server: %w", err)
}

// listenAddr reads host:port; port 0 becomes the server's word for "any".
func listenAddr(s string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, errors.New("not host:port")
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, errors.New("the port is not between 0 and 65535")
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	if host == "" {
		host = "0.0.0.0"
	}
	return host, port, nil
}

// reason strips "listen tcp 127.0.0.1:4222: bind:", which the caller has said already.
func reason(err error) error {
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		return sys.Err
	}
	return err
}

// lockDataDir makes dir, proves that it can be written, and keeps other processes out of it until
// the file is closed. JetStream's own files have no lock.
func lockDataDir(dir string) (*os.File, error) {
	if dir == "" {
		return nil, errors.New("not given")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, pathReason(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "drover.lock"), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, pathReason(err)
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// pathReason keeps what the operating system said about a path below the directory.
func pathReason(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
