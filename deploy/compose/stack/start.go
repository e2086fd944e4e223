package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"

	"drover/config"
	"drover/system/audit"
	"drover/system/gatewaysim"
	"drover/system/localdb"
)

// findPrograms are what the images would bring.
func (s *stack) findPrograms() error {
	s.r.programs = map[string]string{"drover": s.o.drover, "nats": s.o.nats}
	for repository, names := range map[string][]string{"edoburu/pgbouncer": {"pgbouncer", "/usr/sbin/pgbouncer"}, "prom/prometheus": {"prometheus"}, "setpriv": {"setpriv"}} {
		for _, name := range names {
			if found, err := exec.LookPath(name); err == nil {
				s.r.programs[repository] = found
				break
			}
		}
		if s.r.programs[repository] == "" {
			return fmt.Errorf("%s is not installed: apt-get install %s", names[0], names[0])
		}
	}
	for _, name := range []string{s.o.drover, s.o.nats} {
		if _, err := os.Stat(name); err != nil {
			return fmt.Errorf("--drover and --nats-server: %w", err)
		}
	}
	return nil
}

// startDatabase is PostgreSQL as its image starts it: with a database, a superuser's password, and the scripts of initdb.d.
func (s *stack) startDatabase(ctx context.Context) (err error) {
	service := s.p.Services["postgres"]
	if s.db, err = localdb.Start(ctx, localdb.Options{}); err != nil {
		return err
	}
	s.undo = append(s.undo, func() { _ = s.db.Close() }) // a folder that stays harms nobody
	s.r.programs["pg_isready"] = s.db.Program("pg_isready")
	database, password := *service.Environment["POSTGRES_DB"], *service.Environment["POSTGRES_PASSWORD"]
	if err := s.db.CreateDatabase(ctx, database, ""); err != nil {
		return err
	}
	owner := s.db.OwnerURL(database)
	u, err := url.Parse(owner)
	if err != nil {
		return err
	}
	s.r.addrs["postgres:5432"] = u.Host
	// localdb has made pool_auth for a PgBouncer of its own, which is not used here; the image starts without it.
	if err := s.psql(ctx, owner, "-c", "DROP OWNED BY pool_auth", "-c", "DROP ROLE pool_auth"); err != nil {
		u.Path = "/template1"
		if err := s.psql(ctx, u.String(), "-c", "DROP OWNED BY pool_auth"); err != nil {
			return err
		}
		if err := s.psql(ctx, owner, "-c", "DROP OWNED BY pool_auth", "-c", "DROP ROLE pool_auth"); err != nil {
			return err
		}
	}
	var scripts []string
	for _, v := range service.Volumes {
		if strings.HasPrefix(v.Target, "/docker-entrypoint-initdb.d/") {
			scripts = append(scripts, v.Target)
		}
	}
	slices.Sort(scripts)
	for _, target := range scripts {
		if err := s.psql(ctx, owner, "-f", at(service, target)); err != nil {
			return err
		}
	}
	return s.psql(ctx, owner, "-c", "ALTER ROLE postgres PASSWORD '"+password+"'")
}

// psql runs a script the way the image's entry point does.
func (s *stack) psql(ctx context.Context, url string, args ...string) error {
	cmd := exec.CommandContext(ctx, s.db.Program("psql"), append([]string{"-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url}, args...)...)
	cmd.Env = append(environment(s.p.Services["postgres"]), "PATH="+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("psql %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}

// startSimulator is Discord, inside this program: the judge knows every byte that it sends.
func (s *stack) startSimulator() error {
	w, err := parseSimulator(s.p.Services["simulator"].Command)
	if err != nil {
		return err
	}
	var addrs []string
	for _, listen := range []string{w.listen, w.resume} {
		_, port, err := net.SplitHostPort(listen)
		if err != nil {
			return err
		}
		addr, err := s.r.address("simulator", port)
		if err != nil {
			return err
		}
		addrs = append(addrs, addr)
	}
	cfg, _, err := config.Load(config.Source{Dirs: []string{}, Env: environment(s.p.Services["drover-1"])})
	if err != nil {
		return err
	}
	w.options.Record = true
	s.rate, s.pools = w.options.Rate, float64(w.options.Shards/cfg.Pool.Size)
	s.sim = gatewaysim.New(w.options)
	if err := s.sim.StartOn(addrs[0], addrs[1]); err != nil {
		return err
	}
	s.undo = append(s.undo, s.sim.Close)
	return nil
}

// watch has a witness read both streams, with the nodes' own user, from before there are any.
func (s *stack) watch(ctx context.Context) error {
	env := s.p.Services["drover-1"].Environment
	var urls []string
	for _, name := range []string{"nats-1", "nats-2", "nats-3"} {
		addr, err := s.r.address(name, "4222")
		if err != nil {
			return err
		}
		urls = append(urls, (&url.URL{Scheme: "nats", User: url.UserPassword(*env["DROVER_NATS_USER"], *env["DROVER_NATS_PASSWORD"]), Host: addr}).String())
	}
	var err error
	s.witness, err = audit.Watch(ctx, strings.Join(urls, ","), slog.New(slog.DiscardHandler))
	if err == nil {
		s.undo = append(s.undo, s.witness.Close)
	}
	return err
}
