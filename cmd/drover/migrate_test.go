package main

import (
	"bytes"
	"strings"
	"testing"

	"drover/system/localdb"
)

func TestMigrate_of_the_real_binary(t *testing.T) {
	server, err := localdb.Start(t.Context(), localdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if err := server.CreateDatabase(t.Context(), "drover", ""); err != nil {
		t.Fatal(err)
	}
	// The pool's address is there too, and must not be used.
	env := []string{"DATABASE_URL=postgres://app_worker:x@127.0.0.1:1/drover", "DROVER_DATABASE_MIGRATE_URL=" + server.OwnerURL("drover")}
	steps := []struct {
		args string
		want string
		not  string
	}{
		{"migrate status", "1        00001_roles.sql         no", "Z"},
		{"migrate up", "applied 00005_isolation.sql", "nothing to do"},
		{"migrate up", "nothing to do", "applied"},
		{"migrate status", "00001_roles.sql         20", " no"},
		{"retention", "0 months of audit rows dropped, 0 applied events forgotten", ""},
		{"retention --audit-months 25 --event-days 30", "0 months of audit rows dropped", ""},
		{"migrate down --to 3", "undone 00004_audit.sql", "00003"},
		{"migrate down --to 3", "nothing to do", "undone"},
		{"migrate down --to 0", "undone 00001_roles.sql", ""},
	}
	for _, s := range steps {
		out, errs, code := drover(t, env, strings.Fields(s.args)...)
		if code != 0 || errs != "" || !strings.Contains(out, s.want) || s.not != "" && strings.Contains(out, s.not) {
			t.Errorf("%s: got exit code %d, %q and\n%swant 0 and %q", s.args, code, errs, out, s.want)
		}
	}

	// drover run's exit code 1: the configuration is right, the database says no.
	_, errs, code := drover(t, []string{"DATABASE_URL=" + strings.Replace(server.OwnerURL("drover"), server.Password(), "hunter2", 1)}, "migrate", "up")
	if code != exitFailure || !strings.Contains(errs, "28P01") || strings.Contains(errs, "hunter2") {
		t.Errorf("wrong password: got exit code %d and %q, want 1, the reason, and no password", code, errs)
	}
}

func TestMigrate_usage(t *testing.T) {
	for _, tt := range []struct {
		args, url, want string
	}{
		{"migrate up", "", "DROVER_DATABASE_MIGRATE_URL"},
		{"migrate status", "mysql://u:hunter2@h/d", "not an address of PostgreSQL"},
		{"migrate down", "postgres://h/d", "--to is missing"},
		{"migrate sideways", "postgres://h/d", "unknown command"},
		{"retention", "", "database.migrate_url"},
		{"retention --audit-months many", "postgres://h/d", "--audit-months"},
	} {
		t.Run(strings.ReplaceAll(tt.args, " ", "_"), func(t *testing.T) {
			t.Chdir(t.TempDir()) // no drover.yaml
			t.Setenv("DATABASE_URL", tt.url)
			t.Setenv("DROVER_DATABASE_MIGRATE_URL", "")
			var out, errs bytes.Buffer
			code := execute(t.Context(), strings.Fields(tt.args), &out, &errs)
			if code != exitUsage || !strings.Contains(errs.String(), tt.want) || strings.Contains(errs.String(), "hunter2") {
				t.Errorf("got exit code %d and %q, want 2 and %q", code, errs.String(), tt.want)
			}
		})
	}
}
