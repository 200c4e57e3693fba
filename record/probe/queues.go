package probe

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"kmon/bpf"
	"kmon/format"
)

// The ladder of accept queues. Without what the namespace counts, connections
// that are passed over for another reason count as turned away, too.
var queueLadder = []variant{
	{name: "iter:bpf_sk_storage_map", hooks: append([]hook{iterator(bpf.KmonProgFindCpuMemory, "bpf_map_elem")}, queueHooks...)},
	{name: "iter:bpf_sk_storage_map/sk_drops", hooks: queueHooks},
}

var queueHooks = []hook{
	tracepoint(bpf.KmonProgQueueState, "inet_sock_set_state"),
	iterator(bpf.KmonProgExistingQueues, "task_file"),
	iterator(bpf.KmonProgReadQueues, "bpf_sk_storage_map"),
}

const (
	listenDrops  = "LINUX_MIB_LISTENDROPS"
	lookupPerCPU = "bpf_func_id.BPF_FUNC_map_lookup_percpu_elem" // 5.19
)

// readListenDrops learns which counter that is. A kernel that does not tell has
// none.
func (f *Facts) readListenDrops() {
	number, err := kernelEnumValue(listenDrops)
	f.ListenDrops, f.Fields[listenDrops] = number, err == nil
}

// setQueues tells the programs where the namespaces count.
func (p Plan) setQueues(spec *ebpf.CollectionSpec) error {
	if spec.Programs[bpf.KmonProgFindCpuMemory] == nil {
		return nil
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	spec.Maps[bpf.KmonMapCpuMemory].MaxEntries = uint32(cpus)
	return errors.Join(
		spec.Variables[bpf.KmonVarCpus].Set(uint32(cpus)),
		spec.Variables[bpf.KmonVarListenDrops].Set(p.listenDrops))
}

// findCPUMemory lets the programs find the memory of each CPU.
func (s *Session) findCPUMemory() error {
	prog := s.collection.Programs[bpf.KmonProgFindCpuMemory]
	if prog == nil {
		return nil
	}
	it, err := link.AttachIter(link.IterOptions{Program: prog, Map: s.collection.Maps[bpf.KmonMapLosses]})
	if err != nil {
		return fmt.Errorf("attach iterator %s: %w", bpf.KmonProgFindCpuMemory, err)
	}
	return errors.Join(walk(it, nil), it.Close())
}

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
