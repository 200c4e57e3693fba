package replay

import (
	"math"
	"testing"
)

func TestWindowOfATime(t *testing.T) {
	w := Windows{FromNs: -5, ToNs: 40, BaseNs: -10, WidthNs: 10, Count: 3}
	for _, test := range []struct {
		ns    int64
		want  int32
		holds bool
	}{
		{math.MinInt64, 0, false}, {-11, 0, false}, {-10, 0, false}, {-5, 0, true}, {-1, 0, true}, {0, 1, true},
		{9, 1, true}, {10, 2, true}, {39, 2, true}, {40, 2, false}, {math.MaxInt64, 2, false},
	} {
		if got := w.Of(test.ns); got != test.want || w.Holds(test.ns) != test.holds {
			t.Errorf("%d: in window %d, counts %v, want %d, %v", test.ns, got, w.Holds(test.ns), test.want, test.holds)
		}
	}
}

func TestHostName(t *testing.T) {
	if got := hostName("node-a"); got != "node-a" {
		t.Errorf("got %q", got)
	}
	if got := hostName(string(make([]byte, 1<<20))); len(got) != maxHostName {
		t.Errorf("a name of a megabyte has %d bytes", len(got))
	}
}
