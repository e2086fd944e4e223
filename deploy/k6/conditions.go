package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// conditions are what figures mean nothing without, a line each.
func (b bed) conditions(ctx context.Context, o options) ([]string, error) {
	server, err := b.psql(ctx, b.OwnerURL(secured), `SELECT format('PostgreSQL %s: fsync %s, synchronous_commit %s, full_page_writes %s, shared_buffers %s, max_connections %s',
		current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes'),
		current_setting('shared_buffers'), current_setting('max_connections'))`)
	if err != nil {
		return nil, err
	}
	console, err := b.psql(ctx, b.ConsoleURL("pool_stats"), "SHOW CONFIG")
	if err != nil {
		return nil, err
	}
	pool := map[string]string{}
	for line := range strings.Lines(console) {
		if fields := strings.Split(line, "|"); len(fields) > 1 {
			pool[fields[0]] = fields[1]
		}
	}
	version, err := b.psql(ctx, b.ConsoleURL("pool_stats"), "SHOW VERSION")
	if err != nil {
		return nil, err
	}
	k6, err := exec.CommandContext(ctx, o.k6, "version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.k6, err)
	}
	k6Version, _, _ := strings.Cut(string(k6), "\n")
	return []string{
		machine(),
		server,
		fmt.Sprintf("%s: pool_mode %s, default_pool_size %s, min_pool_size %s, reserve_pool_size %s, max_client_conn %s; it is restarted before each run",
			version, pool["pool_mode"], pool["default_pool_size"], pool["min_pool_size"], pool["reserve_pool_size"], pool["max_client_conn"]),
		k6Version + ", with the module of deploy/k6/sql on pgx; the script is unproven on the public xk6-sql",
	}, nil
}

// machine says where this runs, as far as the system tells.
func machine() string {
	memory := "memory unknown"
	if kb, err := strconv.Atoi(strings.TrimSuffix(entry("/proc/meminfo", "MemTotal", ":"), " kB")); err == nil {
		memory = strconv.Itoa((kb+512<<10)>>20) + " GiB of memory"
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%s, %d cores, %s, %s, %s/%s, kernel %s; k6, PgBouncer and PostgreSQL share it",
		entry("/proc/cpuinfo", "model name", ":"), runtime.NumCPU(), memory, strings.Trim(entry("/etc/os-release", "PRETTY_NAME", "="), `"`),
		runtime.GOOS, runtime.GOARCH, strings.TrimSpace(string(kernel)))
}

// entry is the value of the first line of a file that begins with a key.
func entry(file, key, separator string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for scan := bufio.NewScanner(bytes.NewReader(text)); scan.Scan(); {
		name, value, found := strings.Cut(scan.Text(), separator)
		if found && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// load is the load average of the last minute; 0 where the system does not tell.
func load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	n, _ := strconv.ParseFloat(first, 64)
	return n
}
