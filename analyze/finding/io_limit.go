package finding

import (
	"fmt"

	"kmon/analyze/stat"
)

// findIOLimit finds disks whose IO a limit holds back, not the disk. From table
// limits, in a window:
//
//	time at a limit / window ≥ min_limited_share
//
// The kernel holds such IO back before it asks the disk for it, so that no time of
// the disk shows it: its users wait, and the disk idles.
//
// Without the table, IOs that wait in the kernel's queue for a device that is not
// busy say so, with less certainty. A device that is busy is full, which is no limit
// and no fault:
//
//	queue p50 / device p50 ≥ min_queue_ratio, queue p50 ≥ min_queue_ns
//	busy ≤ max_busy
//	and over these windows IOs a second vary by max_rate_spread at most, and
//	device time is at most max_device_ratio times that of the others
func findIOLimit(s *search) {
	views := s.diskViews(s.in)
	for i := range views {
		v := &views[i]
		if !s.judgeDisk(IOLimit, v) {
			continue
		}
		hold, limited := make([]bool, len(v.ok)), blank(len(v.ok))
		known := false
		for k := range hold {
			if ns := v.Windows[k].LimitedNs; v.ok[k] && ns != NotRecorded {
				known, limited[k] = true, float64(ns)/float64(s.in.WindowNs)
				hold[k] = limited[k] >= s.rules.of(IOLimit, "min_limited_share")
			}
		}
		if !known {
			s.checks[IOLimit].NotRecorded = "limits"
			s.queueLimit(v)
			continue
		}
		if run, ok := longest(hold, int(s.rules.of(IOLimit, "min_windows"))); ok {
			s.limitFinding(v, run, limited)
		}
	}
}

func (s *search) limitFinding(v *diskView, run span, limited series) {
	f, who := s.ioLimitFinding(v, run)
	asked := "is asked"
	if who != "" {
		asked = who + " asks"
	}
	f.Title = fmt.Sprintf("a cgroup's IO limit holds back what %s of %s, %s of the time", asked, f.Subject.Name, share(limited.over(run)))
	f.Evidence = append([]Evidence{
		fact("limited_share", limited.over(run), "cgroups with a limit on this disk were at it for %s of the time", share(limited.over(run))).held(s.rules.of(IOLimit, "min_limited_share"), nan),
	}, f.Evidence...)
	f.Confidence = min(0.7+0.1*float64(len(f.Evidence)-1), 0.95)
	f.Alternative = "the limit is as meant, and its user asks for more than it was given"
	f.NextStep = "io.max of the cgroups of its users (blkio.throttle.* with cgroup v1), table limits of the capture (`kmon print CAPTURE limits`), and disks in the report"
	s.add(f)
}

// queueLimit judges by queues.
func (s *search) queueLimit(v *diskView) {
	of := func(name string) float64 { return s.rules.of(IOLimit, name) }
	hold, ratios := make([]bool, len(v.ok)), blank(len(v.ok))
	full := false
	for i := range hold {
		if !(v.ios[i] >= of("min_samples")) || !(v.device[i] > 0) {
			continue
		}
		ratios[i] = v.queue[i] / v.device[i]
		waits := ratios[i] >= of("min_queue_ratio") && v.queue[i] >= of("min_queue_ns")
		hold[i] = waits && v.busy[i] <= of("max_busy")
		full = full || waits && !hold[i]
	}
	run, ok := longest(hold, int(of("min_windows")))
	if !ok {
		if full {
			s.checks[IOLimit].Rejected++
		}
		return
	}
	rate := referenceOf("", v.rate[run.first:run.last+1])
	others := blank(len(v.ok))
	for i := range others {
		if !hold[i] {
			others[i] = v.device[i]
		}
	}
	device := v.device.over(run)
	if usual := stat.Median(others.known()); rate.MAD > of("max_rate_spread")*rate.Median || usual > 0 && device > of("max_device_ratio")*usual {
		s.checks[IOLimit].Rejected++
		return
	}
	f, _ := s.ioLimitFinding(v, run)
	f.Severity = Info
	f.Title = fmt.Sprintf("IOs wait %.0f times as long for %s as they take in it, though it is not busy", ratios.over(run), f.Subject.Name)
	f.Evidence = append([]Evidence{
		fact("queue_ratio", ratios.over(run), "IOs wait %s before the device has them, which takes %s", timeText(v.queue.over(run)), timeText(device)).held(of("min_queue_ratio"), nan),
		fact("device_busy", v.busy.over(run), "the device is busy %s of the time", share(v.busy.over(run))).held(of("max_busy"), nan),
		fact("ios_per_s", rate.Median, "it does %.4g IOs a second, in each window", rate.Median),
	}, f.Evidence...)
	f.CounterEvidence = append(f.CounterEvidence, fact("limits", NotRecorded, "limits of cgroups were not recorded: whether there is one is not known"))
	f.Confidence = 0.3
	f.Alternative = "the IO scheduler or its settings hold IO back (bfq, kyber, io.latency, io.cost), or the kernel was short of CPU"
	f.NextStep = "io.max, io.latency and io.weight of the cgroups of its users, /sys/block/" + v.Name + "/queue/scheduler on " + v.host
	s.add(f)
}

// ioLimitFinding is what both have: the disk, and the instance that waits most for
// it, if one waits long.
func (s *search) ioLimitFinding(v *diskView, run span) (f Finding, who string) {
	f = s.finding(IOLimit, Subject{Type: "disk", Name: v.name(s), Host: v.host}, run)
	f.Severity, f.Reference, f.Coverage = Info, "none: thresholds alone", v.within(run)
	if q, d := v.queue.over(run), v.device.over(run); d > 0 {
		f.Evidence = append(f.Evidence, fact("device_p50_ns", d, "the device takes %s for an IO, after %s in the kernel's queue", timeText(d), timeText(q)))
	}
	waits := map[int]float64{} // seconds a second that users waited for disks
	for i := run.first; i <= run.last; i++ {
		for _, u := range v.Windows[i].Users {
			if u.Instance >= 0 && u.Instance < len(s.in.Instances) && s.in.Nodes[v.Node].Windows[i].Coverage.OffCPU > 0 {
				w := s.in.Instances[u.Instance].Windows[i].Waits.Disk.TotalNs
				waits[u.Instance] += float64(max(w, 0)) / float64(s.in.WindowNs) / float64(run.last+1-run.first)
			}
		}
	}
	most := -1
	for i := range s.in.Instances {
		if waits[i] > 0 && (most < 0 || waits[i] > waits[most]) {
			most = i
		}
	}
	if most >= 0 && waits[most] >= s.rules.of(IOLimit, "min_disk_wait") {
		f.Severity, who = Warning, instanceName(&s.in.Instances[most])
		f.Evidence = append(f.Evidence, fact("disk_wait_s_per_s", waits[most], "threads of %s wait %.2f s each second for disks", who, waits[most]).held(s.rules.of(IOLimit, "min_disk_wait"), nan))
	}
	return f, who
}
