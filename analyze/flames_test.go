package analyze

import (
	"path/filepath"
	"testing"

	"kmon/format"
)

// stacksCapture has samples of cart, a second apart, and of web, and a wait of
// cart in each of two intervals.
func stacksCapture(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "stacks.kmon")
	w, err := format.Create(path, format.Manifest{KmonVersion: "1.0.0", Host: format.Host{Name: "node1"},
		Clock:      format.ClockPair{MonotonicNs: mono0, RealtimeNs: unix0},
		Collectors: []format.Collector{{Name: "cpu", Settings: map[string]string{"sample_hz": "100"}}}}, format.WriterOptions{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	add(t, w, []format.Process{{TsNs: mono0, PID: 1, Service: "cart", StartNs: 1}, {TsNs: mono0, PID: 2, Service: "web", StartNs: 1}})
	add(t, w, []format.Frame{{FrameID: 1, Kind: format.FrameUser, Symbol: "main"}, {FrameID: 2, Kind: format.FrameKernel, Symbol: "wait"}})
	add(t, w, []format.Stack{{StackID: 1, FrameID: 1}, {StackID: 2, FrameID: 2}})
	for i := range int64(10) {
		add(t, w, []format.OnCPU{{TsNs: mono0 + i*second, PID: 1, UserStackID: 1}})
	}
	add(t, w, []format.OnCPU{{TsNs: mono0 + second, PID: 2, UserStackID: 1}})
	for i := range int64(2) {
		add(t, w, []format.OffCPU{{StartNs: mono0 + i*5*second, EndNs: mono0 + (i+1)*5*second, PID: 1, State: format.StateSleep,
			StackID: 2, UserStackID: 1, Count: 1, TotalNs: second}})
	}
	if err := w.Close(format.Final{EndNs: mono0 + 10*second, EndUnixNs: unix0 + 10*second}); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlames(t *testing.T) {
	path := stacksCapture(t)
	for _, c := range []struct {
		options Options
		want    map[string]int64 // kind and service → total
		maps    int
	}{
		{Options{}, map[string]int64{"on-cpu ": 11, "on-cpu cart": 10, "on-cpu web": 1, "off-cpu ": 2 * second, "off-cpu cart": 2 * second}, 3},
		{Options{Services: []string{"web"}}, map[string]int64{"on-cpu ": 1, "on-cpu web": 1}, 2},
		{Options{Since: "5s"}, map[string]int64{"on-cpu ": 5, "on-cpu cart": 5, "off-cpu ": second, "off-cpu cart": second}, 2},
		{Options{Services: []string{"nobody"}}, map[string]int64{}, 0},
	} {
		a, err := Run(t.Context(), []string{path}, c.options)
		if err != nil {
			t.Fatal(err)
		}
		if a.Flames == nil || len(a.Flames) != len(c.want) || len(a.HeatMaps) != c.maps {
			t.Errorf("%+v: %d trees, %d heat maps, want %d, %d", c.options, len(a.Flames), len(a.HeatMaps), len(c.want), c.maps)
		}
		for _, f := range a.Flames {
			if want := c.want[f.Kind+" "+f.Service]; f.Total != want || f.Root.Value != want {
				t.Errorf("%+v: %s of %q is %d, its root %d, want %d", c.options, f.Kind, f.Service, f.Total, f.Root.Value, want)
			}
			if f.Kind == "on-cpu" && f.NsPerUnit != 10*ms {
				t.Errorf("a sample stands for %d ns", f.NsPerUnit)
			}
		}
		if (a.Profile == nil) != (len(c.want) == 0) {
			t.Errorf("%+v: profile %v", c.options, a.Profile)
		}
		if seen := a.Captures[0].Rows["oncpu"]; seen != 11 {
			t.Errorf("%d rows of oncpu, want 11", seen)
		}
	}
	p, problems, err := Stacks(t.Context(), []string{path}, Options{Until: "2s"})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	if len(p.OnCPU) != 2 || p.OnCPU[0].Value+p.OnCPU[1].Value != 3 || len(p.OffCPU) != 0 || p.BucketNs != 2*second {
		t.Errorf("stacks %+v", p)
	}
}

// A capture without the collector has no trees, not empty ones.
func TestNoFlames(t *testing.T) {
	a := analyzed(t, Options{}, newStory(t, "node1"))
	if a.Flames != nil || a.Profile != nil {
		t.Errorf("trees %v, profile %v", a.Flames, a.Profile)
	}
}
