package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"kmon/analyze"
)

// cart is a profile with every kind of frame, and names that are hard to write.
func cart() *analyze.Profile {
	return &analyze.Profile{
		StartNs: 1_700_000_000e9, BucketNs: 10e9, SampleNs: 10e6,
		Frames: []analyze.ProfileFrame{
			{Name: "cart", Kind: "service"}, {Name: "main", Module: "/bin/cart", Kind: "user"},
			{Name: "operator;\n<\"x\">", Module: "/bin/cart", Kind: "user", Approximate: true},
			{Name: "futex_wait", Module: "kernel", Kind: "kernel"}, {Name: "sleep", Kind: "state"}, {Name: "main", Module: "/lib/x.so", Kind: "user"},
		},
		Nodes:  []analyze.ProfileNode{{Parent: -1, Frame: 0}, {Parent: 0, Frame: 1}, {Parent: 1, Frame: 2}, {Parent: 0, Frame: 4}, {Parent: 3, Frame: 3}, {Parent: 0, Frame: 5}},
		OnCPU:  []analyze.ProfileCell{{Bucket: 0, Node: 1, Value: 2}, {Bucket: 0, Node: 2, Value: 3}, {Bucket: 0, Node: 5, Value: 4}, {Bucket: 1, Node: 0, Value: 7}, {Bucket: 1, Node: 2, Value: 1}},
		OffCPU: []analyze.ProfileCell{{Bucket: 0, Node: 4, Value: 5e9}, {Bucket: 0, Node: 3, Value: 1}},
	}
}

func TestFolded(t *testing.T) {
	for kind, want := range map[Kind]string{
		OnCPU:  "cart 7\ncart;main 6\ncart;main;operator: <\"x\"> 4\n",
		OffCPU: "cart;sleep 1\ncart;sleep;futex_wait 5000000000\n",
	} {
		var out bytes.Buffer
		if err := Folded(&out, cart(), kind); err != nil || out.String() != want {
			t.Errorf("%s: got %q, %v, want %q", kind, out.String(), err, want)
		}
	}
}

// What a hostile capture calls a function does not steer a terminal.
func TestFoldedNames(t *testing.T) {
	if got, want := analyze.FoldedPath([]string{"cart;x", "a\x1b[2J\n\u009b1m"}), "cart:x;a [2J  1m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPprof(t *testing.T) {
	for kind, want := range map[Kind]string{
		OnCPU: "cart: cart [7 70000000]\ncart: main [2 20000000]\ncart: main [4 40000000]\n" +
			"cart: operator;\n<\"x\"> main [4 40000000]",
		OffCPU: "cart sleep: futex_wait [5000000000]\ncart sleep: sleep [1]",
	} {
		var out bytes.Buffer
		if err := Pprof(&out, cart(), kind); err != nil {
			t.Fatal(err)
		}
		p, err := profile.Parse(&out) // which checks the profile
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, s := range p.Sample {
			line := strings.Join(append(s.Label["service"], s.Label["state"]...), " ") + ":"
			for _, l := range s.Location {
				line += " " + l.Line[0].Function.Name
			}
			lines = append(lines, fmt.Sprintf("%s %d", line, s.Value))
		}
		slices.Sort(lines)
		if got := strings.Join(lines, "\n"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", kind, got, want)
		}
		if p.DurationNanos != 10e9 || p.TimeNanos != 1_700_000_000e9 || len(p.Mapping) == 0 {
			t.Errorf("%s: time %d, duration %d, %d mappings", kind, p.TimeNanos, p.DurationNanos, len(p.Mapping))
		}
	}
	rateless := cart()
	rateless.SampleNs = 0
	var out bytes.Buffer
	if err := Pprof(&out, rateless, OnCPU); err != nil {
		t.Fatal(err)
	}
	if p, err := profile.Parse(&out); err != nil || len(p.SampleType) != 1 {
		t.Errorf("without a rate: %v, %v", p.SampleType, err)
	}
}

// What speedscope's schema demands of a sampled profile.
func TestSpeedscope(t *testing.T) {
	for kind, total := range map[Kind]int64{OnCPU: 170e6, OffCPU: 5e9 + 1} {
		var out bytes.Buffer
		if err := Speedscope(&out, cart(), kind, "cart.kmon", "kmon 1"); err != nil {
			t.Fatal(err)
		}
		var f speedscopeFile
		d := json.NewDecoder(&out)
		d.DisallowUnknownFields()
		if err := d.Decode(&f); err != nil {
			t.Fatal(err)
		}
		p := f.Profiles[0]
		sum := int64(0)
		for i, sample := range p.Samples {
			sum += p.Weights[i]
			for _, frame := range sample {
				if int(frame) >= len(f.Shared.Frames) {
					t.Fatalf("frame %d of %d", frame, len(f.Shared.Frames))
				}
			}
		}
		if p.Type != "sampled" || p.Unit != "nanoseconds" || p.StartValue != 0 || p.EndValue != total || sum != total ||
			len(p.Samples) != len(p.Weights) || f.Schema != speedscopeSchema {
			t.Errorf("%s: %+v", kind, p)
		}
	}
}
