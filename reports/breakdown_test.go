package reports

import (
	"strings"
	"testing"

	"kmon/analyze"
)

// The drawing and the table show the same parts, and what is missing is said.
func TestBreakdownIsDrawn(t *testing.T) {
	a := cpuShop()
	v := newBreakdown(a)
	if len(v.Bars) != 2 || v.None != "" || v.Bars[0].Name != "checkout" {
		t.Fatalf("drawn: %+v", v)
	}
	slow := a.Services[serviceAt(a, "checkout")].Breakdown.Slow
	middle := a.Services[serviceAt(a, "checkout")].Breakdown.Middle
	if got, want := len(v.Bars[0].Rects), len(slow.Parts)+len(middle.Parts); got != want {
		t.Errorf("%d parts are drawn, want %d", got, want)
	}
	if len(v.Keys) != len(breakdownParts) {
		t.Errorf("%d parts have a key, want all %d", len(v.Keys), len(breakdownParts))
	}
	table := breakdownTable(a)
	for _, want := range []string{"12.5% of the requests were answered by another thread", "41 requests to others may belong to several"} {
		if !strings.Contains(breakdownNote(only(a, "checkout")), want) {
			t.Errorf("the note lacks %q: %s", want, table.Note)
		}
	}
	if got := table.Rows[0][4].Text; got != "lock 70%" {
		t.Errorf("checkout's slow requests: mostly %q, want lock", got)
	}
}

func serviceAt(a *analyze.Analysis, name string) int {
	for i := range a.Services {
		if a.Services[i].Name == name {
			return i
		}
	}
	return -1
}

// only is a with one service.
func only(a *analyze.Analysis, name string) *analyze.Analysis {
	one := *a
	one.Services = a.Services[serviceAt(a, name) : serviceAt(a, name)+1]
	return &one
}

func TestBreakdownThatIsNotThereIsExplained(t *testing.T) {
	if got := noBreakdown(shop()); got != "Not recorded: threads (collector cpu)." {
		t.Errorf("without threads: %q", got)
	}
	a := cpuShop()
	for i := range a.Services {
		a.Services[i].Breakdown = nil
	}
	if got := noBreakdown(a); !strings.Contains(got, "did not yet keep") {
		t.Errorf("an older capture: %q", got)
	}
	if got := noBreakdown(&analyze.Analysis{}); got != "" {
		t.Errorf("nothing was served: %q", got)
	}
}
