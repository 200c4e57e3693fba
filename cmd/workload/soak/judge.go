package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// judge says what was found, and gives an error for each thing that is not as
// it must be.
func (s *soak) judge(out io.Writer) error {
	p, r := &s.parts, &s.recorder
	fmt.Fprintf(out, "%d parts, %d runs of loads, %d edits of the configuration, of which %d are in the capture\n",
		len(p.counted), s.loads.runs, r.edits, p.versions)
	fmt.Fprintf(out, "the recorder said: %s", r.said.String())
	return errors.Join(
		compare(out, "requests asked", s.loads.truth.asked, p.rows.asked, p.lost["exchanges"]+p.lost["sockets"]),
		compare(out, "requests served", s.loads.truth.served, p.rows.served, p.lost["exchanges"]+p.lost["sockets"]),
		compare(out, "reads of the disk", s.loads.truth.ios, p.rows.ios, p.lost["ios"]),
		r.judge(out))
}

// compare holds the rows of the loads' processes against what these counted:
// none too many, and none missing that was not counted as lost.
func compare(out io.Writer, what string, truth, rows map[int32]int64, lost int64) error {
	var all, missing, extra int64
	var where []string
	for _, pid := range slices.Sorted(maps.Keys(truth)) {
		n := truth[pid]
		all += n
		switch d := n - rows[pid]; {
		case d > 0:
			missing += d
		case d < 0:
			extra -= d
		default:
			continue
		}
		where = append(where, fmt.Sprintf("%d of %d by process %d", rows[pid], n, pid))
	}
	fmt.Fprintf(out, "%s: %d, missing %d, too many %d, counted as lost %d\n", what, all, missing, extra, lost)
	if all == 0 || extra > 0 || missing > lost {
		return fmt.Errorf("%s: the recording is not what the loads counted: it has %s", what, strings.Join(where[:min(len(where), 8)], ", "))
	}
	return nil
}

// judge compares the recorder's last quarter with its second: the first is the
// beginning, when caches fill.
func (r *recorder) judge(out io.Writer) error {
	n := len(r.looks) / 4
	if n == 0 {
		return errors.New("too short to see whether memory grows")
	}
	resident := func(l look) int64 { return l.residentBytes }
	files := func(l look) int64 { return int64(l.files) }
	early, late := median(r.looks[n:2*n], resident), median(r.looks[3*n:], resident)
	most := slices.MaxFunc(r.looks, func(a, b look) int { return int(a.residentBytes - b.residentBytes) })
	earlyFiles, lateFiles := median(r.looks[n:2*n], files), median(r.looks[3*n:], files)
	fmt.Fprintf(out, "memory: %.1f MiB in the second quarter, %.1f in the last, at most %.1f; open files: %d, %d\n",
		mib(early), mib(late), mib(most.residentBytes), earlyFiles, lateFiles)
	var errs []error
	if late > early+early/10 {
		errs = append(errs, errors.New("the recorder's memory grows"))
	}
	if lateFiles > earlyFiles+2 { // a part that is being closed has two
		errs = append(errs, errors.New("the recorder opens files and does not close them"))
	}
	return errors.Join(errs...)
}

func median(looks []look, of func(look) int64) int64 {
	var all []int64
	for _, l := range looks {
		all = append(all, of(l))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
