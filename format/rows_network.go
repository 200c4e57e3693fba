package format

// NetEventKind is what happened on the network. Stored numbers.
type NetEventKind int32

const (
	NetRetransmit    NetEventKind = 1 // a segment was sent again
	NetResetSent     NetEventKind = 2
	NetResetReceived NetEventKind = 3
	NetDrop          NetEventKind = 4 // a packet was dropped, see reason
)

// NetEvent is a row of table netevents: something went wrong on the network.
// Events alike within a second may share a row.
type NetEvent struct {
	TsNs       int64        `parquet:"ts_ns,delta"`   // the first
	LastNs     int64        `parquet:"last_ns,delta"` // the last
	Kind       NetEventKind `parquet:"kind,dict"`
	Reason     string       `parquet:"reason,dict"`    // of a drop or reset: the kernel's word without SKB_DROP_REASON_ or SK_RST_REASON_
	SocketID   int64        `parquet:"socket_id,dict"` // 0: not known
	NetnsID    int64        `parquet:"netns_id,dict"`
	Family     int32        `parquet:"family,dict"`
	Protocol   int32        `parquet:"protocol,dict"` // 6 TCP, 17 UDP, …
	LocalAddr  string       `parquet:"local_addr,dict"`
	LocalPort  int32        `parquet:"local_port,dict"`
	RemoteAddr string       `parquet:"remote_addr,dict"`
	RemotePort int32        `parquet:"remote_port,dict"` // 0 also for all clients that got no connection
	PID        int32        `parquet:"pid,dict"`         // the socket's owner, as far as known
	StackID    int64        `parquet:"stack_id,dict"`    // of a drop: kernel stack of the first; 0: none
	Count      int64        `parquet:"count,delta"`
}

// AcceptQueue is a row of table acceptqueues: connections that wait to be
// accepted by one listener, and those it turned away. A row is written once a
// second while either is not 0.
type AcceptQueue struct {
	TsNs      int64  `parquet:"ts_ns,delta"`
	NetnsID   int64  `parquet:"netns_id,dict"`
	Addr      string `parquet:"addr,dict"`
	Port      int32  `parquet:"port,dict"`
	PID       int32  `parquet:"pid,dict"`
	Depth     int32  `parquet:"depth,dict"`      // waiting at ts_ns
	Limit     int32  `parquet:"limit,dict"`      // backlog; the kernel lets one more wait
	Overflows int64  `parquet:"overflows,delta"` // turned away since the row before, or since the start; who asks again counts again
}
