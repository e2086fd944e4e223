package system

import (
	"os"
	"testing"
)

// A folder that was copied has the file of the one that it was copied from, whose process may live.
func TestHome_is_the_same_for_one_folder_and_another_for_its_copy(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	first := home(dir)
	if first == "" || home(dir) != first {
		t.Fatalf("got %q and then %q, want the same twice", first, home(dir))
	}
	if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if copied := home(other); copied == "" || copied == first {
		t.Errorf("got %q for a copy, want another one than %q", copied, first)
	}
}

func TestHome_of_a_folder_that_cannot_be_written_is_nobodys(t *testing.T) {
	if got := home("/proc"); got != "" {
		t.Errorf("got %q, want none", got)
	}
}
