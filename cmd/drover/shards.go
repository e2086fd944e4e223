package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"drover/messages"
	"drover/system"
	"drover/system/cluster"
	"drover/system/stream"
)

// shards is drover shards: what its verbs share.
type shards struct {
	sources sourceFlags
	asJSON  bool
	dryRun  bool
	out     io.Writer
}

// answerTime is for how long a node's answer is waited for.
const answerTime = 5 * time.Second

func newShardsCommand() *cobra.Command {
	s := &shards{}
	cmd := &cobra.Command{
		Use:   "shards",
		Short: "Show and move the shards of all nodes",
		Long: `Shards asks the running nodes of a bot, by NATS requests: so the accounts of NATS decide who may. It finds NATS as
drover tail does, needs no token, and works from anywhere that reaches NATS.

A pool moves by handing it over: its shards stop reading, what they read is acknowledged, and the next node RESUMEs
their sessions. That costs no IDENTIFY and no event, and each shard some tenths of a second. --dry-run says what a verb
would cost, and does nothing.`,
		Example: `  drover shards list                     nodes, pools and shards
  drover shards list --json | jq .shards
  drover shards move 3 node-b            have node-b serve pool 3, as far as its share has room
  drover shards move 3 --anywhere        take that back
  drover shards drain node-a --dry-run   what would move, and where to
  drover shards drain node-a             hand all pools of node-a over; then stop it
  drover shards restart 17               have shard 17 connect again, and RESUME`,
		Args: onlySubcommands,
		RunE: showHelp,
	}
	f := cmd.PersistentFlags()
	f.StringVar(&s.sources.file, "config", "", "configuration file (default: drover.yaml here or in /etc/drover)")
	f.Var(&keyFlag{s: &s.sources, name: "--nats", key: "nats.url"}, "nats", "NATS servers, comma-separated (nats.url)")
	f.Var(&keyFlag{s: &s.sources, name: "--stream-prefix", key: "streams.prefix"}, "stream-prefix", "prefix of the bot (streams.prefix)")
	cmd.AddCommand(s.list(), s.move(), s.drain(), s.restart())
	return cmd
}

func (s *shards) list() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "Nodes, pools and shards", Args: cobra.NoArgs,
		Long: "List shows the nodes, which of them serves each pool and which should, and all shards with their state.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.with(cmd, func(ctx context.Context, o *cluster.Operator, v cluster.View) error {
				all, err := o.Shards(ctx, len(v.Members), answerTime)
				if err != nil {
					return err
				}
				if s.asJSON {
					return json.NewEncoder(s.out).Encode(struct {
						cluster.View
						Shards []messages.ShardStatus `json:"shards"`
					}{v, all})
				}
				return s.show(v, all)
			})
		},
	}
	cmd.Flags().BoolVar(&s.asJSON, "json", false, "one JSON document")
	return cmd
}

func (s *shards) move() *cobra.Command {
	anywhere := false
	cmd := &cobra.Command{
		Use: "move POOL NODE", Short: "Have a node serve a pool", Args: cobra.RangeArgs(1, 2),
		Long: `Move writes down that a node should serve a pool. All nodes plan with it from then on, as far as the node's share has
room: pools stay evenly shared out, so another one may move the other way, which is said.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			pool, err := strconv.Atoi(args[0])
			if err != nil || pool < 0 {
				return misuse("POOL is %q: write a pool's number; drover shards list shows them", args[0])
			}
			node := ""
			if len(args) > 1 {
				node = args[1]
			}
			if anywhere == (node != "") {
				return misuse("write either a NODE or --anywhere")
			}
			return s.with(cmd, func(ctx context.Context, o *cluster.Operator, v cluster.View) error {
				if pool >= len(v.Pools) {
					return misuse("POOL is %d: there are the pools 0 to %d", pool, len(v.Pools)-1)
				}
				if s.dryRun {
					steps, err := o.WouldMove(ctx, pool, node)
					if err != nil {
						return err
					}
					if len(steps) == 0 {
						return s.say("pool %d stays at %s", pool, v.Pools[pool].Node)
					}
					return s.cost(ctx, o, v, steps, ways(steps))
				}
				steps, err := o.Move(ctx, pool, node)
				switch {
				case err != nil:
					return err
				case anywhere:
					return s.say("pool %d has no wish any more", pool)
				}
				if err := s.say("pool %d should be at %s; drover shards list shows when it is", pool, node); err != nil {
					return err
				}
				for _, step := range steps {
					if step.Pool != pool {
						if err := s.say("pool %d goes %s for that: no node gets more than its share", step.Pool, way(step)); err != nil {
							return err
						}
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&anywhere, "anywhere", false, "take an earlier move back")
	s.dry(cmd)
	return cmd
}

func (s *shards) drain() *cobra.Command {
	cmd := &cobra.Command{
		Use: "drain NODE", Short: "Hand all pools of a node over to the others", Args: cobra.ExactArgs(1),
		Long: `Drain has a node hand all its pools over, and take none until it is started again. Its process lives on. SIGTERM does the
same and ends it. A node whose pools nobody else could serve is not drained.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.with(cmd, func(ctx context.Context, o *cluster.Operator, v cluster.View) error {
				node := args[0]
				if !slices.ContainsFunc(v.Members, func(m cluster.MemberView) bool { return m.Name == node }) {
					return misuse("NODE is %q: there are %s", node, names(v))
				}
				if s.dryRun {
					steps, err := o.WouldDrain(ctx, node)
					if err != nil {
						return err
					}
					return s.cost(ctx, o, v, steps, "to the other nodes")
				}
				steps, err := o.Drain(ctx, node)
				if err != nil {
					return err
				}
				return s.say("%s hands %d pools over; drover shards list shows when it has none", node, len(steps))
			})
		},
	}
	s.dry(cmd)
	return cmd
}

