package cluster

import (
	"strings"
	"testing"
)

func TestMember_is_read_as_it_was_written(t *testing.T) {
	tests := []member{
		{name: "node-a", process: "p1", capacity: 1, pinned: unpinned},
		{
			name: "host.example:1", process: "Ab-_9", addr: "10.0.0.1:8080", program: "v1.2.3", capacity: 7, pinned: 0,
			draining: true, ready: true, config: "abc", epoch: 9,
		},
	}
	for _, want := range tests {
		got, err := decodeMember(want.key(), want.encode())
		if err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

func TestMember_what_nobody_could_have_written_is_refused(t *testing.T) {
	good := `{"version":1,"name":"a","process":"p","addr":"","program":"","capacity":1,"config":""}`
	if _, err := decodeMember("a.p", []byte(good)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, key, value string }{
		{"nothing", "a.p", ""},
		{"no JSON", "a.p", "{"},
		{"another version", "a.p", strings.Replace(good, `"version":1`, `"version":2`, 1)},
		{"no name", "a.p", strings.Replace(good, `"name":"a"`, `"name":""`, 1)},
		{"a name of two lines", "a.p", strings.Replace(good, `"name":"a"`, `"name":"a\nb"`, 1)},
		{"a process that is no key", "a.p", strings.Replace(good, `"process":"p"`, `"process":"p.q"`, 1)},
		{"another's key", "a.q", good},
		{"no capacity", "a.p", strings.Replace(good, `"capacity":1`, `"capacity":0`, 1)},
		{"a capacity beyond all bounds", "a.p", strings.Replace(good, `"capacity":1`, `"capacity":10001`, 1)},
		{"a capacity that is none", "a.p", strings.Replace(good, `"capacity":1`, `"capacity":1e99`, 1)},
		{"a negative pin", "a.p", strings.Replace(good, `"capacity":1`, `"capacity":1,"pinned":-1`, 1)},
		{"a pin beyond all bounds", "a.p", strings.Replace(good, `"capacity":1`, `"capacity":1,"pinned":1048576`, 1)},
		{"an address of two words", "a.p", strings.Replace(good, `"addr":""`, `"addr":"a b"`, 1)},
		{"too large", "a.p", strings.Replace(good, `{`, `{"x":"`+strings.Repeat("x", maxRecord)+`",`, 1)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if m, err := decodeMember(test.key, []byte(test.value)); err == nil {
				t.Errorf("got %+v, want an error", m)
			}
		})
	}
}

func FuzzRecords(f *testing.F) {
	f.Add("a.p", []byte(`{"version":1,"name":"a","process":"p","capacity":1,"pinned":3,"ready":true}`))
	f.Add("pool.3", []byte(`{"version":1,"node":"a","process":"p","attempt":"1","epoch":3}`))
	f.Add("prefer", []byte(`{"version":1,"pools":[{"pool":3,"node":"a"}]}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		if m, err := decodeMember(key, value); err == nil {
			if again, err := decodeMember(m.key(), m.encode()); err != nil || again != m {
				t.Errorf("got %+v, %v, want %+v", again, err, m)
			}
		}
		if r, err := decodeLeaseRow(key, value); err == nil && (r.pool < 0 || r.Process == "") {
			t.Errorf("got %+v", r)
		}
		pools, _ := decodePrefer(value)
		for _, w := range pools {
			if w.Pool < 0 || w.Node == "" {
				t.Errorf("got %+v", w)
			}
		}
		_, _ = decodeAgreement(value)
	})
}
