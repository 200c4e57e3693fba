package record

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

func TestEndBytes(t *testing.T) {
	for bound, want := range map[int64]int64{
		1 << 10: 128 << 10, MinMaxSizeBytes: 128 << 10, 8 << 20: 1 << 20, 100 << 20: 8 << 20, 1 << 60: 8 << 20,
	} {
		if got := endBytes(bound); got != want {
			t.Errorf("of %d: got %d, want %d", bound, got, want)
		}
	}
}

func TestMinFreeBytes(t *testing.T) {
	for _, c := range []struct{ option, total, want int64 }{
		{0, 1 << 40, DefaultMinFreeBytes},
		{0, 4 << 30, 4 << 30 / 100},
		{0, 0, 0}, // not known
		{-1, 1 << 40, 0},
		{5 << 30, 1 << 20, 5 << 30},
	} {
		if got := (Options{MinFreeBytes: c.option}).minFreeBytes(c.total); got != c.want {
			t.Errorf("option %d on %d bytes: got %d, want %d", c.option, c.total, got, c.want)
		}
	}
}

func TestBounds(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		name          string
		b             bounds
		size, pending int64
		large, full   bool
	}{
		{"no bounds", bounds{free: 0}, 1 << 40, 1 << 40, false, false},
		{"far from both", bounds{maxBytes: 16 * mb, minFree: 16 * mb, free: 32 * mb}, mb, mb, false, false},
		{"just below", bounds{maxBytes: 16 * mb, minFree: 16 * mb, free: 20 * mb}, 12 * mb, 2 * mb, false, false},
		{"a byte more", bounds{maxBytes: 16 * mb, minFree: 16 * mb, free: 20 * mb}, 12 * mb, 2*mb + 1, true, true},
		{"already beyond", bounds{maxBytes: mb, minFree: mb, free: 0}, 2 * mb, 0, true, true},
		{"free is not known", bounds{minFree: mb, free: -1}, 0, mb, false, false},
	} {
		if got := nearlyLarge(c.b.maxBytes, c.size, c.pending); got != c.large {
			t.Errorf("%s: nearly large is %v", c.name, got)
		}
		if got := c.b.nearlyFull(c.pending); got != c.full {
			t.Errorf("%s: nearly full is %v", c.name, got)
		}
	}
}

// What comes after the first error of a disk only repeats it.
func TestDiskErrors(t *testing.T) {
	full := fmt.Errorf("x.part: marks/000001.parquet: %w", syscall.ENOSPC)
	other := errors.New("other")
	err := distinct(errors.Join(full, nil, errors.Join(full, other), full))
	if got, want := err.Error(), full.Error()+"\nother"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if distinct(nil) != nil || distinct(errors.Join(nil, nil)) != nil {
		t.Error("no error became one")
	}
	err = &diskError{"x.kmon", err}
	if !errors.Is(err, syscall.ENOSPC) || !strings.HasSuffix(err.Error(), "no space left on device; what was written before is in x.kmon") {
		t.Errorf("got %q", err)
	}
}
