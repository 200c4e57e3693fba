package probe

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf/link"

	"kmon/bpf"
	"kmon/format"
)

const queueSize = int(unsafe.Sizeof(bpf.KmonQueueRecord{}))

// AcceptQueues looks at all listeners and returns those at which connections
// wait, and those that turned some away since the call before.
func (s *Session) AcceptQueues() ([]format.AcceptQueue, error) {
	prog := s.collection.Programs[bpf.KmonProgReadQueues]
	if prog == nil {
		return nil, nil // not planned
	}
	if s.queues == nil {
		it, err := link.AttachIter(link.IterOptions{Program: prog, Map: s.collection.Maps[bpf.KmonMapAcceptQueues]})
		if err != nil {
			return nil, fmt.Errorf("attach iterator %s: %w", bpf.KmonProgReadQueues, err)
		}
		s.queues = it
	}
	reader, err := s.queues.Open()
	if err != nil {
		return nil, fmt.Errorf("open iterator %s: %w", bpf.KmonProgReadQueues, err)
	}
	var rows []format.AcceptQueue
	err = readRecords(reader, queueSize, func(record []byte) {
		rows = append(rows, queueRow((*bpf.KmonQueueRecord)(unsafe.Pointer(&record[0]))))
	})
	return rows, errors.Join(err, reader.Close())
}

func queueRow(r *bpf.KmonQueueRecord) format.AcceptQueue {
	addr, _ := address(r.Addr, r.Family)
	return format.AcceptQueue{
		TsNs: int64(r.TsNs), NetnsID: int64(r.NetnsId), Addr: addr, Port: int32(r.Port), PID: int32(r.Tgid),
		Depth: int32(r.Depth), Limit: int32(r.Limit), Overflows: int64(r.Overflows),
	}
}
