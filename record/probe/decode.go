package probe

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"unsafe"

	"kmon/bpf"
	"kmon/format"
	"kmon/record/secret"
)

const (
	afInet     = 2
	afInet6    = 10
	srttUnitNs = 125 // an eighth of a microsecond
	// accountShift is ACCOUNT_SHIFT: a unit of a thread's accounts is 64 ns.
	accountShift = 6
	clockTicks   = 100 // USER_HZ, the unit of start times in /proc: the same on all architectures
)

// shortProc is what fork and exit records hold of bpf.KmonProcRecord.
const shortProc = int(unsafe.Offsetof(bpf.KmonProcRecord{}.Exe))

// Decoder turns kernel records into rows: the only place that knows both
// shapes. Rows are the caller's.
type Decoder struct {
	// BootOffsetNs is CLOCK_BOOTTIME − CLOCK_MONOTONIC: start times of
	// processes are kept by the kernel in the former.
	BootOffsetNs int64
	// IntervalStartNs is when the interval began in which threads end, and
	// IntervalBeforeNs when the one before did: the ring may still hold some.
	IntervalStartNs, IntervalBeforeNs int64
	// Undecodable counts records that made no sense.
	Undecodable int64
}

// Data holds the rows of records of the data ring, by table.
type Data struct {
	Exchanges []format.Exchange
	Intervals []format.Interval // of threads that ended
	// Samples hold the keys of their stacks, see Session.NameStacks.
	Samples []format.OnCPU
	IOs     []format.IO
}

// Reset empties d and keeps its memory.
func (d *Data) Reset() {
	d.Exchanges = d.Exchanges[:0]
	d.Intervals = d.Intervals[:0]
	d.Samples = d.Samples[:0]
	d.IOs = d.IOs[:0]
}

// Data decodes a record of the data ring, of whatever kind, and appends its
// rows to rows.
func (d *Decoder) Data(rows *Data, record []byte) {
	switch kind := kindOf(record); {
	case kind == bpf.KmonRecordKindRECORD_EXCHANGE:
		rows.Exchanges = d.exchanges(rows.Exchanges, record)
	case kind == bpf.KmonRecordKindRECORD_INTERVAL && len(record) >= intervalSize:
		rows.Intervals = append(rows.Intervals, d.lastInterval((*bpf.KmonIntervalRecord)(unsafe.Pointer(&record[0]))))
	case kind == bpf.KmonRecordKindRECORD_SAMPLE && len(record) >= int(unsafe.Sizeof(bpf.KmonSampleRecord{})):
		rows.Samples = append(rows.Samples, sampleRow((*bpf.KmonSampleRecord)(unsafe.Pointer(&record[0]))))
	case kind == bpf.KmonRecordKindRECORD_IO && len(record) >= int(unsafe.Sizeof(bpf.KmonIoRecord{})):
		rows.IOs = append(rows.IOs, ioRow((*bpf.KmonIoRecord)(unsafe.Pointer(&record[0]))))
	default:
		d.Undecodable++
	}
}

// exchangeSize is the size of one exchange in a record of the data ring, which
// holds a batch of them.
const exchangeSize = int(unsafe.Sizeof(bpf.KmonExchangeRecord{}))

// exchanges decodes a batch of exchanges and appends its rows to rows.
func (d *Decoder) exchanges(rows []format.Exchange, record []byte) []format.Exchange {
	for ; len(record) >= exchangeSize; record = record[exchangeSize:] {
		if kindOf(record) != bpf.KmonRecordKindRECORD_EXCHANGE {
			d.Undecodable++
			continue
		}
		rows = append(rows, format.Exchange{})
		exchangeRow(&rows[len(rows)-1], (*bpf.KmonExchangeRecord)(unsafe.Pointer(&record[0])))
	}
	if len(record) > 0 {
		d.Undecodable++
	}
	return rows
}

func exchangeRow(row *format.Exchange, r *bpf.KmonExchangeRecord) {
	row.SocketID = int64(r.Cookie)
	row.StartNs = int64(r.StartNs)
	row.UploadNs = int64(r.Upload) << (r.UploadShift & 31)
	row.ServerNs = int64(r.Server) << (r.ServerShift & 31)
	row.DownloadNs = int64(r.Download) << (r.DownloadShift & 31)
	row.RequestBytes = int64(r.RequestBytes)
	row.AnswerBytes = int64(r.AnswerBytes)
	row.RequestMessages = int32(r.RequestMessages)
	row.AnswerMessages = int32(r.AnswerMessages)
	row.PID = int32(r.Tgid)
	row.TID = int32(r.Tid)
	row.Flags = format.ExchangeFlags(r.Flags)
	row.RunQueueNs = accountNs(r.Parts.RunQueue)
	row.LockNs = accountNs(r.Parts.Lock)
	row.DiskNs = accountNs(r.Parts.Disk)
	row.NetworkNs = accountNs(r.Parts.Network)
	row.SleepNs = accountNs(r.Parts.Sleep)
	row.OtherWaitNs = accountNs(r.Parts.Other)
}

// accountNs turns a time of a bpf.KmonThreadAccount into nanoseconds.
func accountNs(units uint32) int64 { return int64(units) << accountShift }

