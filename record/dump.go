package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kmon/format"
	"kmon/record/provider"
)

const (
	// dumpNice is how far the writing of a dump comes behind other threads.
	dumpNice = 10
	// dumpTries bounds how often a dump begins anew because its oldest part was
	// removed meanwhile.
	dumpTries = 3
	// maxDumpRequesters bounds those who wait for the next dump; all share it.
	maxDumpRequesters = 64
)

// dumpRequester is somebody who wants a dump.
type dumpRequester struct {
	why string        // for its mark
	to  *net.UnixAddr // who waits for the answer; nil: nobody
}

// dump is a dump that is being written.
type dump struct {
	asked   []dumpRequester
	path    string
	text    string // how much it holds, once its parts are complete
	last    int    // the last of its parts
	nowNs   int64  // when it was begun
	sinceNs int64
	ended   string // why its recording ended; "": with its last part
	bytes   int64  // of its parts, once they are complete
	tries   int
	done    chan joinResult // nil: its last part is not complete
}

type joinResult struct {
	report format.Report
	err    error
}

// askForDump notes that somebody wants a dump.
func (r *recorder) askForDump(who dumpRequester) {
	g := r.ring
	if len(g.asked) >= maxDumpRequesters {
		r.answer(who.to, "too many wait for a dump already")
		return
	}
	g.asked = append(g.asked, who)
}

// askedForDump takes what kmon dump has sent.
func (r *recorder) askedForDump(m receivedMark) {
	if r.ring == nil {
		r.answer(m.from, noRing+": all of it goes to "+absolute(r.path)+"; kmon record --ring 10m keeps one")
		return
	}
	why := m.by
	if m.text != "" && checkMark(m.text) == nil {
		why += ", " + m.text
	}
	r.askForDump(dumpRequester{why, m.from})
	r.answer(m.from, dumpWait+"the recorder has been asked")
}

// newDump is the dump of now for all who wait.
func (r *recorder) newDump(nowNs int64, last int) *dump {
	g := r.ring
	d := &dump{asked: g.asked, path: g.dir.nextDump(time.Now()), last: last, nowNs: nowNs, sinceNs: nowNs - g.length.Nanoseconds(), ended: "dump"}
	g.asked = nil
	return d
}

// tellLength notes how much of the recording a dump holds that begins with the
// oldest part there is.
func (r *recorder) tellLength(d *dump) {
	kept := r.kept(d.nowNs)
	d.text = fmt.Sprintf("the last %s", kept.Round(100*time.Millisecond))
	if kept < r.ring.length && r.parts.removed > 0 {
		d.text += fmt.Sprintf(" of %s, for the ring has at most %s (--max-size)", r.ring.length, mib(r.parts.totalBytes))
	}
}

// why is who asked for the dump, and what for.
func (d *dump) why() string {
	var all []string
	for _, who := range d.asked {
		all = append(all, who.why)
	}
	return strings.Join(all, "; ")
}

// beginDump closes the open part, which is the dump's last.
func (r *recorder) beginDump() error {
	now := provider.Clock().MonotonicNs
	d := r.newDump(now, r.parts.current.number)
	if why := r.noRoomForDump(); why != "" {
		return r.refuseDump(d, why)
	}
	r.ring.dump, r.parts.wanted, r.parts.pinnedNs = d, true, d.sinceNs
	return nil
}

// noRoomForDump says why there is no room on the disk for another dump; "": there
// is.
func (r *recorder) noRoomForDump() string {
	b, most := &r.bounds, r.size()
	free, _ := space(b.dir)
	if free < 0 || free-most-endBytes(b.minFree) >= b.minFree {
		return ""
	}
	return fmt.Sprintf("it may need %s, %s are free in %s, and %s are to stay free (--min-free)", mib(most), mib(free), b.dir, mib(b.minFree))
}

// refuseDump tells that no dump was written. The recording goes on.
func (r *recorder) refuseDump(d *dump, why string) error {
	text := fmt.Sprintf("no dump was written (%s): %s", d.why(), why)
	r.ring.refused = text
	for _, who := range d.asked {
		r.answer(who.to, why)
	}
	if r.ring.over { // the Result says it
		return nil
	}
	r.notice(text)
	return r.mark(provider.Clock().MonotonicNs, "warning", text)
}

// followDump brings the dump that is being written a step further.
func (r *recorder) followDump() error {
	d := r.ring.dump
	if d.done == nil {
		if r.parts.current.number > d.last && r.parts.ending == nil {
			r.joinDump(d)
		}
		return nil
	}
	select {
	case j := <-d.done:
		return r.endDump(d, j)
	default:
		return nil
	}
}

// joinDump has the parts of the dump put together in the background, and more that
// are not in the list of complete ones.
func (r *recorder) joinDump(d *dump, more ...string) {
	var paths []string
	d.bytes = 0
	for _, f := range r.parts.complete {
		if f.number <= d.last && f.endNs >= d.sinceNs {
			paths = append(paths, r.parts.path(f.number))
			d.bytes += f.bytes
		}
	}
	paths = append(paths, more...)
	r.tellLength(d)
	mark := format.Mark{TsNs: d.nowNs, Kind: "dump", Text: d.text + ": " + d.why()}
	d.tries++
	d.done = make(chan joinResult, 1)
	o := format.JoinOptions{SinceNs: d.sinceNs, StopReason: d.ended, Marks: []format.Mark{mark}, From: r.parts.dir, Into: r.ring.dir.above}
	go func(done chan<- joinResult) {
		behindOthers()
		report, err := format.Join(context.Background(), d.path, paths, o)
		done <- joinResult{report, err}
	}(d.done)
}

