package main

import (
	"maps"
	"os"
	"slices"
	"testing"
	"time"
)

// TestFaults: each fault befalls who it says, and its twin stays healthy.
func TestFaults(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(scenes())) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if kind == "limit" && os.Getuid() != 0 {
				t.Skip("only root makes cgroups")
			}
			truth := play(t, "fault", "--kind", kind, "--duration", "2s")
			subject := slices.IndexFunc(truth.Services, func(s Service) bool { return s.PID == truth.Fault.PID })
			if subject < 0 || truth.Services[subject].Name != truth.Fault.Service || truth.Fault.Healthy {
				t.Fatalf("fault %+v of services %+v", truth.Fault, truth.Services)
			}
			checkFault(t, kind, truth, truth.Services[subject])
		})
	}
	t.Run("healthy", func(t *testing.T) {
		t.Parallel()
		truth := play(t, "fault", "--kind", "spin", "--duration", "1s", "--healthy")
		if s := truth.Services[0]; !truth.Fault.Healthy || s.Requests == 0 || s.Unanswered > 0 {
			t.Errorf("%+v: %+v", truth.Fault, s)
		}
	})
}

// checkFault holds what every machine does, however slow.
func checkFault(t *testing.T, kind string, truth Truth, subject Service) {
	t.Helper()
	asked := map[string]int64{}
	for _, e := range truth.Edges {
		asked[e.Server] += e.Requests + e.Unanswered
	}
	switch kind {
	case "yield", "spin":
		if subject.Requests == 0 || subject.Unanswered == 0 {
			t.Errorf("answered and not: %+v", subject)
		}
	case "retry":
		if asked["leaf"] <= asked["middle"] || asked["middle"] <= asked["front"] {
			t.Errorf("asked: %v", asked)
		}
	case "late":
		if late := scenes()[kind].servers[2].Late; time.Duration(subject.Latency.Max) < late {
			t.Errorf("no answer took %v: %+v", late, subject)
		}
	case "overload", "limit", "busy":
		if subject.Requests == 0 {
			t.Errorf("nothing was answered: %+v", subject)
		}
	default:
		t.Errorf("what does %s do?", kind)
	}
}
