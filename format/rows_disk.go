package format

// Operation of an IO. Stored numbers (REQ_OP_* of the kernel, where it has them).
type Operation int32

const (
	OperationRead    Operation = 1
	OperationWrite   Operation = 2
	OperationFlush   Operation = 3
	OperationDiscard Operation = 4
	OperationOther   Operation = 5
)

// IOFlags say what kind of IO it was. Stored numbers: never renumber.
type IOFlags int32

const (
	IOSync      IOFlags = 1 << 0
	IOMeta      IOFlags = 1 << 1
	IOReadahead IOFlags = 1 << 2
	IOPreflush  IOFlags = 1 << 3 // a flush of the disk's cache came before it
	IOFUA       IOFlags = 1 << 4 // forced to the medium
	IOOpen      IOFlags = 1 << 5 // had not ended when the recording did: the times reach until then, nothing is known to be completed
)

// IO is a row of table ios: one request to a block device. start + queue is the
// moment it was given to the device, start + queue + device when it was done.
type IO struct {
	StartNs  int64     `parquet:"start_ns,delta"`
	QueueNs  int64     `parquet:"queue_ns,delta"`  // in the kernel's queue; 0: not known
	DeviceNs int64     `parquet:"device_ns,delta"` // in the device
	DeviceID int64     `parquet:"device_id,dict"`  // major << 20 | minor of the whole disk
	Sector   int64     `parquet:"sector,delta"`    // of 512 bytes; -1: none (flush)
	Bytes    int64     `parquet:"bytes,dict"`      // completed
	Op       Operation `parquet:"op,dict"`
	Flags    IOFlags   `parquet:"flags,dict"`
	PID      int32     `parquet:"pid,dict"` // that asked; 0: not known. Buffered writes are the kernel's flusher's
	TID      int32     `parquet:"tid,dict"`
	Error    int32     `parquet:"error,dict"`    // errno; 0: none
	Requeues int32     `parquet:"requeues,dict"` // times the device sent it back
	Merges   int32     `parquet:"merges,dict"`   // bios merged into it beyond the first
}

// Disk is a row of snapshot disks: a block device or one of its partitions.
type Disk struct {
	TsNs       int64  `parquet:"ts_ns,delta"`
	DeviceID   int64  `parquet:"device_id,dict"` // major << 20 | minor
	Name       string `parquet:"name,dict"`
	ParentID   int64  `parquet:"parent_id,dict"` // of a partition its disk, of a loop device or mapping what lies below; 0: none
	Kind       string `parquet:"kind,dict"`      // disk, partition, loop, mapping (dm), raid (md), zram
	Model      string `parquet:"model,dict"`
	Rotational int32  `parquet:"rotational,dict"` // 1 yes, 0 no, -1 not known
	SizeBytes  int64  `parquet:"size_bytes,dict"`
	Scheduler  string `parquet:"scheduler,dict"`
	QueueDepth int32  `parquet:"queue_depth,dict"` // requests its queue takes; 0: not known
}

// Mount is a row of snapshot mounts: a mounted file system.
type Mount struct {
	TsNs     int64  `parquet:"ts_ns,delta"`
	MntnsID  int64  `parquet:"mntns_id,dict"`
	DeviceID int64  `parquet:"device_id,dict"` // 0 major for file systems without a disk
	Point    string `parquet:"point,dict"`
	Type     string `parquet:"type,dict"`
	Source   string `parquet:"source,dict"`
}
