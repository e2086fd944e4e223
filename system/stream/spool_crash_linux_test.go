package stream

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"drover/messages"
)

// A process that is killed at any moment, also while it exchanges the file, has on disk what append reported.
func TestSpoolFile_survives_kill_9(t *testing.T) {
	if dir := os.Getenv("SPOOL_CHILD"); dir != "" {
		spoolUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSpoolFile_survives_kill_9$")
		cmd.Env = append(os.Environ(), "SPOOL_CHILD="+dir, "TMPDIR="+t.TempDir())
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, last, removing := 20+rand.IntN(200), uint64(0), uint64(0)
		in := bufio.NewScanner(out)
		for n := 0; in.Scan(); n++ {
			var what string
			var index uint64
			if _, err := fmt.Sscan(in.Text(), &what, &index); err != nil {
				t.Fatalf("%q: %v", in.Text(), err)
			}
			switch what {
			case "appended":
				last = index
			case "removing":
				removing = index
			default:
				t.Fatalf("child: %s", in.Text())
			}
			if n == lines {
				_ = cmd.Process.Kill() // what is in the pipe is read yet
			}
		}
		_ = cmd.Wait()
		s := newSpool(t, dir, 1<<30)
		recs := readAll(t, s, messages.Events)
		first, newest, n := s.bounds(messages.Events)
		if n > 0 && first > removing+1 || s.lane(messages.Events).index < last || n == 0 && removing < last {
			t.Fatalf("round %d: has %d to %d, want %d to %d and no more than one batch behind", round, first, newest, removing+1, last)
		}
		for i, r := range recs {
			if index := first + uint64(i); !sameRecord(r, indexed(spoolRecord(int64(index), 100+int(index%5)*4000), index)) {
				t.Fatalf("round %d: record %d is another one", round, index)
			}
		}
		if mark := s.storedMark(messages.Events); mark > removing {
			t.Fatalf("round %d: got mark %d, want %d at most", round, mark, removing)
		}
		t.Logf("round %d: killed after %d lines; %d records, up to %d", round, lines, n, newest)
		_ = s.close()
	}
}

// spoolUntilKilled appends, tells it, and removes now and then, sometimes all.
func spoolUntilKilled(t *testing.T, dir string) {
	s := newSpool(t, dir, 1<<30)
	s.big = 5 << 20
	for n := 1; ; n++ {
		var recs []record
		for i := range 16 {
			index := s.lane(messages.Events).index + 1 + uint64(i)
			recs = append(recs, spoolRecord(int64(index), 100+int(index%5)*4000))
		}
		fmt.Println("appended", mustAppend(t, s, messages.Events, recs...))
		first, last, _ := s.bounds(messages.Events)
		switch {
		case n%30 == 0:
			fmt.Println("removing", last)
			mustRemove(t, s, messages.Events, last, last)
		case n%7 == 0:
			fmt.Println("removing", (first+last)/2)
			mustRemove(t, s, messages.Events, (first+last)/2, (first+last)/2)
		}
	}
}

// tinyDisk mounts a file system of a few MB.
func tinyDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("needs the right to mount a file system of %d bytes: %v", bytes, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestSpoolFile_on_a_full_disk_loses_nothing_and_goes_on(t *testing.T) {
	for _, size := range []int{1400, 30_000, 150_000} {
		t.Run(fmt.Sprintf("events of %d bytes", size), func(t *testing.T) {
			dir := tinyDisk(t, 5<<20)
			s := newSpool(t, dir, 1<<30)
			var want []record
			fill := func() {
				t.Helper()
				for {
					recs := spoolRecords(int64(len(want)+1), max(4, 100_000/size), size)
					err := s.append(messages.Events, recs)
					if errors.Is(err, syscall.ENOSPC) {
						if recs[0].index != 0 {
							t.Error("a record that is not there has an index")
						}
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, recs...)
				}
			}
			removed := 0
			check := func() {
				t.Helper()
				for range 2 {
					sameRecords(t, readAll(t, s, messages.Events), want[removed:])
					_ = s.close()
					s = newSpool(t, dir, 1<<30) // also while the disk is full
				}
			}
			fill()
			t.Logf("%d records of %d bytes on a disk of 5 MiB", len(want), size)
			check()
			if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 {
				t.Errorf("got %v, want nothing moved aside", files)
			}

			// Acknowledged events make room, whoever else takes the rest of the disk.
			fillDisk(t, dir)
			for range 3 {
				step := max(1, (len(want)-removed)/3)
				mustRemove(t, s, messages.Events, uint64(removed+step), 0)
				removed += step
				before := len(want)
				check()
				fill()
				t.Logf("removed %d, then %d found room", step, len(want)-before)
				check()
			}
			mustRemove(t, s, messages.Events, uint64(len(want)), 0)
			removed = len(want)
			check()
			mustAppend(t, s, messages.Events, spoolRecords(1, 1, size)...)
		})
	}
}

// fillDisk takes what the others left, to the last block.
func fillDisk(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "hog"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for ; err == nil; _, err = f.Write(make([]byte, 4096)) {
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// What is acknowledged can be removed, wherever the spool stands when others fill the disk.
func TestSpoolFile_removes_on_a_disk_that_others_filled(t *testing.T) {
	for round := range 8 {
		dir := tinyDisk(t, 8<<20)
		s := newSpool(t, dir, 1<<30)
		for range 5 + round {
			var recs []record
			for range 3 {
				recs = append(recs, spoolRecord(1, usualSize()))
			}
			mustAppend(t, s, messages.Events, recs...)
		}
		fillDisk(t, dir)
		if err := s.noteShed(shedNote{Session: "x"}); err != nil { // a full disk is when events are shed
			t.Fatal(err)
		}
		for first, _, n := s.bounds(messages.Events); n > 0; first, _, n = s.bounds(messages.Events) {
			mustRemove(t, s, messages.Events, first+uint64(rand.IntN(min(n, 4))), first)
		}
		if err := s.append(messages.Events, spoolRecords(1, 1000, 8000)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("got %v, want %v", err, syscall.ENOSPC)
		}
		if err := os.Remove(filepath.Join(dir, "hog")); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, s, messages.Events, spoolRecords(1, 3, 8000)...)
	}
}
