package probe

import (
	"errors"
	"fmt"
	"io"

	"kmon/bpf"
)

// listWalks bounds how often a list walks over the sockets.
const listWalks = 4

// SocketList is a walk over the sockets of a Session. It may rest for as long as
// it likes between two steps.
type SocketList struct {
	session *Session
	tsNs    int64
	number  uint8
	reader  io.ReadCloser // nil: it is over
	walks   int           // begun
	rested  bool          // in this one: sockets that ended meanwhile may have hidden others
}

// ListSockets begins a list of the open sockets that were told in the control
// ring before, as older than tsNs, CLOCK_MONOTONIC, the time of the rows. Those
// told later are not in it. Close it before the Session.
func (s *Session) ListSockets(tsNs int64) (*SocketList, error) {
	l := &SocketList{session: s, tsNs: tsNs}
	if s.sweeper == nil {
		return l, nil // collector tcp is not planned
	}
	if s.lists++; s.lists == 0 { // which means none
		s.lists++
	}
	l.number = s.lists
	if err := s.setVariable(bpf.KmonVarListNumber, l.number); err != nil {
		return l, err
	}
	return l, l.walk()
}

func (l *SocketList) walk() error {
	reader, err := l.session.sweeper.Open()
	if err != nil {
		return fmt.Errorf("open iterator over sockets: %w", err)
	}
	l.reader, l.rested = reader, false
	l.walks++
	return nil
}

// Next has some more of them told in the control ring, as many as fill half of it,
// which is to be emptied before the next call; io.EOF: all are.
func (l *SocketList) Next() error {
	if l.reader == nil {
		return io.EOF
	}
	s := l.session // Sweep may have had the program since
	if err := errors.Join(s.setVariable(bpf.KmonVarListNs, uint64(l.tsNs)),
		s.setVariable(bpf.KmonVarSweeping, uint32(bpf.KmonSweepModeSWEEP_LIST))); err != nil {
		return err
	}
	_, err := l.reader.Read(make([]byte, 1)) // the program writes nothing
	switch {
	case err != nil && restsOnly(err):
		l.rested = true
		return nil
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("list sockets: %w", err)
	}
	switch err := l.Close(); {
	case err != nil:
		return fmt.Errorf("end list of sockets: %w", err)
	case !l.rested || l.walks == listWalks:
		return io.EOF
	}
	return l.walk()
}

// Close ends the walk.
func (l *SocketList) Close() error {
	if l == nil || l.reader == nil {
		return nil
	}
	reader := l.reader
	l.reader = nil
	return reader.Close()
}