// behindOthers lets the thread of this goroutine, which ends with it, come behind
// those of other programs.
func behindOthers() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), dumpNice) // else it is as fast as others
}

// endDump tells what has become of a dump.
func (r *recorder) endDump(d *dump, j joinResult) error {
	g := r.ring
	if errors.Is(j.err, fs.ErrNotExist) && d.tries < dumpTries { // a part was removed before it was opened
		r.joinDump(d)
		return nil
	}
	g.dump, r.parts.pinnedNs = nil, 0
	if j.err != nil {
		return r.refuseDump(d, j.err.Error())
	}
	g.dumps, g.latest, g.latestBytes, g.latestRows = g.dumps+1, d.path, j.report.Size, j.report.Rows
	text := d.text + ", " + mib(j.report.Size)
	wrote := fmt.Sprintf("wrote %s: %s (%s)", d.path, text, d.why())
	r.notice(wrote)
	for _, who := range d.asked {
		r.answer(who.to, markAccepted+absolute(d.path)+"\n"+text)
	}
	if g.over {
		return nil
	}
	return r.mark(provider.Clock().MonotonicNs, "dump", wrote) // for later dumps
}

// tellDumpWaiters says to those who wait how far it is.
func (r *recorder) tellDumpWaiters() {
	text := "closing the open part"
	if d := r.ring.dump; d != nil {
		if info, err := r.ring.dir.above.Stat(filepath.Base(d.path) + partSuffix); err == nil {
			text = fmt.Sprintf("writing %s, %s of %s", d.path, mib(info.Size()), mib(d.bytes))
		}
		for _, who := range d.asked {
			r.answer(who.to, dumpWait+text)
		}
		text = "waiting for the dump before"
	}
	for _, who := range r.ring.asked {
		r.answer(who.to, dumpWait+text)
	}
}

// waitForDump waits for the dump that is being written, if one is. more is a part
// that is not in the list of complete ones.
func (r *recorder) waitForDump(more ...string) error {
	if r.ring == nil {
		return nil
	}
	var errs []error
	tell := time.NewTicker(time.Second)
	defer tell.Stop()
	for r.ring.dump != nil {
		d := r.ring.dump
		if d.done == nil {
			r.joinDump(d, more...)
		}
		select {
		case j := <-d.done:
			errs = append(errs, r.endDump(d, j))
		case <-tell.C:
			r.tellDumpWaiters()
		}
	}
	return errors.Join(errs...)
}

// beginLastDump prepares the dump with which the recording ends, if there is to be
// one: it can be written once the last part is complete.
func (r *recorder) beginLastDump(nowNs int64) error {
	g := r.ring
	if g == nil {
		return nil
	}
	if d := g.dump; d != nil && r.parts.current.number == d.last { // the recording ends with its last part
		g.asked, g.dump = append(d.asked, g.asked...), nil
	}
	if err := r.waitForDump(); err != nil {
		return err
	}
	g.refused = ""
	if !g.due.IsZero() {
		g.asked = append(g.asked, dumpRequester{why: "trigger: " + strings.Join(g.fired, "; ")})
	}
	if !r.options.NoLastDump {
		g.asked = append(g.asked, dumpRequester{why: "the recording ended"})
	}
	if len(g.asked) == 0 {
		return nil
	}
	d := r.newDump(nowNs, r.parts.current.number)
	if why := r.noRoomForDump(); why != "" {
		g.stays = true
		return r.refuseDump(d, why)
	}
	d.ended, g.dump = "", d
	return nil
}

// endRing writes the last dump and removes the ring; where the dump cannot be
// written the parts stay. failed is what ended the recording, if something did.
func (r *recorder) endRing(result *Result, failed error) error {
	g := r.ring
	if g == nil {
		return nil
	}
	if g.dump != nil && failed != nil {
		for _, who := range g.dump.asked {
			r.answer(who.to, "the recording failed; what it kept is in "+absolute(g.dir.path()))
		}
		g.dump = nil
	}
	g.over = true
	before, wanted := g.dumps, g.dump != nil
	err := errors.Join(r.waitForDump(r.writer.Path()), r.closeMarks())
	g.stays = g.stays || failed != nil || wanted && g.dumps == before
	result.Parts, result.Path, result.SizeBytes = nil, g.latest, g.latestBytes
	result.Ring = &Ring{Dumps: g.dumps}
	if g.dumps > before {
		result.Rows = g.latestRows
	}
	if g.stays {
		if g.refused != "" {
			result.Warnings = append(result.Warnings, g.refused)
		}
		result.Ring.Left = g.dir.path()
		return errors.Join(err, g.dir.close())
	}
	return errors.Join(err, g.dir.removeAll())
}
