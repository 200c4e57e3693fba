package record

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"kmon/format"
	"kmon/record/trigger"
)

const (
	// MinRing is the least Options.Ring: a tenth of it is a part.
	MinRing = 10 * time.Second
	// MinRingBytes is the least Options.MaxSizeBytes of a ring.
	MinRingBytes = 32 << 20
	// DefaultRingBytes is what a ring and the dump that is written take at most,
	// unless told otherwise.
	DefaultRingBytes = 1 << 30

	// ringParts is how many parts a ring has, the open one among them or not.
	ringParts = 10
	// A ring has ringShare fifths of its bytes and so has a dump of it. The rest is
	// for what is recorded while the dump is written: parts that are removed
	// meanwhile still take room.
	ringShare = 2

	// triggerTail is how long recording goes on after a trigger before the dump:
	// what follows tells as much as what came before.
	triggerTail = 5 * time.Second
	// minTriggerRest is the least time for which a trigger rests after it fired; else
	// that is the ring's length, so that the dumps of a lasting trouble follow each
	// other.
	minTriggerRest = time.Minute
)

// ring keeps the last minutes of a recording as parts of it, and writes them out
// as dumps.
type ring struct {
	dir    *ringDir
	length time.Duration
	watch  *trigger.Watch

	asked  []dumpRequester // that wait for the next dump
	due    time.Time       // when triggers are followed by a dump; zero: none fired
	fired  []string        // what they said
	dump   *dump           // that is being written; nil: none
	warned bool            // of services that are not watched

	dumps       int    // written
	latest      string // path of the last one
	latestBytes int64
	latestRows  map[string]int64

	refused string // why the latest dump was not written
	over    bool   // the last part is complete: no mark can be made
	stays   bool   // the parts are not removed at the end
}

// divided are the options of the parts that the recording is made of: with a
// ring those of its parts.
func (o Options) divided() Options {
	if o.Ring == 0 {
		return o
	}
	bytes := o.ringBytes() / 5 * ringShare
	o.MaxSizeBytes = bytes
	o.Rotate = Rotation{Every: max(o.Ring/ringParts, MinRotateEvery), SizeBytes: bytes / ringParts}
	return o
}

func (o Options) ringBytes() int64 {
	if o.MaxSizeBytes == 0 {
		return DefaultRingBytes
	}
	return o.MaxSizeBytes
}

// triggerRest is how long a trigger rests.
func (o Options) triggerRest() time.Duration { return max(o.Ring, minTriggerRest) }

// checkRing finds what cannot be.
func (r *recorder) checkRing() error {
	o := r.options
	switch {
	case o.Ring == 0 && len(o.Triggers) > 0:
		return errors.New("triggers need a ring, for there is nothing else to write out")
	case o.Ring == 0:
		return nil
	case o.Ring < MinRing && !o.shortRing:
		return fmt.Errorf("a ring of %s is too short, it is at least %s", o.Ring, MinRing)
	case o.MaxSizeBytes != 0 && o.MaxSizeBytes < MinRingBytes:
		return fmt.Errorf("%d bytes are too few for a ring and its dump, they have at least %s", o.MaxSizeBytes, mib(MinRingBytes))
	case o.Rotate != Rotation{}:
		return errors.New("a ring has parts of its own, and cannot be rotated as well")
	}
	for _, c := range o.Triggers {
		if needs := c.Collector(); needs != "" && !slices.Contains(r.running, needs) {
			return fmt.Errorf("trigger %s needs collector %s, which does not run (-e)", c, needs)
		}
	}
	root := o.pressure
	if root == nil {
		root = os.DirFS("/")
	}
	watch, err := trigger.New(o.Triggers, o.triggerRest(), root)
	if err != nil {
		return err
	}
	r.ring = &ring{length: o.Ring, watch: watch}
	return nil
}

// beginRing makes the ring's directory and gives the path that its parts are
// named after; without a ring that is path.
func (r *recorder) beginRing(path string) (string, error) {
	if r.ring == nil {
		return path, nil
	}
	dir, aside, err := openRingDir(path, r.began)
	if err != nil {
		return "", err
	}
	r.ring.dir = dir
	if aside != "" {
		r.notice("a recorder was killed here; the parts that it left are in " + aside)
	}
	return dir.output(), nil
}

// abandonRing takes the directory back when the recording does not begin.
func (r *recorder) abandonRing() error {
	if r.ring == nil || r.ring.dir == nil {
		return nil
	}
	return r.ring.dir.removeAll()
}

// notice tells whoever watches what happens to the ring, a sentence.
func (r *recorder) notice(text string) {
	select {
	case r.options.Notices <- text:
	default: // also when nobody watches
	}
}

// turnRing does what is due of the ring, often.
func (r *recorder) turnRing() error {
	g := r.ring
	if g == nil {
		return nil
	}
	r.takeDumpSignals()
	if !g.due.IsZero() && !time.Now().Before(g.due) {
		r.askForDump(dumpRequester{why: "trigger: " + strings.Join(g.fired, "; ")})
		g.due, g.fired = time.Time{}, nil
	}
	switch {
	case g.dump != nil:
		return r.followDump()
	case len(g.asked) > 0 && r.mayTurn():
		return r.beginDump()
	}
	return nil
}

// takeDumpSignals takes requests of Options.Dumps.
func (r *recorder) takeDumpSignals() {
	for {
		select {
		case who, open := <-r.options.Dumps:
			if !open {
				r.options.Dumps = nil
				return
			}
			r.askForDump(dumpRequester{why: who})
		default:
			return
		}
	}
}

// tickRing holds the triggers against the last second, and tells those who wait
// how far their dump is.
func (r *recorder) tickRing(nowNs int64) error {
	g := r.ring
	if g == nil {
		return nil
	}
	var errs []error
	for _, f := range g.watch.Evaluate(nowNs) {
		text := f.String()
		errs = append(errs, r.mark(nowNs, "trigger", text))
		r.notice("trigger: " + text)
		if g.due.IsZero() {
			g.due = time.Now().Add(cmp.Or(r.options.triggerTail, triggerTail))
		}
		g.fired = append(g.fired, text)
	}
	if !g.warned && g.watch.Crowded() {
		g.warned = true
		errs = append(errs, r.mark(nowNs, "warning", "some services are not held against the triggers: too many are busy at once; name those that matter"))
	}
	r.tellDumpWaiters()
	return errors.Join(errs...)
}

// warnOfStrangers marks triggers for services that no process belongs to yet: a
// name may be mistyped.
func (r *recorder) warnOfStrangers(nowNs int64, known []format.Process) error {
	if r.ring == nil {
		return nil
	}
	names := map[string]bool{}
	for i := range known {
		names[known[i].Service] = true
	}
	var errs []error
	for _, c := range r.options.Triggers {
		if name := c.Service(); name != "" && !names[name] {
			text := fmt.Sprintf("trigger %s: no process belongs to service %s yet", c, name)
			r.notice(text)
			errs = append(errs, r.mark(nowNs, "warning", text))
		}
	}
	return errors.Join(errs...)
}

// watching is what triggers hold; nil: there are none.
func (r *recorder) watching() *trigger.Watch {
	if r.ring == nil {
		return nil
	}
	return r.ring.watch
}

// kept is how much of the recording the ring has at a time, at most its length.
func (r *recorder) kept(nowNs int64) time.Duration {
	return min(r.ring.length, time.Duration(nowNs-r.parts.startNs()))
}
