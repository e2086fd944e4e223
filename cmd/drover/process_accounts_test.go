package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/system/localdb"
)

// The five buckets, and the two streams.
var (
	buckets = []string{"leases", "members", "identify", "fleet", "sessions"}
	streams = []string{"EVENTS", "COMMANDS"}
)

// Nodes, a worker and an operator do all that they ever do, under the users of deploy/nats/accounts.conf, and nothing is refused; and every line of
// those users was needed for it.
func TestAccounts_let_each_user_do_its_work_and_no_more(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls %t", tls), func(t *testing.T) {
			t.Parallel()
			s := startSecured(t, tls, nil)
			c := &company{secured: s, t: t, database: startDatabase(t), sim: startSimulator(t, "--shards", "4", "--rate", "100", "--max-concurrency", "4")}
			_, c.admin = s.client(t, "admin")
			c.makeWhatIsOld()
			spool := t.TempDir()
			a, b := c.node("a", spool), c.node("b", t.TempDir())
			c.freeSlot()
			a.awaitReady()
			b.awaitReady()
			c.work()
			c.operate(a, b)
			c.apply()
			b.stop()
			a.logged("sessions of another number of shards forgotten")
			c.resume(&a, spool)
			c.makeAgain(a)
			c.wantOthersRefused()
			a.stop()
			c.wantEveryLineUsed(a.process, b.process)
		})
	}
}

// company are all who meet on one server.
type company struct {
	*secured
	t        *testing.T
	database *localdb.Server
	sim      *simulator
	admin    jetstream.JetStream
}

func (c *company) node(name, spool string, env ...string) *running {
	c.t.Helper()
	return startNode(c.t, c.sim.api, c.url, append(append(c.env("node"), "DROVER_CLUSTER_NODE="+name, "DROVER_SPOOL_DIR="+spool,
		"DROVER_CLUSTER_LEASE_TTL=2s", "DROVER_POOL_SIZE=1", "DROVER_SESSION_CHECKPOINT_INTERVAL=1m"), env...)...)
}

