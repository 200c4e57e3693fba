package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFaults: each fault befalls who it says, and its twin stays healthy.
func TestFaults(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(scenes())) {
		if kind == "path" {
			continue // not every kernel has netem; the guests of cmd/workload/kernels do
		}
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if kind == "limit" && os.Getuid() != 0 {
				t.Skip("only root makes cgroups")
			}
			duration := "2s"
			if kind == "yield" || kind == "spin" {
				duration = "6s" // callers give up after one
			}
			args := []string{"fault", "--kind", kind, "--duration", duration}
			if kind == "disk" {
				path := filepath.Join(t.TempDir(), "disk")
				if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--disks", path+","+path)
			}
			playUntil(t, func(truth Truth) error {
				subject := slices.IndexFunc(truth.Services, func(s Service) bool { return s.PID == truth.Fault.PID })
				if subject < 0 || truth.Services[subject].Name != truth.Fault.Service || truth.Fault.Healthy {
					t.Fatalf("fault %+v of services %+v", truth.Fault, truth.Services)
				}
				return checkFault(kind, truth, truth.Services[subject])
			}, args...)
		})
	}
	t.Run("apart", func(t *testing.T) {
		t.Parallel()
		if _, err := exec.LookPath("ip"); err != nil || os.Getuid() != 0 {
			t.Skip("only root makes network namespaces, with ip")
		}
		playUntil(t, func(truth Truth) error {
			if s := truth.Services[2]; len(truth.Services) != 4 || s.Requests == 0 || !strings.HasPrefix(s.Address, "10.77.") {
				return fmt.Errorf("%+v", truth.Services)
			}
			return nil
		}, "fault", "--kind", "late", "--duration", "1s", "--apart")
		if left, err := filepath.Glob(fmt.Sprintf("/run/netns/workload-%d-*", os.Getpid())); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
	t.Run("healthy", func(t *testing.T) {
		t.Parallel()
		playUntil(t, func(truth Truth) error {
			if s := truth.Services[0]; !truth.Fault.Healthy || s.Requests == 0 || s.Unanswered > 0 {
				return fmt.Errorf("%+v: %+v", truth.Fault, s)
			}
			return nil
		}, "fault", "--kind", "spin", "--duration", "1s", "--healthy")
	})
}

// playUntil plays a load until it is as it should be, at most four times: in the
// seconds that it takes the computer may stand still for as long.
func playUntil(t *testing.T, check func(Truth) error, args ...string) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		err := check(play(t, args...))
		if err == nil {
			return
		}
		if attempt == 4 {
			t.Fatal(err)
		}
		t.Logf("attempt %d: %v", attempt, err)
	}
}

// checkFault holds what every machine does, however slow.
func checkFault(kind string, truth Truth, subject Service) error {
	asked := map[string]int64{}
	for _, e := range truth.Edges {
		asked[e.Server] += e.Requests + e.Unanswered
	}
	switch kind {
	case "yield", "spin":
		if subject.Requests == 0 || subject.Unanswered == 0 {
			return fmt.Errorf("answered and not: %+v", subject)
		}
	case "retry":
		if asked["leaf"] <= asked["middle"] || asked["middle"] <= asked["front"] {
			return fmt.Errorf("asked: %v", asked)
		}
	case "late":
		if late := scenes()[kind].servers[2].Late; time.Duration(subject.Latency.Max) < late {
			return fmt.Errorf("no answer took %v: %+v", late, subject)
		}
	case "overload", "limit", "busy", "disk":
		if subject.Requests == 0 {
			return fmt.Errorf("nothing was answered: %+v", subject)
		}
	default:
		return fmt.Errorf("what does %s do?", kind)
	}
	return nil
}
