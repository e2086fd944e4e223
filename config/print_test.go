package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrite_can_be_read_again(t *testing.T) {
	want := Default()
	want.Cluster.Node = "n"
	pool := 3
	want.Pool.ID = &pool
	want.Events.Deny = []string{"TYPING_START", "PRESENCE_UPDATE"}
	var b strings.Builder
	if err := Write(&b, want, map[string]string{"pool.id": "POOL_ID"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "\n  id: 3  # POOL_ID\n") {
		t.Errorf("no origin in\n%s", b.String())
	}
	got, _, err := load(t, b.String())
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWrite_masks_secrets(t *testing.T) {
	c := Default()
	c.Discord.Token = "hunter2"
	c.NATS.URL = "nats://u:hunter2@h"
	var b strings.Builder
	if err := Write(&b, c, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`  token: "******"`, `  url: "nats://******@h"`, "\n    max_age: 5m\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "hunter2") {
		t.Errorf("a secret in\n%s", b.String())
	}
}

// TestDocs_table_equals_the_keys holds docs/configuration.md to the code.
func TestDocs_table_equals_the_keys(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| ([^|]*) \\| ([^|]*) \\| ([^|]+) \\|$")
	var got, want []string
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		got = append(got, m[1]+" | "+m[2]+" | "+m[3])
	}
	for _, k := range Keys() {
		value := "–"
		if k.Default != "" {
			value = "`" + k.Default + "`"
		}
		want = append(want, k.Name+" | `"+strings.Join(k.Env, "`, `")+"` | "+value)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
