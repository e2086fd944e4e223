package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// keys is what drover's own binary says of its configuration.
type keys struct {
	all     map[string]any  // by key, its default
	secrets map[string]bool // keys whose value drover does not show
	root    string          // of the repository
}

// differ are the keys whose default in values.yaml is not drover's, and why.
var differ = map[string]string{
	"nats.url":               "nodes of a cluster share a NATS",
	"nats.embedded.data_dir": "the one writable folder of a container",
}

// run runs drover where there is no file and nothing in the environment but env.
func run(t tools, dir string, env []string, args ...string) (string, error) {
	cmd := exec.Command(t.drover, args...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=/nonexistent"}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// droverKeys asks drover for its keys and defaults, and which of them it hides when they are set.
func droverKeys(t tools) (keys, error) {
	dir, err := os.MkdirTemp("", "drover-keys-")
	if err != nil {
		return keys{}, err
	}
	defer os.RemoveAll(dir)
	k := keys{secrets: map[string]bool{}, root: t.root}
	out, err := run(t, dir, nil, "config", "print")
	if err != nil {
		return keys{}, fmt.Errorf("drover config print: %w\n%s", err, out)
	}
	if k.all, err = flatten([]byte(out)); err != nil {
		return keys{}, err
	}
	k.all["cluster.node"] = "" // print shows the host's name
	for key, value := range k.all {
		if value != "" {
			continue
		}
		// A key that is alone may break a rule (a password without its user), so it is shown in the error or hidden there.
		if out, _ := run(t, dir, []string{envName(key) + "=probe123"}, "config", "print"); strings.Contains(out, "******") && !strings.Contains(out, "probe123") {
			k.secrets[key] = true
		}
	}
	// These need a partner, without which drover prints an error in place of the configuration.
	out, err = run(t, dir, []string{"DROVER_NATS_URL=nats://a", "DROVER_NATS_USER=u", "DROVER_NATS_PASSWORD=probe123"}, "config", "print")
	if err == nil && !strings.Contains(out, "probe123") {
		k.secrets["nats.password"] = true
	}
	out, err = run(t, dir, []string{"DROVER_NATS_URL=nats://a", "DROVER_NATS_TOKEN=probe123"}, "config", "print")
	if err == nil && !strings.Contains(out, "probe123") {
		k.secrets["nats.token"] = true
	}
	if len(k.all) < 50 || len(k.secrets) < 5 {
		return keys{}, fmt.Errorf("drover has told %d keys and %d secrets: too few to be right", len(k.all), len(k.secrets))
	}
	return k, nil
}

func envName(key string) string {
	return "DROVER_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func bufioReader(text []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(text)) }

// flatten gives the values of a YAML document by their dotted keys. Lists are values.
func flatten(text []byte) (map[string]any, error) {
	var tree map[string]any
	if err := yaml.UnmarshalStrict(text, &tree); err != nil {
		return nil, err
	}
	flat := map[string]any{}
	var walk func(prefix string, tree map[string]any)
	walk = func(prefix string, tree map[string]any) {
		for name, value := range tree {
			if section, ok := value.(map[string]any); ok {
				walk(prefix+name+".", section)
				continue
			}
			flat[prefix+name] = value
		}
	}
	walk("", tree)
	return flat, nil
}

// values reads a part of values.yaml as YAML of its own.
func values(t tools, part string) (map[string]any, error) {
	text, err := os.ReadFile(filepath.Join(t.chart(), "values.yaml"))
	if err != nil {
		return nil, err
	}
	var all map[string]any
	if err := yaml.UnmarshalStrict(text, &all); err != nil {
		return nil, err
	}
	section, err := yaml.Marshal(all[part])
	if err != nil {
		return nil, err
	}
	return flatten(section)
}

// mirror says where config in values.yaml is not what drover's configuration is: each key that is no secret stands there with drover's
// default, each secret stands under secrets, and the schema knows the same keys.
func mirror(t tools, k keys) (wrong []string) {
	config, err := values(t, "config")
	if err != nil {
		return []string{err.Error()}
	}
	refs, err := values(t, "secrets") // discord.token.name, discord.token.key
	if err != nil {
		return []string{err.Error()}
	}
	known, err := schemaKeys(t)
	if err != nil {
		return []string{err.Error()}
	}
	for _, key := range slices.Sorted(maps.Keys(k.all)) {
		value, there := config[key]
		_, byName := refs[key+".name"]
		_, byKey := refs[key+".key"]
		switch {
		case k.secrets[key] && there:
			wrong = append(wrong, fmt.Sprintf("values.yaml: config.%s is a secret, and would stand in a ConfigMap: move it to secrets", key))
		case k.secrets[key] && !(byName && byKey):
			wrong = append(wrong, fmt.Sprintf("values.yaml: secrets.%s is missing", key))
		case k.secrets[key]:
		case !there:
			wrong = append(wrong, fmt.Sprintf("values.yaml: config.%s is missing: drover has it, with the default %v", key, k.all[key]))
		case differ[key] == "" && !reflect.DeepEqual(value, k.all[key]):
			wrong = append(wrong, fmt.Sprintf("values.yaml: config.%s is %v, and drover's default is %v", key, value, k.all[key]))
		case differ[key] != "" && reflect.DeepEqual(value, k.all[key]):
			wrong = append(wrong, fmt.Sprintf("values.yaml: config.%s is drover's default, and should not be: %s", key, differ[key]))
		}
		if known[key] == k.secrets[key] {
			wrong = append(wrong, fmt.Sprintf("values.schema.json: config.%s: known there is %v, a secret is %v", key, known[key], k.secrets[key]))
		}
	}
	for key := range config {
		if _, ok := k.all[key]; !ok {
			wrong = append(wrong, fmt.Sprintf("values.yaml: config.%s is no key of drover", key))
		}
	}
	for key := range known {
		if _, ok := k.all[key]; !ok {
			wrong = append(wrong, fmt.Sprintf("values.schema.json: config.%s is no key of drover", key))
		}
	}
	for ref := range refs {
		key := ref[:strings.LastIndexByte(ref, '.')]
		if _, ok := k.all[key]; !ok {
			wrong = append(wrong, fmt.Sprintf("values.yaml: secrets.%s is no key of drover", key))
		}
	}
	return wrong
}

// rule is a part of values.schema.json.
type rule struct {
	Ref        string          `json:"$ref"`
	Properties map[string]rule `json:"properties"`
	More       *bool           `json:"additionalProperties"`
	Minimum    *float64        `json:"minimum"`
	Maximum    *float64        `json:"maximum"`
	Enum       []any           `json:"enum"`
}

// schemaRules gives the rules of config in the schema by key.
func schemaRules(t tools) (map[string]rule, error) {
	text, err := os.ReadFile(filepath.Join(t.chart(), "values.schema.json"))
	if err != nil {
		return nil, err
	}
	var doc struct {
		Definitions map[string]json.RawMessage `json:"definitions"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	definition := func(name string) (r rule, err error) {
		return r, json.Unmarshal(doc.Definitions[name], &r)
	}
	root, err := definition("config")
	if err != nil {
		return nil, err
	}
	flat := map[string]rule{}
	var walk func(prefix string, r rule) error
	walk = func(prefix string, r rule) error {
		if r.More == nil || *r.More {
			return fmt.Errorf("values.schema.json: config.%s allows other keys", prefix)
		}
		for name, sub := range r.Properties {
			if name := strings.TrimPrefix(sub.Ref, "#/definitions/"); name == "stream" {
				if sub, err = definition(name); err != nil {
					return err
				}
			}
			if sub.Properties == nil {
				flat[prefix+name] = sub
			} else if err := walk(prefix+name+".", sub); err != nil {
				return err
			}
		}
		return nil
	}
	return flat, walk("", root)
}

func schemaKeys(t tools) (map[string]bool, error) {
	rules, err := schemaRules(t)
	known := map[string]bool{}
	for key := range rules {
		known[key] = true
	}
	return known, err
}
