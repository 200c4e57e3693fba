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
}
