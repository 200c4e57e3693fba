package format

// ExchangeColumns holds the exchanges of one segment by column, sorted by
// StartNs. All slices but SocketIDs have one value per row. The slices belong
// to the value and are overwritten by the next read into it.
type ExchangeColumns struct {
	SocketIDs       []int64 // the distinct sockets of the segment
	Socket          []int32 // per row: index into SocketIDs
	StartNs         []int64
	UploadNs        []int64
	ServerNs        []int64
	DownloadNs      []int64
	RequestBytes    []int64
	AnswerBytes     []int64
	RequestMessages []int32
	AnswerMessages  []int32
	PID             []int32
	TID             []int32
	Flags           []ExchangeFlags
	// What the threads of accounted exchanges waited for; all empty when no row
	// of the segment has ExchangeAccounted.
	RunQueueNs, LockNs, DiskNs, NetworkNs, SleepNs, OtherWaitNs []int64
}

// waits are the columns that only accounted exchanges have, with their names.
func (c *ExchangeColumns) waits() [6]namedColumn {
	return [...]namedColumn{
		{"run_queue_ns", &c.RunQueueNs}, {"lock_ns", &c.LockNs}, {"disk_ns", &c.DiskNs},
		{"network_ns", &c.NetworkNs}, {"sleep_ns", &c.SleepNs}, {"other_wait_ns", &c.OtherWaitNs},
	}
}

// namedColumn is a column of 64-bit numbers and where its values go.
type namedColumn struct {
	name string
	to   *[]int64
}