func (s *shards) restart() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restart SHARD", Short: "Have a shard connect again", Args: cobra.ExactArgs(1),
		Long: "Restart closes a shard's connection in the way that keeps its session, and has it RESUME on a new one.",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.Atoi(args[0])
			if err != nil || id < 0 {
				return misuse("SHARD is %q: write a shard's id; drover shards list shows them", args[0])
			}
			return s.with(cmd, func(ctx context.Context, o *cluster.Operator, v cluster.View) error {
				all, err := o.Shards(ctx, len(v.Members), answerTime)
				if err != nil {
					return err
				}
				for _, shard := range all {
					if shard.ID != id {
						continue
					}
					if s.dryRun {
						return s.say("shard %d of %s would RESUME: 0 IDENTIFYs, about a second without events", id, shard.Node)
					}
					if err := o.Restart(ctx, shard.Node, id); err != nil {
						return err
					}
					return s.say("shard %d of %s connects again", id, shard.Node)
				}
				return fmt.Errorf("no node serves shard %d", id)
			})
		},
	}
	s.dry(cmd)
	return cmd
}

func (s *shards) dry(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.dryRun, "dry-run", false, "say what it would cost, and do nothing")
}

// with connects, asks for the cluster, and does something.
func (s *shards) with(cmd *cobra.Command, do func(context.Context, *cluster.Operator, cluster.View) error) error {
	s.out = cmd.OutOrStdout()
	cfg, _, err := s.sources.load()
	if err != nil {
		return err
	}
	o, err := tailOptions(cfg)
	if err != nil {
		return err
	}
	o.Name = "drover shards"
	ctx, cancel := context.WithTimeout(cmd.Context(), 3*answerTime)
	defer cancel()
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	o.Hooks.Refused = func(err *stream.RefusedError) { give(err) } // nobody will answer
	broker, err := stream.Connect(ctx, o)
	if err != nil {
		return fmt.Errorf("shards: %w", strip(err))
	}
	defer broker.Close()
	reach, stop := context.WithTimeout(ctx, answerTime)
	defer stop()
	if err := broker.WaitConnected(reach); err != nil {
		return fmt.Errorf("shards: NATS is not reached: %w", strip(broker.Err()))
	}
	operator := cluster.NewOperator(broker.JetStream(), cfg.Streams.Prefix)
	asking, done := context.WithTimeout(ctx, answerTime)
	defer done()
	v, err := operator.Cluster(asking)
	if err == nil {
		err = do(ctx, operator, v)
	} else {
		err = fmt.Errorf("shards: %w", err)
	}
	var refused *stream.RefusedError
	if err != nil && errors.As(context.Cause(ctx), &refused) {
		return fmt.Errorf("shards: %w", refused)
	}
	return err
}

func (s *shards) say(format string, args ...any) error {
	_, err := fmt.Fprintf(s.out, format+"\n", args...)
	return err
}

func misuse(format string, args ...any) error {
	return &system.Error{Code: exitUsage, Text: fmt.Sprintf(format, args...)}
}
