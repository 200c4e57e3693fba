package record

import (
	"slices"
	"testing"
	"time"

	"kmon/format"
)

func TestClocksThatChangeAreMarked(t *testing.T) {
	const second, hour = int64(time.Second), int64(time.Hour)
	start := clocks{format.ClockPair{MonotonicNs: 50 * second, RealtimeNs: 1000 * hour}, 7 * hour}
	// after gives the clocks when so much of them has gone by.
	after := func(monotonic, realtime, suspended int64) clocks {
		return clocks{format.ClockPair{MonotonicNs: 50*second + monotonic, RealtimeNs: 1000*hour + realtime}, 7*hour + suspended}
	}
	for _, test := range []struct {
		name string
		next clocks
		want []string
	}{
		{"a second", after(second, second, 0), nil},
		{"a busy second, slewed by NTP", after(4*second, 4*second+4*second/2000, 0), nil},
		{"set forward", after(second, hour+second, 0), []string{"clock: the wall clock was set forward by 1h0m0s: times are shown by the clock before"}},
		{"set back", after(second, second-hour, 0), []string{"clock: the wall clock was set back by 1h0m0s: times are shown by the clock before"}},
		{"suspended", after(second, second+hour, hour), []string{
			"suspend: the machine was suspended for 1h0m0s: no duration counts it, and times after it are shown as much too early"}},
		{"suspended, and set back meanwhile", after(second, second, hour), []string{
			"suspend: the machine was suspended for 1h0m0s: no duration counts it, and times after it are shown as much too early",
			"clock: the wall clock was set back by 1h0m0s: times are shown by the clock before"}},
		{"stopped", after(60*second, 60*second, 0), []string{
			"stopped: the recorder did not run for 1m0s: what found no room meanwhile is counted as lost"}},
	} {
		var got []string
		for _, m := range start.changes(test.next) {
			got = append(got, m.Kind+": "+m.Text)
			if m.TsNs != test.next.MonotonicNs {
				t.Errorf("%s: marked at %d, seen at %d", test.name, m.TsNs, test.next.MonotonicNs)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
