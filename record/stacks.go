package record

import (
	"cmp"
	"errors"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"kmon/format"
	"kmon/record/hostfs"
	"kmon/record/probe"
	"kmon/record/symbol"
)

// namesWait is how long the end of a recording waits for names: a file system
// that does not answer must not keep the capture open.
const namesWait = 10 * time.Second

// allNamesEvery is how often the kernel's stacks are named: a pass over its
// symbols takes 55 ms of a CPU, and its functions don't go away meanwhile.
const allNamesEvery = 15 * time.Second

// stackNamer has stacks named in a goroutine of its own, since that reads
// files of others. Its rows reach the capture after those that refer to them.
type stackNamer struct {
	symbols *symbol.Resolver
	due     chan naming
	named   chan namedStacks // of the capture that is written
	waiting bool             // a naming has not answered yet
	nextNs  int64            // when all stacks are due next
	dropped int64            // stacks already counted as lost
	mntnsID int64            // in which the files are that are read; 0: not known, or nobody's
}

// naming is what is to be named, and for whom.
type naming struct {
	stacks symbol.Unnamed
	tsNs   int64 // the time the rows are to bear
	to     chan<- namedStacks
}

// maxNamings is how many may wait: what was asked for by this capture, and by the
// one before at its end.
const maxNamings = 4

// stacksWithoutNames is the mark of a capture that did not get its last names.
const stacksWithoutNames = "the last stacks have no frames: reading the files of their programs took too long"

// namedStacks is one delivery.
type namedStacks struct {
	stacks []format.Stack
	frames []format.Frame
}

func newStackNamer(root hostfs.Root) stackNamer {
	return stackNamer{
		symbols: symbol.New(symbol.Options{Proc: cmp.Or(root.Proc, noProc), Root: root.Dir, Kallsyms: "/proc/kallsyms"}), mntnsID: mntnsOf(root),
		due: make(chan naming, maxNamings), named: newNamed(),
	}
}

// newNamed has room for all that a capture asks for at a time, so that nobody
// waits for one that has given up.
func newNamed() chan namedStacks { return make(chan namedStacks, 2) }

// nameStacksDue names what is due until that is closed.
func nameStacksDue(symbols *symbol.Resolver, due <-chan naming) {
	for d := range due {
		var n namedStacks
		n.stacks, n.frames = symbols.Name(d.stacks, d.tsNs)
		d.to <- n
	}
}

// ask has stacks named for the capture that is written; false: too many wait.
func (n *stackNamer) ask(stacks symbol.Unnamed, nowNs int64) bool {
	select {
	case n.due <- naming{stacks, nowNs, n.named}:
		return true
	default:
		return false
	}
}

// turn has all stacks so far named, and those from now on for another capture.
// It returns where the names come, and in how many deliveries.
func (n *stackNamer) turn(nowNs int64) (named <-chan namedStacks, deliveries int) {
	if n.waiting {
		deliveries++
	}
	if n.ask(n.symbols.TakeLast(), nowNs) {
		deliveries++
	}
	named = n.named
	n.named, n.waiting = newNamed(), false
	return named, deliveries
}

// nameStacks writes what was named and has the new named: once a second those
// of processes, all every allNamesEvery.
func (r *recorder) nameStacks(nowNs int64) error {
	n := &r.stacks
	select {
	case named := <-n.named:
		n.waiting = false
		if err := appendStacks(r.writer, named); err != nil {
			return err
		}
	default:
	}
	if n.waiting || len(n.due) > 0 { // it is behind
		return nil
	}
	all := nowNs >= n.nextNs
	if all {
		n.nextNs = nowNs + allNamesEvery.Nanoseconds()
	}
	n.waiting = n.ask(n.symbols.Take(all), nowNs)
	return nil
}

// nameLastStacks writes the rows of all stacks that are left and ends the
// goroutine. Nothing takes a stack any more.
func (r *recorder) nameLastStacks(nowNs int64) error {
	n := &r.stacks
	defer close(n.due)
	deadline := time.After(namesWait)
	for last := false; ; {
		if !n.waiting {
			if last {
				return nil
			}
			last, n.waiting = true, n.ask(n.symbols.Take(true), nowNs)
		}
		select {
		case named := <-n.named:
			n.waiting = false
			if err := appendStacks(r.writer, named); err != nil {
				return err
			}
		case <-deadline:
			return r.mark(nowNs, "warning", stacksWithoutNames)
		}
	}
}

func appendStacks(w *format.Writer, named namedStacks) error {
	return errors.Join(format.Append(w, named.frames...), format.Append(w, named.stacks...))
}

// lost is how many stacks found no room since the last time.
func (n *stackNamer) lost() []probe.Lost {
	dropped := n.symbols.Dropped()
	count := dropped - n.dropped
	if n.dropped = dropped; count == 0 {
		return nil
	}
	return []probe.Lost{{Collector: "cpu", Table: "stacks", Cause: format.LossStateFull, Count: count}}
}

// tellEvents says which programs were executed. The path of one in a
// container leads to another file here, or to none; a container shows by its
// pid namespace until the Provider knows more.
func (n *stackNamer) tellEvents(procs []format.Proc) {
	if n.mntnsID == 0 {
		return
	}
	for _, p := range procs {
		if p.Event == format.ProcExec && p.Exe != "" && p.PidnsPID == p.PID {
			n.symbols.Executed(p.PID, p.Exe)
		}
	}
}

// tellProcesses does the same for processes that the Provider saw alive.
func (n *stackNamer) tellProcesses(processes []format.Process) {
	for _, p := range processes {
		switch p.MntnsID {
		case 0: // not known
		case n.mntnsID:
			n.symbols.Executed(p.PID, p.Exe)
		default:
			n.symbols.Executed(p.PID, "")
		}
	}
}

// noProc stands for the proc of the host where none is within reach.
const noProc = "/proc/self/task/none"

// mntnsOf is the mount namespace whose files lie below root.
func mntnsOf(root hostfs.Root) int64 {
	first := "self" // which shares it
	if !root.Here() {
		first = "1"
	}
	var st unix.Stat_t
	if err := unix.Stat(path.Join(root.Proc, first, "ns/mnt"), &st); err != nil || !root.Files {
		return 0
	}
	return int64(st.Ino)
}
