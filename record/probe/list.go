package probe

import (
	"errors"
	"fmt"
	"unsafe"

	"kmon/bpf"
	"kmon/format"
)

const (
	socketSize = int(unsafe.Sizeof(bpf.KmonSocketRecord{}))
	// listBatch is how many sockets are handed out at once.
	listBatch = 256
)

// ListSockets hands out, some at a time, the open sockets that were told in the
// control ring before, all with the time tsNs, CLOCK_MONOTONIC, and as older
// than that. Sockets established later are told in the ring. The rows are lent.
// Sweep is to be called before.
func (s *Session) ListSockets(tsNs int64, take func([]format.Socket) error) error {
	if s.sweeper == nil {
		return nil // collector tcp is not planned
	}
	if err := errors.Join(s.setVariable(bpf.KmonVarListNs, uint64(tsNs)),
		s.setVariable(bpf.KmonVarSweeping, uint32(bpf.KmonSweepModeSWEEP_LIST))); err != nil {
		return err
	}
	reader, err := s.sweeper.Open()
	if err != nil {
		return fmt.Errorf("open iterator over sockets: %w", err)
	}
	var failed error
	rows := make([]format.Socket, 0, listBatch)
	handOut := func() {
		if failed == nil && len(rows) > 0 {
			failed = take(rows)
		}
		rows = rows[:0]
	}
	err = readRecords(reader, socketSize, func(record []byte) {
		rows = append(rows, socketRow((*bpf.KmonSocketRecord)(unsafe.Pointer(&record[0]))))
		if len(rows) == listBatch {
			handOut()
		}
	})
	handOut()
	return errors.Join(err, failed, reader.Close())
}
