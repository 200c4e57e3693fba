package probe

import (
	"fmt"

	"kmon/bpf"
	"kmon/format"
)

// lostEnds finds sockets that were freed without that a program saw their end.
// On some kernels the hooks of softirqs that run on top of certain interrupts are
// passed over, and no counter of the kernel's tells; a socket that ends there
// takes its exchange in progress along. What is left to see is that it was told
// to have begun, not to have ended, and that no walk over the sockets meets it.
type lostEnds struct {
	before int64 // missing in the walk before
	known  int64 // that were found to be lost
	told   int64 // of them, in Losses
}

// walked takes what was missing in a walk over all sockets. A socket that ends
// just now may be missing once, but not in two walks.
func (l *lostEnds) walked(missing int64) {
	l.known = max(l.known, min(l.before, missing))
	l.before = missing
}

// lost is how many it was since the last time. Each socket had at most one
// exchange in progress.
func (l *lostEnds) lost() []Lost {
	n := l.known - l.told
	l.told = l.known
	if n <= 0 {
		return nil
	}
	return []Lost{
		{Collector: "tcp", Table: "sockets", Cause: format.LossMissedHit, Count: n},
		{Collector: "tcp", Table: "exchanges", Cause: format.LossMissedHit, Count: n},
	}
}

// findLostEnds runs a walk over all sockets and compares. Those that begin
// meanwhile may be seen, so there may be more missing than it finds; the next
// walk will tell.
func (s *Session) findLostEnds(walk func() (rested bool, err error)) error {
	if err := s.setVariable(bpf.KmonVarSocketsSeen, uint64(0)); err != nil {
		return err
	}
	begun, err := s.variable(bpf.KmonVarSocketsBegun)
	if err != nil {
		return err
	}
	rested, err := walk()
	if err != nil || rested {
		return err // what ends while it rests hides others
	}
	ended, err := s.variable(bpf.KmonVarSocketsEnded)
	if err != nil {
		return err
	}
	seen, err := s.variable(bpf.KmonVarSocketsSeen)
	if err != nil {
		return err
	}
	s.ends.walked(int64(begun - ended - seen))
	return nil
}

// variable reads a global variable of 8 bytes of the programs.
func (s *Session) variable(name string) (uint64, error) {
	var v uint64
	if err := s.collection.Variables[name].Get(&v); err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	return v, nil
}
