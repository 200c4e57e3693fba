package probe

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"kmon/bpf"
	"kmon/format"
)

const socketSize = int(unsafe.Sizeof(bpf.KmonSocketRecord{}))

// SocketList is a walk over the sockets of a Session. It may rest for as long as
// it likes between two steps.
type SocketList struct {
	session *Session
	tsNs    int64
	reader  io.ReadCloser // nil: it is over
	words   [seqBytes / 8]uint64
	have    int
	rows    []format.Socket
}

// ListSockets begins a list of the open sockets that were told in the control
// ring before, as older than tsNs, CLOCK_MONOTONIC, the time of the rows. Those
// established later are told in the ring. Close it before the Session.
func (s *Session) ListSockets(tsNs int64) (*SocketList, error) {
	l := &SocketList{session: s, tsNs: tsNs}
	if s.sweeper == nil {
		return l, nil // collector tcp is not planned
	}
	reader, err := s.sweeper.Open()
	if err != nil {
		return l, fmt.Errorf("open iterator over sockets: %w", err)
	}
	l.reader = reader
	return l, nil
}

// Next returns some more of them, lent until the next call; io.EOF at the end.
func (l *SocketList) Next() ([]format.Socket, error) {
	if l.reader == nil {
		return nil, io.EOF
	}
	s := l.session // Sweep may have had the program since
	if err := errors.Join(s.setVariable(bpf.KmonVarListNs, uint64(l.tsNs)),
		s.setVariable(bpf.KmonVarSweeping, uint32(bpf.KmonSweepModeSWEEP_LIST))); err != nil {
		return nil, err
	}
	buffer := unsafe.Slice((*byte)(unsafe.Pointer(&l.words[0])), seqBytes) // aligned as records are
	n, err := l.reader.Read(buffer[l.have:])
	l.have += n
	l.rows = l.rows[:0]
	at := 0
	for ; l.have-at >= socketSize; at += socketSize {
		l.rows = append(l.rows, socketRow((*bpf.KmonSocketRecord)(unsafe.Pointer(&buffer[at]))))
	}
	l.have = copy(buffer, buffer[at:l.have])
	switch {
	case errors.Is(err, io.EOF):
		return l.rows, errors.Join(l.Close(), io.EOF)
	case err != nil && !restsOnly(err):
		return l.rows, fmt.Errorf("list sockets: %w", err)
	}
	return l.rows, nil
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
