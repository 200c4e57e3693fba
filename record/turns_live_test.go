package record

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kmon/format"
)

// Marks that come all the time, also while a part ends, are each in one part: the
// one that the answer names.
func TestMarksAtTurns(t *testing.T) {
	requireBPF(t)
	writing := &Writing{}
	const senders = 4
	var sent [senders]map[string]string // text → file that the answer names
	result := whileRecording(t, Options{
		Collectors: []string{"proc"}, Output: filepath.Join(t.TempDir(), "x.kmon"), Rotate: Rotation{Every: MinRotateEvery}, Writing: writing,
	}, func() {
		name := ownSockets(t)[0]
		var all sync.WaitGroup
		for i := range senders {
			sent[i] = map[string]string{}
			all.Go(func() {
				for n := 0; partNumberOf(t, writing.Path()) <= 3; n++ {
					text := fmt.Sprintf("mark %d of %d", n, i)
					path, err := sendMark(context.Background(), name, text)
					if err != nil {
						t.Errorf("%s: %v", text, err)
						return
					}
					sent[i][text] = path
				}
			})
		}
		all.Wait()
	})
	found := map[string][]string{}
	for _, c := range partsOf(t, result) {
		for _, m := range all[format.Mark](t, c) {
			if m.Kind != "user" {
				continue
			}
			if found[m.Text] = append(found[m.Text], c.Path); m.TsNs > c.Final.EndNs {
				t.Errorf("%s has a mark of after its end: %+v", c.Path, m)
			}
		}
	}
	for _, marks := range sent {
		for text, path := range marks {
			if in := found[text]; len(in) != 1 || in[0] != path {
				t.Errorf("%q was put into %s, and is in %q", text, path, in)
			}
		}
		if len(marks) < 3 {
			t.Errorf("%d marks were sent over three turns", len(marks))
		}
	}
}

// A disk that gets full in the middle of a rotating recording ends it; all parts
// and all rows that were written can be read.
func TestFullDiskEndsARotation(t *testing.T) {
	for name, rotation := range map[string]Rotation{
		"by size": {SizeBytes: MinMaxSizeBytes},
		"by time": {Every: MinRotateEvery},
	} {
		t.Run(name, func(t *testing.T) {
			ownMounts(t)
			dir, _ := mounted(t, "tmpfs", "tmpfs", "size=4m")
			o := Options{Output: filepath.Join(dir, "x.kmon"), Rotate: rotation, MinFreeBytes: -1, Collectors: []string{"tcp", "proc"}}
			result, err := boundedRun(t, o, 0, nil)
			if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") || result.StopReason != "disk" {
				t.Errorf("it ended by %q: %v", result.StopReason, err)
			}
			captures := partsOf(t, result)
			var exchanges int64
			full := false // the part before may be on its way to the disk when the last begins
			for i, c := range captures {
				exchanges += int64(len(all[format.Exchange](t, c)))
				for _, p := range c.Problems() {
					t.Errorf("part %d: %s", i+1, p)
				}
				says := c.Final != nil && c.Final.StopReason != "rotate" && strings.Contains(c.Final.Error, "no space left")
				if full = full || says; !says && (c.Final == nil || c.Final.StopReason != "rotate" || c.Final.Error != "") {
					t.Errorf("part %d ends with %+v", i+1, c.Final)
				}
			}
			if exchanges == 0 || exchanges != result.Rows["exchanges"] || len(captures) < 2 || !full {
				t.Errorf("%d exchanges are in %d parts, the result says %d; one says that the disk is full: %v", exchanges, len(captures), result.Rows["exchanges"], full)
			}
		})
	}
}
