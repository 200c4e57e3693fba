package analyze

import (
	"slices"
	"strings"
	"testing"

	"kmon/format"
)

// A disk that was full: final.json counts what could not be written, which has
// no row among the losses. It happened after the recorder last wrote of itself.
func TestUnwrittenRowsAreLosses(t *testing.T) {
	s := loopback(t, 10) // 20 rows
	s.self = []format.Self{{TsNs: mono0 + 6*second, RealtimeNs: unix0 + 6*second}}
	s.final.StopReason, s.final.Error = "disk", "shop.kmon.part: no space left on device"
	s.final.Losses = map[string]int64{"exchanges/write": 5}
	a := analyzed(t, Options{}, s)
	if c := a.Captures[0]; c.StopReason != "disk" || a.Edges[0].Coverage != 20.0/25 {
		t.Errorf("stop reason %q, coverage %v", c.StopReason, a.Edges[0].Coverage)
	}
	if len(a.Losses) != 1 || a.Losses[0].Count != 5 || a.Losses[0].Cause != "write" ||
		a.Losses[0].StartNs != unix0+6*second || a.Losses[0].EndNs != unix0+10*second {
		t.Errorf("losses %+v", a.Losses)
	}
	told := func(text string) bool { return strings.Contains(text, "ended before it should: "+s.final.Error) }
	if !slices.ContainsFunc(a.Warnings, told) {
		t.Errorf("warnings %q do not say why the recording ended", a.Warnings)
	}

	s = loopback(t, 10)
	s.final.StopReason = "size"
	if a := analyzed(t, Options{}, s); len(a.Losses) > 0 || a.Captures[0].StopReason != "size" || slices.ContainsFunc(a.Warnings, told) {
		t.Errorf("a limit: stop reason %q, losses %v, warnings %q", a.Captures[0].StopReason, a.Losses, a.Warnings)
	}
}
