package audit

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"drover/system/gatewaysim"
)

func TestClusterRandom_draws_the_same_faults_from_the_same_seed(t *testing.T) {
	drawn := func(seed uint64) (list []string) {
		r := &run{o: Options{Shards: 96}, sim: gatewaysim.New(gatewaysim.Options{}), nats: &broker{}}
		for i := range 4 {
			r.nodes = append(r.nodes, &node{name: fmt.Sprintf("node-%d", i+1)})
		}
		m := &mix{r: r, rnd: rand.New(rand.NewPCG(seed, 1))}
		for range 10 * randomFaults {
			f := m.draw()
			if f.strike == nil {
				t.Fatalf("%q does nothing", f.name)
			}
			list = append(list, fmt.Sprint(f.name, f.lasts))
		}
		return list
	}
	one, again, other := strings.Join(drawn(1), "\n"), strings.Join(drawn(1), "\n"), strings.Join(drawn(2), "\n")
	if one != again || one == other {
		t.Errorf("same seed: %t, want true; other seed: %t, want false", one == again, one == other)
	}
	for _, kind := range []string{
		"killing node-4", "killing node-1", "stopping node-", "freezing node-", "off from NATS", "cutting the connections of", "killing nats-server", "stopping nats-server",
		"freezing nats-server", "nats-server and node-", "node-4 joins", "node-4 leaves", "close code 4009", "close code 4000", "a dropped connection", "op 7", "op 9 true",
		"op 9 false", "for all shards", "a silent edge", ", and then ",
	} {
		if !strings.Contains(one, kind) {
			t.Errorf("no %q in %d faults", kind, 10*randomFaults)
		}
	}
}
