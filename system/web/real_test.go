package web

import (
	"testing"

	"drover/system/gatewaysim"
)

// StartHerd runs real nodes for the shards of a simulated bot, one for each name, and returns the addresses of their pages. It
// stands in the package web_test: the package system imports this one.
var StartHerd func(t *testing.T, sim *gatewaysim.Server, shards int, names ...string) (urls []string)

// simulate starts a simulated Discord that lasts as long as the test.
func simulate(t *testing.T, o gatewaysim.Options) *gatewaysim.Server {
	t.Helper()
	sim := gatewaysim.New(o)
	if err := sim.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	return sim
}
