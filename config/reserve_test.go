package config

import "testing"

func TestReserve_is_a_share_a_number_or_automatic(t *testing.T) {
	for _, tt := range []struct {
		reserve             Reserve
		total, shards, want int
	}{
		{ReserveAuto, 1000, 4, 50},
		{ReserveAuto, 1000, 400, 400},
		{"10%", 1000, 400, 100},
		{"0.05%", 1000, 4, 1}, // a share that is not zero keeps something
		{"0%", 1000, 4, 0},
		{"100%", 1000, 4, 1000},
		{"50", 2000, 400, 50},
		{"0", 1000, 4, 0},
	} {
		t.Run(string(tt.reserve), func(t *testing.T) {
			if got := tt.reserve.Of(tt.total, tt.shards); got != tt.want {
				t.Errorf("got %d of %d for %d shards, want %d", got, tt.total, tt.shards, tt.want)
			}
		})
	}
}

func TestReserve_is_read_from_a_file(t *testing.T) {
	for text, want := range map[string]Reserve{"auto": ReserveAuto, "50": "50", "10%": "10%", `"10 %"`: "10 %"} {
		cfg, _, err := load(t, "identify: {reserve: "+text+"}")
		if err != nil || cfg.Identify.Reserve != want {
			t.Errorf("%s: got %q, %v, want %q", text, cfg.Identify.Reserve, err, want)
		}
	}
	_, _, err := load(t, "identify: {reserve: 0.1}")
	if texts := problemTexts(t, err); len(texts) != 1 {
		t.Errorf("got %v, want a number with a fraction refused", texts)
	}
}
