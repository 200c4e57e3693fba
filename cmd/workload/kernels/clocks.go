package main

import (
	"fmt"
	"regexp"
	"time"

	"kmon/format"
)

// What a guest does to its clocks.
const (
	deedSetClock = "set-clock"
	deedSuspend  = "suspend"
)

// markedAgo is how long after it happened a mark may come: some ticks of a
// busy recorder.
const markedAgo = int64(5 * time.Second)

// checkClocks holds that whatever was done to the clocks is marked, with how
// much and when, and that no duration holds any of it.
func checkClocks(r *result, capture *format.Capture, truths []truth) error {
	marks, err := format.All[format.Mark](capture)
	if err != nil {
		return err
	}
	var got []string
	for _, m := range marks {
		if m.Kind == "clock" || m.Kind == "suspend" {
			got = append(got, m.Kind)
		}
	}
	var want []string
	for _, truth := range truths {
		kind, ns := "", int64(0)
		switch truth.load[0] {
		case deedSetClock:
			kind, ns = "clock", truth.Clock.SetNs
		case deedSuspend:
			kind, ns = "suspend", truth.Clock.SuspendedNs
		default:
			continue
		}
		want = append(want, kind)
		if !marked(marks, kind, ns, truth.Clock) {
			r.fail(fmt.Errorf("no mark of %v by %v: there are %+v", truth.load, time.Duration(ns), marks))
		}
	}
	r.expect("marks of clocks", fmt.Sprint(got), fmt.Sprint(want))
	return checkDurations(r, capture, truths)
}

var markedDuration = regexp.MustCompile(` (?:forward|back|suspended)(?: by| for) ([0-9hms.]+):`)

// marked says whether there is a mark of this deed.
func marked(marks []format.Mark, kind string, ns int64, did clock) bool {
	for _, m := range marks {
		if m.Kind != kind || m.TsNs < did.BeganNs || m.TsNs > did.EndedNs+markedAgo {
			continue
		}
		if match := markedDuration.FindStringSubmatch(m.Text); match != nil {
			d, err := time.ParseDuration(match[1])
			off := d.Nanoseconds() - max(ns, -ns)
			return err == nil && max(off, -off) < int64(100*time.Millisecond)
		}
	}
	return false
}

// checkDurations holds that the exchanges of the capture lie within it and took
// no longer.
func checkDurations(r *result, capture *format.Capture, truths []truth) error {
	exchanges, err := format.All[format.Exchange](capture)
	if err != nil || capture.Final == nil {
		return err
	}
	from, to := capture.Manifest.Clock.MonotonicNs, capture.Final.EndNs
	for _, truth := range truths {
		if did := truth.Clock; did.EndedNs != 0 && (did.BeganNs < from || did.EndedNs > to) {
			r.fail(fmt.Errorf("%v was done from %d to %d, and the capture is from %d to %d", truth.load, did.BeganNs, did.EndedNs, from, to))
		}
	}
	for _, e := range exchanges {
		if end := e.StartNs + e.UploadNs + e.ServerNs + e.DownloadNs; e.StartNs < from || end > to || end < e.StartNs {
			r.fail(fmt.Errorf("an exchange from %d to %d in a capture from %d to %d", e.StartNs, end, from, to))
			return nil
		}
	}
	return nil
}
