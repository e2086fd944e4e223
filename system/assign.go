package system

import (
	"context"
	"errors"
	"fmt"
	"time"

	"drover/config"
	"drover/messages"
	"drover/system/cluster"
	"drover/system/gateway"
	"drover/system/telemetry"
)

// How often Discord is asked. A failure is asked again soon, the limits of a running bot seldom: they change with
// guild joins and with IDENTIFYs that others send.
const (
	askTimeout = 15 * time.Second // for one answer; a proxy may queue the call
	askAgain   = time.Second
	askCeiling = time.Minute
	askLimits  = 30 * time.Minute
)

// assign brings this node's pools to life as soon as NATS was reached and Discord has told how to connect,
// and then keeps the identify limits current until ctx ends.
func (s *System) assign(ctx context.Context) error {
	if err := s.awaitStream(ctx); err != nil {
		return err
	}
	bot, err := s.askUntilAnswered(ctx)
	if err != nil {
		return err
	}
	total := s.cfg.Pool.TotalShards
	if total == 0 {
		total = bot.Shards
	}
	pools, err := pools(s.cfg.Pool, total)
	if err != nil {
		return err
	}
	s.permits.Update(limit(bot, total))
	s.log.Info("gateway known", "shards", total, "recommended", bot.Shards, "pools", len(pools),
		"max_concurrency", bot.MaxConcurrency, "identifies_left", bot.Remaining)
	s.waitingFor("")
	shards := 0
	for _, a := range pools {
		shards += len(a.Shards)
	}
	s.telemetry.Meters.Shards(shards)
	for _, a := range pools {
		a.GatewayURL = bot.URL
		s.tell(a)
	}
	s.keepLimits(ctx, total)
	return nil
}

// askUntilAnswered asks for GET /gateway/bot until there is an answer. Only a refused token ends it: every other failure may pass.
func (s *System) askUntilAnswered(ctx context.Context) (gateway.BotGateway, error) {
	for attempt := 0; ; attempt++ {
		s.waitingFor("Discord's answer to GET /gateway/bot")
		bot, err := s.ask(ctx)
		if err == nil {
			return bot, nil
		}
		if errors.Is(err, gateway.ErrUnauthorized) {
			return bot, refused(err)
		}
		wait := min(askAgain<<min(attempt, 10), askCeiling)
		var later *gateway.RetryAfterError
		if errors.As(err, &later) {
			wait = max(later.Wait, askAgain)
		}
		s.telemetry.Meters.Error(telemetry.Node, telemetry.Node, telemetry.ErrREST)
		s.log.Warn("discord does not say how to connect", "err", err, "wait", wait)
		s.waitingFor(fmt.Sprintf("Discord's answer to GET /gateway/bot (%v; asked again within %v)", err, wait))
		select {
		case <-ctx.Done():
			return bot, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

func (s *System) ask(ctx context.Context) (gateway.BotGateway, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return gateway.FetchBotGateway(ctx, gateway.RESTOptions{
		APIURL: s.cfg.Discord.APIURL.Reveal(), Token: s.cfg.Discord.Token.Reveal(), UserAgent: s.userAgent(), HTTPClient: s.o.HTTP,
	})
}

// keepLimits refreshes the identify limits until ctx ends. Failures change nothing: the known limits stay.
func (s *System) keepLimits(ctx context.Context, total int) {
	wait := askLimits
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = askLimits
		bot, err := s.ask(ctx)
		if err != nil {
			var later *gateway.RetryAfterError
			if errors.As(err, &later) {
				wait = max(wait, later.Wait)
			}
			s.log.Warn("identify limits not refreshed", "err", err, "wait", wait)
			continue
		}
		s.permits.Update(limit(bot, total))
	}
}

func limit(bot gateway.BotGateway, shards int) cluster.Limit {
	return cluster.Limit{
		Total: bot.Total, Remaining: bot.Remaining, ResetAfter: bot.ResetAfter, MaxConcurrency: bot.MaxConcurrency, Shards: shards,
	}
}

// pools are what this node serves: all pools, or the one that it is pinned to.
func pools(p config.Pool, total int) ([]messages.Assign, error) {
	count := p.PoolCount(total)
	if p.ID != nil && *p.ID >= count {
		return nil, &Error{Code: exitConfig, Text: fmt.Sprintf(
			"pool.id (POOL_ID): %d, but %d shards in pools of %d make only the pools 0 to %d; choose one of these, or raise pool.total_shards",
			*p.ID, total, p.Size, count-1)}
	}
	var out []messages.Assign
	for id := range count {
		if p.ID != nil && *p.ID != id {
			continue
		}
		first, end := p.ShardRange(id, total)
		a := messages.Assign{Pool: id, Total: total}
		for shard := first; shard < end; shard++ {
			a.Shards = append(a.Shards, shard)
		}
		out = append(out, a)
	}
	return out, nil
}
