package system

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

// assign has this node serve its pools as soon as NATS was reached, and keeps the identify limits current until ctx ends. Where there
// is no NATS all pools are its own. It returns when the node has left its pools.
func (s *System) assign(ctx context.Context) error {
	if err := s.awaitStream(ctx); err != nil {
		return err
	}
	total, err := s.cfg.Pool.TotalShards, error(nil)
	if total == 0 {
		if total, err = s.storedTotal(ctx); err != nil {
			return err
		}
	}
	asked := ""
	if total == 0 {
		if total, asked, err = s.askAndLearn(ctx, 0, s.waitingFor); err != nil {
			return err
		}
	}
	pools, err := pools(s.cfg.Pool, total)
	if err != nil {
		return err
	}
	if s.broker == nil {
		return s.serveAll(ctx, pools, total, asked)
	}
	p := newPlacement(ctx, s, total)
	s.placement.Store(p)
	s.waitingFor("")
	asks, enough := context.WithCancel(ctx)
	var asking sync.WaitGroup // ends with asks
	defer asking.Wait()
	defer enough()
	asking.Go(func() {
		// Sessions that somebody left behind are resumed before Discord has told its limits, since a RESUME needs none.
		if asked == "" {
			var err error
			if _, asked, err = s.askAndLearn(asks, total, func(string) {}); err != nil {
				if asks.Err() == nil {
					s.stop(err)
				}
				return
			}
		}
		p.learnURL(asked)
		s.tell(messages.GatewayMoved{URL: asked}) // pools that began where it was remembered to be
		s.keepLimits(asks, total, asked)
	})
	return p.run()
}

// serveAll tells the actors to serve these pools, which nobody else can know of.
func (s *System) serveAll(ctx context.Context, pools []messages.Assign, total int, url string) error {
	if url == "" {
		var err error
		if _, url, err = s.askAndLearn(ctx, total, s.waitingFor); err != nil {
			return err
		}
	}
	shards := 0
	for _, a := range pools {
		shards += len(a.Shards)
	}
	s.log.Info("shards assigned", "shards", total, "own", shards, "pools", len(pools))
	s.waitingFor("")
	s.telemetry.Meters.Shards(shards)
	for _, a := range pools {
		a.GatewayURL = url
		s.tell(a)
	}
	s.keepLimits(ctx, total, url)
	return nil
}

// askAndLearn asks Discord until it answers and takes over its identify limits. total 0 stands for the number of shards
// that it recommends; the one that counts comes back, with the gateway's URL.
func (s *System) askAndLearn(ctx context.Context, total int, waiting func(string)) (shards int, url string, err error) {
	bot, err := s.askUntilAnswered(ctx, waiting)
	if err != nil {
		return 0, "", err
	}
	if total == 0 {
		total = bot.Shards
	}
	s.permits.Update(limit(bot, total))
	s.log.Info("gateway known", "shards", total, "recommended", bot.Shards,
		"max_concurrency", bot.MaxConcurrency, "identifies_left", bot.Remaining)
	if s.cfg.Pool.TotalShards == 0 && bot.Shards != total {
		s.log.Warn("discord recommends another number of shards, but the stored sessions are of this one: set pool.total_shards "+
			"to change it, which costs an IDENTIFY for each shard", "shards", total, "recommended", bot.Shards)
	}
	return total, bot.URL, nil
}

// askUntilAnswered asks for GET /gateway/bot until there is an answer, and says to waiting what is waited for. Only a
// refused token ends it: every other failure may pass.
func (s *System) askUntilAnswered(ctx context.Context, waiting func(string)) (gateway.BotGateway, error) {
	for attempt := 0; ; attempt++ {
		waiting("Discord's answer to GET /gateway/bot")
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
		waiting(fmt.Sprintf("Discord's answer to GET /gateway/bot (%v; asked again within %v)", err, wait))
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

// keepLimits refreshes the identify limits until ctx ends, and the gateway's URL, which was remembered where Discord
// could not be asked in time. Failures change nothing: what is known stays.
func (s *System) keepLimits(ctx context.Context, total int, url string) {
	wait, now := askLimits, url
	for {
		if now != url {
			s.log.Info("gateway moved", "url", now)
			s.tell(messages.GatewayMoved{URL: now})
			url = now
		}
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
		now = bot.URL
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