// makeWhatIsOld makes streams and buckets with settings that a node has to change.
func (c *company) makeWhatIsOld() {
	c.t.Helper()
	for i, name := range streams {
		subject := []string{"events.>", "commands.>"}[i]
		if _, err := c.admin.CreateStream(c.t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}, MaxAge: time.Hour}); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, name := range buckets {
		kv, err := c.admin.CreateKeyValue(c.t.Context(), jetstream.KeyValueConfig{Bucket: "drover_" + name, TTL: time.Hour})
		if err == nil && name == "sessions" { // of a time when the bot had two shards
			_, err = kv.Put(c.t.Context(), "shard.2.0", []byte(`{"version":1,"session":"s","resume_url":"wss://gateway.example","shards":2,"shard_id":0,"acked":{"EVENTS":1,"COMMANDS":1}}`))
		}
		if err == nil && name == "identify" {
			_, err = kv.Put(c.t.Context(), "slot.0", []byte("somebody has it"))
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// freeSlot gives the slot back that shard 0 needs to identify, as soon as it was asked for.
func (c *company) freeSlot() {
	c.t.Helper()
	c.match(c.stderr, `<<- \[PUB \$JS\.API\.DIRECT\.GET\.KV_drover_identify\.\$KV\.drover_identify\.slot\.0 `)
	slots, err := c.admin.KeyValue(c.t.Context(), "drover_identify")
	if err == nil {
		err = slots.Delete(c.t.Context(), "slot.0")
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// work: an operator makes a consumer of each stream, and a worker reads with it.
func (c *company) work() {
	c.t.Helper()
	_, operator := c.client(c.t, "operator")
	nc, worker := c.client(c.t, "worker")
	for _, name := range streams {
		if _, err := operator.CreateConsumer(c.t.Context(), name, jetstream.ConsumerConfig{Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			c.t.Fatalf("operator: %v", err)
		}
		consumer, err := worker.Consumer(c.t.Context(), name, "workers")
		if err != nil {
			c.t.Fatalf("worker: %v", err)
		}
		for range 3 {
			m, err := consumer.Next(jetstream.FetchMaxWait(patience))
			if err != nil {
				c.t.Fatalf("worker: %s: %v", name, err)
			}
			if err := m.DoubleAck(c.t.Context()); err != nil {
				c.t.Fatalf("worker: %s: %v", name, err)
			}
		}
	}
	for _, subject := range []string{
		"events.message.create", "commands.interaction.create", "$KV.drover_leases.pool.0", "drover.control.drain.a", "$JS.API.STREAM.DELETE.EVENTS",
		"$JS.API.DIRECT.GET.KV_drover_sessions.$KV.drover_sessions.shard.4.0", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.workers",
		"drover.API.CONSUMER.CREATE.EVENTS.own", "drover.API.CONSUMER.DELETE.EVENTS.workers", "_INBOX.drover.node.x",
	} {
		wantRefused(c.t, nc, "publish", subject)
	}
	for _, subject := range []string{"events.>", "$KV.>", "drover.control.shards"} {
		wantRefused(c.t, nc, "subscribe", subject)
	}
	// NATS publishes an answer wherever it is asked to: in the worker's own account, where it does no harm.
	for _, reply := range []string{"commands.forged", "drover.control.drain.a", "$KV.drover_leases.pool.0"} {
		for _, request := range []string{"drover.API.CONSUMER.INFO.EVENTS.workers", "drover.API.CONSUMER.MSG.NEXT.EVENTS.workers"} {
			if err := nc.PublishRequest(request, reply, nil); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	if _, err := worker.Consumer(c.t.Context(), "EVENTS", "workers"); err != nil { // behind the requests
		c.t.Fatal(err)
	}
	stream, err := c.admin.Stream(c.t.Context(), "COMMANDS")
	if err != nil {
		c.t.Fatal(err)
	}
	if info, err := stream.Info(c.t.Context(), jetstream.WithSubjectFilter("commands.forged")); err != nil || len(info.State.Subjects) > 0 {
		c.t.Errorf("got %v, %v, want nothing of a worker's in COMMANDS", info.State.Subjects, err)
	}
	if stdout, stderr, code := drover(c.t, c.env("worker"), "shards", "list"); code != 1 || !strings.Contains(stderr, "does not let this user publish to drover.control.cluster") {
		c.t.Errorf("a worker's drover shards list: got exit code %d, %s%s, want the subject that is refused", code, stdout, stderr)
	}
	tail := startDrover(c.t, c.env("worker"), "tail")
	tail.match(tail.stderr, `does not let this user publish to \$JS.API.STREAM.INFO.(EVENTS|COMMANDS)`)
	tail.stop()
}

// operate has an operator do what there is to do.
func (c *company) operate(a, b *running) {
	c.t.Helper()
	shards := func(args ...string) string {
		c.t.Helper()
		stdout, stderr, code := drover(c.t, c.env("operator"), append([]string{"shards"}, args...)...)
		if code != 0 {
			c.t.Fatalf("drover shards %v: got exit code %d, %s", args, code, stderr)
		}
		return stdout
	}
	at := func(node string) (pools []int) {
		c.t.Helper()
		_, body := httpGet(c.t, map[string]*running{"a": a, "b": b}[node].url+"/api/v1/shards")
		for pool := range 4 {
			if strings.Contains(body, fmt.Sprintf(`"pool":%d,`, pool)) {
				pools = append(pools, pool)
			}
		}
		return pools
	}
	if text := shards("list"); strings.Count(text, "ready") < 4 {
		c.t.Errorf("got the list\n%s", text)
	}
	if code, body := httpGet(c.t, a.url+"/api/v1/shards?scope=cluster"); code != 200 || strings.Count(body, `"state":"ready"`) != 4 {
		c.t.Errorf("got %d %.300s, want all 4 shards", code, body)
	}
	pool := at("a")[0]
	shards("move", fmt.Sprint(pool), "b")
	await(c.t, "the pool moves", func() (bool, string) { return slices.Contains(at("b"), pool), "" })
	before := c.sim.state().Counts.Resumed
	shards("restart", fmt.Sprint(at("b")[0]))
	await(c.t, "the shard connects again", func() (bool, string) { return c.sim.state().Counts.Resumed > before, "" })
	shards("drain", "b")
	await(c.t, "all pools at a", func() (bool, string) { return len(at("a")) == 4, fmt.Sprint(at("a")) })
	tail := startDrover(c.t, c.env("operator"), "tail", "--all")
	tail.match(tail.stdout, `(?m) member\.`)
	tail.match(tail.stdout, `(?m) interaction\.`)
	tail.stop()
	nc, operator := c.client(c.t, "operator")
	c.wantNodesInboxHidden(nc)
	for _, name := range streams {
		if err := operator.DeleteConsumer(c.t.Context(), name, "workers"); err != nil {
			c.t.Errorf("operator: %v", err)
		}
	}
}

// apply has drover worker apply events and bury one, in the workers' account, with a consumer that an operator made for it.
func (c *company) apply() {
	c.t.Helper()
	worker := func(env ...string) (*process, string) {
		c.t.Helper()
		w := startDrover(c.t, append(append(c.env("worker"), "DATABASE_URL="+c.database.PoolURL("app_worker", "drover"), "HTTP_PORT=127.0.0.1:0",
			"DROVER_WORKER_API_PREFIX=drover.API", "DROVER_WORKER_DURABLE=workers"), env...), "worker")
		return w, fmt.Sprintf("http://%v", w.logged("listening")["http"])
	}
	operator := append(c.env("operator"), "DROVER_WORKER_DURABLE=workers")
	ready := func(url, reason string) {
		c.t.Helper()
		await(c.t, "/ready of the worker", func() (bool, string) {
			_, body := httpGet(c.t, url+"/ready")
			return strings.Contains(body, reason), body
		})
	}
	w, url := worker()
	ready(url, "no consumer workers, and behind worker.api_prefix an operator makes it: drover worker --make-consumer")
	if _, stderr, code := drover(c.t, c.env("worker"), "worker", "--make-consumer"); code != 1 || !strings.Contains(stderr, "does not let this user publish to $JS.API.STREAM.INFO.EVENTS") {
		c.t.Errorf("a worker that makes a consumer: got exit code %d, %s, want the subject that is refused", code, stderr)
	}
	if _, stderr, code := drover(c.t, append(operator, "DROVER_WORKER_ACK_WAIT=1m"), "worker", "--make-consumer"); code != 0 {
		c.t.Fatalf("got exit code %d, %s", code, stderr)
	}
	ready(url, "consumer workers of EVENTS was not made for this worker and its worker.ack_wait")
	if stdout, stderr, code := drover(c.t, operator, "worker", "--make-consumer"); code != 0 || !strings.Contains(stdout, "consumer workers is there") {
		c.t.Fatalf("got exit code %d, %s%s", code, stdout, stderr)
	}
	ready(url, `"reasons":[]`)
	if _, err := c.admin.Publish(c.t.Context(), "events.member.join", []byte("poison")); err != nil {
		c.t.Fatal(err)
	}
	await(c.t, "events are applied, and one is buried", func() (bool, string) {
		_, body := httpGet(c.t, url+"/metrics")
		return strings.Contains(body, `outcome="applied"} `) && strings.Contains(body, `worker_dead_letters_total{reason="envelope"} 1`), body
	})
	w.stop()
	again, url := worker("DROVER_WORKER_DEAD_MAX_AGE=24h") // which changes the stream of dead letters
	ready(url, `"reasons":[]`)
	again.stop()
	for _, w := range []*process{w, again} {
		if refused := w.logLines("nats refuses a subject"); len(refused) > 0 {
			c.t.Errorf("got refused %v, want a worker's user to have what it needs", refused)
		}
	}
}

// wantNodesInboxHidden has somebody listen to all inboxes: what is not allowed among them the server leaves out.
func (c *company) wantNodesInboxHidden(nc *nats.Conn) {
	c.t.Helper()
	wantRefused(c.t, nc, "subscribe", "_INBOX.drover.node.>")
	all, err := nc.SubscribeSync("_INBOX.>")
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	own := nc.NewInbox()
	for _, subject := range []string{"_INBOX.drover.node.x.1", own} {
		if err := c.admin.Conn().Publish(subject, nil); err != nil {
			c.t.Fatal(err)
		}
	}
	for {
		m, err := all.NextMsg(patience)
		if err != nil || strings.Contains(m.Subject, ".node.") {
			c.t.Fatalf("got %v, %v, want nothing of a node's", m, err)
		}
		if m.Subject == own {
			return
		}
	}
}

// resume kills a node and starts it again in its folder.
func (c *company) resume(a **running, spool string) {
	c.t.Helper()
	(*a).awaitReady()
	before := c.sim.state().Counts
	(*a).signal(syscall.SIGKILL)
	(*a).ended()
	if err := c.admin.DeleteKeyValue(c.t.Context(), "drover_identify"); err != nil {
		c.t.Fatal(err)
	}
	*a = c.node("a", spool, "DROVER_SESSION_CHECKPOINT_INTERVAL=100ms")
	(*a).awaitReady()
	if c := c.sim.state().Counts; c.Identifies != before.Identifies || c.Resumed < before.Resumed+4 {
		(*a).t.Errorf("got %d IDENTIFYs and %d RESUMEs more, want 0 and 4", c.Identifies-before.Identifies, c.Resumed-before.Resumed)
	}
}

// makeAgain deletes everything under a node, which makes it again as soon as it needs it.
func (c *company) makeAgain(a *running) {
	c.t.Helper()
	for _, name := range buckets {
		if name == "identify" {
			continue // it is made again when somebody identifies
		}
		if err := c.admin.DeleteKeyValue(c.t.Context(), "drover_"+name); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, name := range streams {
		if err := c.admin.DeleteStream(c.t.Context(), name); err != nil {
			c.t.Fatal(err)
		}
	}
	await(c.t, "everything is there again", func() (bool, string) {
		for _, name := range append([]string{"KV_drover_leases", "KV_drover_members", "KV_drover_identify", "KV_drover_fleet", "KV_drover_sessions"}, streams...) {
			if _, err := c.admin.Stream(c.t.Context(), name); err != nil {
				return false, name + ": " + err.Error()
			}
		}
		return true, ""
	})
	await(c.t, "events are stored again", func() (bool, string) {
		stream, err := c.admin.Stream(c.t.Context(), "EVENTS")
		return err == nil && stream.CachedInfo().State.Msgs > 20, fmt.Sprint(err)
	})
	a.awaitReady()
}

// wantOthersRefused has the node of another bot try what is not its own.
func (c *company) wantOthersRefused() {
	c.t.Helper()
	nc, _ := c.client(c.t, "stranger")
	for _, subject := range []string{
		"events.message.create", "commands.interaction.create", "drover.control.move", "drover.control.shards", "$KV.drover_leases.pool.0",
		"$KV.drover_sessions.shard.4.0", "$KV.drover_fleet.plan", "$JS.API.STREAM.INFO.EVENTS", "$JS.API.STREAM.UPDATE.EVENTS",
		"$JS.API.STREAM.DELETE.KV_drover_leases", "$JS.API.STREAM.PURGE.KV_drover_sessions", "$JS.API.STREAM.NAMES",
		"$JS.API.DIRECT.GET.KV_drover_sessions.$KV.drover_sessions.shard.4.0", "$JS.API.DIRECT.GET.KV_drover_members",
		"$JS.API.CONSUMER.CREATE.EVENTS.x", "$JS.API.CONSUMER.CREATE.KV_drover_sessions.x", "$JS.API.STREAM.CREATE.ANOTHER",
	} {
		wantRefused(c.t, nc, "publish", subject)
	}
	for _, subject := range []string{"_INBOX.drover.node.>", "_INBOX.>", "drover.control.>", "events.>", "$KV.drover_leases.>"} {
		wantRefused(c.t, nc, "subscribe", subject)
	}
	// A node of ours may not do everything with what is its own, either.
	nc, _ = c.client(c.t, "node")
	for _, subject := range []string{"$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.DELETE.KV_drover_leases", "$JS.API.STREAM.PURGE.EVENTS", "drover.control.drain.a"} {
		wantRefused(c.t, nc, "publish", subject)
	}
	other := startSimulator(c.t, "--shards", "1", "--rate", "20")
	node := startNode(c.t, other.api, c.url, append(c.env("stranger"), "DROVER_STREAMS_PREFIX=sheep", "DROVER_CLUSTER_NODE=sheep")...)
	node.awaitReady()
	await(c.t, "events of the other bot", func() (bool, string) {
		stream, err := c.admin.Stream(c.t.Context(), "sheep_EVENTS")
		return err == nil && stream.CachedInfo().State.Msgs > 10, fmt.Sprint(err)
	})
	if refused := node.logLines("nats refuses a subject"); len(refused) > 0 {
		c.t.Errorf("got refused %v, want a node of another prefix to have what it needs", refused)
	}
	node.stop()
}

// wantEveryLineUsed looks at what each user has sent, as the server saw it: each line of its permissions must allow something that no other line
// allows. Then a node without it would miss that.
func (c *company) wantEveryLineUsed(nodes ...*process) {
	c.t.Helper()
	for _, n := range nodes {
		if refused := n.logLines("nats refuses a subject"); len(refused) > 0 {
			c.t.Errorf("got refused %v, want a node's user to have what it needs", refused)
		}
	}
	users, did := map[string]string{}, map[string]map[string]map[string]bool{} // by connection; by user, verb and subject
	traced := regexp.MustCompile(`(cid:\d+).* <<- \[(CONNECT|PUB|HPUB|SUB) ([^ \]]+)`)
	named := regexp.MustCompile(`"user":"(\w+)"`)
	for line := range strings.Lines(c.stderr.String()) {
		m := traced.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if m[2] == "CONNECT" {
			if user := named.FindStringSubmatch(line); user != nil {
				users[m[1]] = user[1]
			}
			continue
		}
		user, verb := users[m[1]], "publish"
		if m[2] == "SUB" {
			verb = "subscribe"
		}
		if did[user] == nil {
			did[user] = map[string]map[string]bool{"publish": {}, "subscribe": {}}
		}
		did[user][verb][m[3]] = true
	}
	lines := 0
	for _, user := range []string{"node", "worker", "operator"} {
		p := c.users[user]
		for verb, allowed := range map[string][]string{"publish": p.Publish.Allow, "subscribe": p.Subscribe.Allow} {
			only := map[string]bool{} // lines that were the only ones to allow something
			for subject := range did[user][verb] {
				if by := covering(allowed, subject); len(by) == 1 {
					only[by[0]] = true
				}
			}
			for _, line := range allowed {
				if lines++; !only[line] {
					c.t.Errorf("%s may %s %s, which nothing here needed", user, verb, line)
				}
			}
		}
	}
	c.t.Logf("%d lines, and %d connections of %v", lines, len(users), slices.Sorted(maps.Values(users)))
}

// covering are the lines that allow a subject, which may hold wildcards itself.
func covering(lines []string, subject string) (by []string) {
	parts := strings.Split(subject, ".")
	for _, line := range lines {
		want := strings.Split(line, ".")
		ok := len(want) == len(parts) || len(want) < len(parts) && want[len(want)-1] == ">"
		for i := 0; ok && i < len(want) && want[i] != ">"; i++ {
			ok = want[i] == parts[i] || want[i] == "*" && parts[i] != ">"
		}
		if ok {
			by = append(by, line)
		}
	}
	return by
}

// A node that is not allowed what it needs says which subject that is, and does not just wait.
func TestRun_says_which_subject_NATS_refuses(t *testing.T) {
	t.Parallel()
	without := func(line string) func(string) string {
		return func(accounts string) string {
			if strings.Count(accounts, line) == 0 {
				t.Errorf("accounts.conf has no %s", line)
			}
			return strings.Replace(accounts, line, "", 1)
		}
	}
	for _, tt := range []struct{ name, line, reason string }{
		{"to make a stream", `"$JS.API.STREAM.CREATE.EVENTS"`, "publish to $JS.API.STREAM.CREATE.EVENTS"},
		{"to take a pool", `"$KV.drover_leases.>"`, "publish to $KV.drover_leases.pool.0"},
		{"to publish", `"events.>"`, "publish to events."},
		{"to be answered", `"_INBOX.drover.node.>"`, "subscribe to _INBOX.drover.node."},
		{"to hear operators", `"drover.control.>"`, "subscribe to drover.control."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startSecured(t, false, without(tt.line))
			sim := startSimulator(t, "--shards", "1", "--rate", "50")
			node := startNode(t, sim.api, s.url, append(s.env("node"), "DROVER_SHUTDOWN_TIMEOUT=100ms")...)
			node.awaitReason("NATS does not let this user "+tt.reason, "docs/security.md")
			line := node.logged("nats refuses a subject")
			if !strings.Contains(tt.reason, fmt.Sprint(line["action"])) || !strings.HasPrefix(tt.reason+"~", fmt.Sprint(line["action"], " ", line["subject"])[:len(tt.reason)]) {
				t.Errorf("got the line %v, want %s", line, tt.reason)
			}
			node.wantHealthy()
			seen := map[string]bool{}
			for _, l := range node.logLines("nats refuses a subject") {
				what := fmt.Sprint(l["action"], l["subject"])
				if seen[what] {
					t.Errorf("%s was logged twice", what)
				}
				seen[what] = true
			}
			for _, secret := range []string{s.password["node"], botToken} {
				if _, body := httpGet(t, node.url+"/ready"); strings.Contains(node.stderr.String()+body, secret) {
					t.Error("got a secret in the log or at /ready")
				}
			}
		})
	}
}