// Control decodes a record of the control ring to a format.Socket,
// format.Listener, format.AcceptQueue or format.Proc, or nil when it makes no sense.
func (d *Decoder) Control(record []byte) any {
	switch kind := kindOf(record); {
	case kind == bpf.KmonRecordKindRECORD_SOCKET && len(record) >= int(unsafe.Sizeof(bpf.KmonSocketRecord{})):
		return socketRow((*bpf.KmonSocketRecord)(unsafe.Pointer(&record[0])))
	case kind == bpf.KmonRecordKindRECORD_LISTENER && len(record) >= int(unsafe.Sizeof(bpf.KmonListenerRecord{})):
		return listenerRow((*bpf.KmonListenerRecord)(unsafe.Pointer(&record[0])))
	case kind == bpf.KmonRecordKindRECORD_QUEUE && len(record) >= queueSize:
		return queueRow((*bpf.KmonQueueRecord)(unsafe.Pointer(&record[0])))
	case kind == bpf.KmonRecordKindRECORD_PROC && len(record) >= shortProc:
		return d.procRow(record)
	}
	d.Undecodable++
	return nil
}

func kindOf(record []byte) bpf.KmonRecordKind {
	if len(record) < 2 {
		return 0
	}
	return bpf.KmonRecordKind(binary.NativeEndian.Uint16(record))
}

func socketRow(r *bpf.KmonSocketRecord) format.Socket {
	local, family := address(r.LocalAddr, r.Family)
	remote, _ := address(r.RemoteAddr, r.Family)
	return format.Socket{
		TsNs: int64(r.TsNs), SocketID: int64(r.Cookie), Event: format.SocketEvent(r.Event),
		Role: format.Role(r.Role), RoleSource: format.RoleSource(r.RoleSource),
		Family: family, NetnsID: int64(r.NetnsId),
		LocalAddr: local, LocalPort: int32(r.LocalPort), RemoteAddr: remote, RemotePort: int32(r.RemotePort),
		PID: int32(r.Tgid), CloseReason: format.CloseReason(r.CloseReason),
		BytesSent: int64(r.BytesSent), BytesReceived: int64(r.BytesReceived), Retransmits: int64(r.Retransmits), SRTTNs: int64(r.Srtt) * srttUnitNs,
	}
}

func listenerRow(r *bpf.KmonListenerRecord) format.Listener {
	addr, _ := address(r.Addr, r.Family)
	return format.Listener{
		TsNs: int64(r.TsNs), NetnsID: int64(r.NetnsId), Addr: addr, Port: int32(r.Port),
		Protocol: int32(r.Protocol), PID: int32(r.Tgid), Backlog: int32(r.Backlog),
	}
}

// address gives the text form and the family (4 or 6); an IPv4-mapped IPv6
// address is IPv4.
func address(words [4]uint32, family uint16) (text string, version int32) {
	var b [16]byte
	for i, w := range words {
		binary.NativeEndian.PutUint32(b[4*i:], w)
	}
	switch family {
	case afInet:
		return netip.AddrFrom4([4]byte(b[:4])).String(), 4
	case afInet6:
		addr := netip.AddrFrom16(b).Unmap()
		if addr.Is4() {
			return addr.String(), 4
		}
		return addr.String(), 6
	}
	return "", 0
}

// Proc is an event of a process: its row, without the secrets of the command
// line, and the arguments as they were, which are not to be stored.
type Proc struct {
	format.Proc
	Args []string // nil: not an exec, or not known
}

func (d *Decoder) procRow(record []byte) Proc {
	var whole bpf.KmonProcRecord
	r := &whole
	if len(record) >= int(unsafe.Sizeof(whole)) {
		r = (*bpf.KmonProcRecord)(unsafe.Pointer(&record[0]))
	} else {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&whole)), shortProc), record)
	}
	args := words(chars(r.Args[:min(int(r.ArgsLen), len(r.Args))]))
	return Proc{Args: args, Proc: format.Proc{
		TsNs: int64(r.TsNs), Event: format.ProcEvent(r.Event), PID: int32(r.Tgid), ParentPID: int32(r.ParentTgid),
		StartNs: StartNs(int64(r.StartBoottimeNs), d.BootOffsetNs), CgroupID: int64(r.CgroupId),
		PidnsPID: int32(r.PidnsPid), ExitCode: r.ExitCode,
		Comm:    name(chars(r.Comm[:])),
		Exe:     name(chars(r.Exe[:min(int(r.ExeLen), len(r.Exe))])),
		Cmdline: secret.Line(args),
	}}
}

// StartNs turns a process's start time after boot into the monotonic time
// that identifies it: cut to the clock ticks in which /proc tells it, so that
// events and snapshots agree.
func StartNs(boottimeNs, bootOffsetNs int64) int64 {
	const tick = 1_000_000_000 / clockTicks
	return boottimeNs/tick*tick - bootOffsetNs
}

func chars(c []int8) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(c))), len(c))
}

// name is the text before the first NUL, fit for a row.
func name(b []byte) string {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return format.Clean(string(b))
}

// words takes a list of NUL-ended arguments apart, each fit for a row.
func words(b []byte) (all []string) {
	if b = bytes.TrimRight(b, "\x00"); len(b) == 0 {
		return nil
	}
	for word := range bytes.SplitSeq(b, []byte{0}) {
		all = append(all, format.Clean(string(word)))
	}
	return all
}
