package probe

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"kmon/bpf"
	"kmon/format"
)

// Part is a part of a recording that can be left out while it runs, so that it
// costs less.
type Part int

// The parts, in the order in which they are left out.
const (
	PartUserStacks Part = iota // of waits and samples
	PartOffCPU                 // waits with their stacks, and who woke whom; the sums of threads stay
	PartOnCPU                  // samples
	PartSyscalls               // all that collector syscall counts
	PartBlock                  // IOs
	PartTCP                    // exchanges of some of the connections
	Parts                      // how many there are
)

// MaxTCPSampling is the largest Shed.TCPSampling: of 64 connections one is
// recorded.
const MaxTCPSampling = 6

// Shed says what is left out.
type Shed struct {
	Parts [PartTCP]bool
	// TCPSampling has the exchanges of one in 2^TCPSampling connections
	// recorded, the same at both ends; 0: of all.
	TCPSampling int
}

// shedState is what a Session leaves out, and what it has detached for that.
type shedState struct {
	now Shed
	// left is what was left out since Losses was called last.
	left Shed
}

// Uncounted is the Count of what was lost while nothing counted it.
const Uncounted = format.LossUncounted

// left says of which tables a part is, and whether what is left out is counted.
var left = [Parts][]Lost{
	PartUserStacks: {{"cpu", "stacks", format.LossShed, 0}},
	PartOffCPU:     {{"cpu", "offcpu", format.LossShed, 0}, {"cpu", "wakes", format.LossShed, Uncounted}},
	PartOnCPU:      {{"cpu", "oncpu", format.LossShed, Uncounted}},
	PartSyscalls:   {{syscallCollector, "syscalls", format.LossShed, Uncounted}},
	PartBlock:      {{blockCollector, "ios", format.LossShed, 0}},
	PartTCP:        {{"tcp", "exchanges", format.LossShed, 0}},
}

// Has says whether a part is recorded, so that it can be left out.
func (s *Session) Has(part Part) bool {
	variants := s.plan.Variants
	switch part {
	case PartUserStacks: // samples always have them
		return variants["cpu"]["oncpu"] != "" || s.hasThreads() && s.takesUserStacks()
	case PartOffCPU:
		return variants["cpu"]["offcpu"] != "" || variants["cpu"]["wakes"] != ""
	case PartOnCPU:
		return variants["cpu"]["oncpu"] != ""
	case PartSyscalls:
		return len(variants[syscallCollector]) > 0
	case PartBlock:
		return s.recordsIOs()
	case PartTCP:
		return len(variants["tcp"]) > 0
	}
	return false
}

// SetShed leaves out what to says, and nothing else. With an error it may be in
// force in part.
func (s *Session) SetShed(to Shed) error {
	was := s.shed.now
	s.shed.now = to
	s.shed.note(to)
	var errs []error
	for part := range PartTCP {
		if to.Parts[part] != was.Parts[part] {
			errs = append(errs, s.switchHooks(part, !to.Parts[part]))
		}
	}
	return errors.Join(append(errs, s.setShedVariables(was, to))...)
}

// setShedVariables tells the programs.
func (s *Session) setShedVariables(was, to Shed) error {
	var flags bpf.KmonShedParts
	for part, flag := range map[Part]bpf.KmonShedParts{
		PartUserStacks: bpf.KmonShedPartsSHED_USER_STACKS,
		PartOffCPU:     bpf.KmonShedPartsSHED_OFF_CPU,
		PartBlock:      bpf.KmonShedPartsSHED_BLOCK,
	} {
		if to.Parts[part] {
			flags |= flag
		}
	}
	var errs []error
	if was.Parts[PartBlock] && !to.Parts[PartBlock] {
		errs = append(errs, s.setVariable(bpf.KmonVarIosSinceNs, monotonicNs()))
	}
	return errors.Join(append(errs,
		s.setVariable(bpf.KmonVarShed, uint32(flags)),
		s.setVariable(bpf.KmonVarTcpSampling, uint32(to.TCPSampling)))...)
}

// switchHooks detaches what a part alone hangs on, or attaches it again.
func (s *Session) switchHooks(part Part, on bool) error {
	switch {
	case part == PartOnCPU:
		return s.threads.switchClocks(on)
	case part == PartSyscalls && on:
		if err := s.setVariable(bpf.KmonVarCallsSinceNs, monotonicNs()); err != nil {
			return err
		}
	}
	for _, h := range s.plan.hooks {
		if !h.attached() || h.kind == kindSample || !feedsOnly(h.program, part) {
			continue
		}
		var err error
		if on {
			err = s.attachHook(h)
		} else {
			err = s.detachHook(h)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// feedsOnly says whether a program does nothing but for a part that is left out
// by detaching it.
func feedsOnly(program string, part Part) bool {
	switch part {
	case PartOffCPU:
		return program == bpf.KmonProgCpuWaking
	case PartSyscalls:
		return isCallProgram(program)
	}
	return false
}

// attachHook attaches one hook.
func (s *Session) attachHook(h hook) error {
	l, err := attach(s.collection.Programs[h.program], h)
	if err != nil {
		return fmt.Errorf("attach %s to %s:%s: %w", h.program, kindPrefix[h.kind], h.target, err)
	}
	s.links = append(s.links, attached{h.program, l})
	return nil
}

func (s *Session) detachHook(h hook) error {
	i := slices.IndexFunc(s.links, func(a attached) bool { return a.program == h.program })
	if i < 0 {
		return nil
	}
	l := s.links[i]
	s.links = slices.Delete(s.links, i, i+1)
	return l.Close()
}

// attached is a program on its hook.
type attached struct {
	program string
	link.Link
}

// switchClocks lets the clocks of samples run or rest.
func (t *threads) switchClocks(on bool) error {
	request := uint(unix.PERF_EVENT_IOC_DISABLE)
	if on {
		request = unix.PERF_EVENT_IOC_ENABLE
	}
	for _, fd := range t.clocks {
		if err := unix.IoctlSetInt(fd, request, 0); err != nil {
			return fmt.Errorf("switch a clock of samples: %w", err)
		}
	}
	return nil
}

// note remembers what was left out until Losses tells it.
func (s *shedState) note(to Shed) {
	for part, out := range to.Parts {
		s.left.Parts[part] = s.left.Parts[part] || out
	}
	s.left.TCPSampling = max(s.left.TCPSampling, to.TCPSampling)
}

// shedLosses adds to what was counted the tables of which parts were left out
// since the last call: also where nothing came, or nothing counts it.
func (s *Session) shedLosses(lost []Lost) []Lost {
	for part := range Parts {
		out := s.shed.left.TCPSampling > 0
		if part < PartTCP {
			out = s.shed.left.Parts[part]
		}
		for _, what := range left[part] {
			counted := slices.ContainsFunc(lost, func(l Lost) bool { return l.Cause == what.Cause && l.Table == what.Table })
			if out && !counted && s.recordsTable(what.Table) {
				lost = append(lost, what)
			}
		}
	}
	s.shed.left = Shed{}
	s.shed.note(s.shed.now)
	return lost
}

// recordsTable says whether what was left out of a table would be in it.
func (s *Session) recordsTable(table string) bool {
	switch table {
	case "offcpu", "wakes":
		return s.plan.Has("cpu", table)
	}
	return true
}
