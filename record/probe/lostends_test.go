package probe

import "testing"

func TestLostEnds(t *testing.T) {
	var l lostEnds
	for _, step := range []struct {
		missing int64
		lost    int64
		why     string
	}{
		{0, 0, "nothing is missing"},
		{3, 0, "missing once: they may be ending"},
		{1, 1, "one is missing again"},
		{4, 0, "it is known already"},
		{-5, 0, "some that began meanwhile were seen"},
		{4, 0, "the walk before did not tell"},
		{6, 3, "four are lost in all"},
		{6, 2, "and two more"},
	} {
		l.walked(step.missing)
		var got int64
		if list := l.lost(); len(list) > 0 {
			got = list[0].Count
		}
		if got != step.lost {
			t.Errorf("%d missing gives %d lost, want %d: %s", step.missing, got, step.lost, step.why)
		}
	}
}
