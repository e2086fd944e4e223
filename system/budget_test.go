package system_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"drover/config"
	"drover/system/gatewaysim"
)

// Enough shards may be ready, and some be held back all the same.
func TestNode_that_is_ready_says_all_the_same_what_the_budget_holds_back(t *testing.T) {
	t.Parallel()
	sim := startSim(t, gatewaysim.Options{Shards: 2})
	sim.SetBudget(1, time.Hour)
	n := startNode(t, sim, 2, func(c *config.Config) { c.Health.MinReady = 0.5 })
	n.awaitReady(time.Minute)
	await(t, 20*time.Second, "the reason", func() (bool, string) {
		code, body := n.get("/ready")
		return code == 200 && strings.Contains(body, "1 waits to identify: today's 1000 IDENTIFYs are spent: the next is allowed at "), fmt.Sprint(code, body)
	})
}
