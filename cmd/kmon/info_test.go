package main

import (
	"encoding/json"
	"strings"
	"testing"

	"kmon/format"
)

func TestInfoJSON(t *testing.T) {
	t.Chdir(writeSamples(t))
	stdout, stderr, code := kmon("info", "lossy.kmon", "running.kmon.part", "flipped.kmon", "--json")
	if code != codeOK || stderr != "" {
		t.Fatalf("got exit code %d and stderr %q", code, stderr)
	}
	values := json.NewDecoder(strings.NewReader(stdout))
	values.DisallowUnknownFields()
	var lossy, running, flipped info
	for _, in := range []*info{&lossy, &running, &flipped} {
		check(t, values.Decode(in))
	}
	if lossy.Schema != "kmon.info/v1" || lossy.Manifest.Host.Name != "node-a" || lossy.DurationNs != 6e9 ||
		lossy.Losses["tcp/ring-full"] != 120 || lossy.Rows["exchanges"] != 120 || len(lossy.Problems) != 0 {
		t.Errorf("lossy.kmon: got %+v", lossy)
	}
	if running.Final != nil || running.DurationNs != 6e9 || len(running.Problems) != 1 || running.Problems[0].Damage || !running.Recorder.Known {
		t.Errorf("running.kmon.part: got %+v", running)
	}
	if flipped.Rows["exchanges"] != 0 || len(flipped.Problems) != 1 || !flipped.Problems[0].Damage || flipped.Problems[0].Mend == "" {
		t.Errorf("flipped.kmon: got %+v", flipped)
	}
}

// A repaired capture keeps saying that its recording did not end in order, and
// nothing about losses that it cannot know.
func TestInfoOfRepaired(t *testing.T) {
	t.Chdir(writeSamples(t))
	if _, stderr, code := kmon("repair", "running.kmon.part", "-o", "mended.kmon"); code != codeOK {
		t.Fatalf("got exit code %d and stderr %q", code, stderr)
	}
	stdout, _, _ := kmon("info", "mended.kmon")
	for _, want := range []string{"6.00 s, did not end in order and was repaired", "no loss stands in what is left", "30.0 ms of CPU", "nothing is damaged"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got:\n%s\nwant in it: %s", stdout, want)
		}
	}
}

// A clock that was set while recording is told, one that NTP slews is not.
func TestInfoOfMovedClocks(t *testing.T) {
	const second = int64(1e9)
	for _, test := range []struct {
		name    string
		movedNs int64
		want    string // "": no line
	}{
		{"slewed", second / 1000, ""},
		{"set forward", 3600 * second, "clock      moved by 60 min 0 s while recording"},
		{"set back", -3600 * second, "clock      moved by -60 min 0 s while recording"},
	} {
		in := info{File: "x.kmon", Manifest: format.Manifest{Clock: format.ClockPair{MonotonicNs: second, RealtimeNs: 9 * second}}}
		for ns := range int64(5) {
			s := format.Self{TsNs: (1 + ns) * second, RealtimeNs: (9 + ns) * second}
			if ns == 3 { // and back again
				s.RealtimeNs += test.movedNs
			}
			in.see(s)
		}
		var text strings.Builder
		check(t, in.write(&text, palette(false)))
		if told := strings.Contains(text.String(), "clock "); told != (test.want != "") || !strings.Contains(text.String(), test.want) {
			t.Errorf("%s: want %q, got\n%s", test.name, test.want, &text)
		}
	}
}
