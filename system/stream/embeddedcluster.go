package stream

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/nats-io/nats-server/v2/server"
)

// EmbeddedCluster makes an embedded server one of several that hold copies of each other's streams.
//
// It is for audits and benchmarks: whoever reaches Listen may join. What an operator runs as a cluster is nats-server, with
// users and TLS for its routes.
type EmbeddedCluster struct {
	Name   string   // the same on all members
	Listen string   // host:port for the other members
	Routes []string // host:port of all members; itself may be among them
}

// apply puts the membership into the server's options. Clients are not told of the other members: they know those that
// they were given, and reach them on the way that they were given.
func (c *EmbeddedCluster) apply(o *server.Options) error {
	if c.Name == "" || o.ServerName == "" {
		return errors.New("stream: embedded server: a member of a cluster needs the cluster's name and one of its own")
	}
	host, port, err := listenAddr(c.Listen)
	if err != nil {
		return &ListenError{c.Listen, err}
	}
	o.Cluster = server.ClusterOpts{Name: c.Name, Host: host, Port: port, NoAdvertise: true}
	for _, r := range c.Routes {
		if _, _, err := listenAddr(r); err != nil {
			return fmt.Errorf("stream: embedded server: route %q: %w", r, err)
		}
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: r})
	}
	return nil
}
