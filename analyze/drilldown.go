package analyze

// ExampleRequest is one request as it was recorded: among the slowest of its
// server, or near its p99 or p50. Which are drawn depends on the captures alone.
type ExampleRequest struct {
	// Near says what of its server's latency it is an example of: slowest, p99, p50.
	Near           string `json:"near"`
	Client         string `json:"client"`
	ClientInstance string `json:"client_instance,omitempty"` // absent: not known
	Server         string `json:"server"`
	ServerInstance string `json:"server_instance,omitempty"` // absent: not known
	ServerPort     int32  `json:"server_port"`
	// End is whose times these are: server's or client's. Host, PID, TID and
	// SocketID are of that end.
	End             string `json:"end"`
	Host            string `json:"host"`
	PID             int32  `json:"pid"` // 0: not known
	TID             int32  `json:"tid"` // of its last message; 0: not known
	SocketID        int64  `json:"socket_id"`
	ClientAddress   string `json:"client_address"` // with port; "": not known
	ServerAddress   string `json:"server_address"`
	StartNs         int64  `json:"start_ns"`
	LatencyNs       int64  `json:"latency_ns"` // the sum of its parts:
	UploadNs        int64  `json:"upload_ns"`
	ServerNs        int64  `json:"server_ns"`
	DownloadNs      int64  `json:"download_ns"`
	RequestBytes    int64  `json:"request_bytes"`
	AnswerBytes     int64  `json:"answer_bytes"`
	RequestMessages int32  `json:"request_messages"`
	AnswerMessages  int32  `json:"answer_messages"`
	Flags           string `json:"flags,omitempty"` // as in table exchanges; absent: a complete exchange on the server's end
	// LostNearby is how many exchanges of the same capture are known to be lost in
	// periods that meet it; -1: some that nothing counted. Absent: none.
	LostNearby int64 `json:"lost_nearby,omitempty"`

	capture int32 // index in run.captures
}

// Connection is one of the busiest or slowest connections of an instance.
type Connection struct {
	Client         string `json:"client"`
	ClientInstance string `json:"client_instance,omitempty"` // absent: not known
	Server         string `json:"server"`
	ServerInstance string `json:"server_instance,omitempty"` // absent: not known
	ServerPort     int32  `json:"server_port"`
	Among          string `json:"among"` // busiest, slowest or both, of its server's instance
	// End is at which end it was counted: the server's where that was recorded.
	// Host and SocketID are of that end.
	End           string `json:"end"`
	Host          string `json:"host"`
	SocketID      int64  `json:"socket_id"`
	ClientAddress string `json:"client_address"` // with port
	ServerAddress string `json:"server_address"`
	Stream        bool   `json:"stream,omitempty"` // it does not read as requests
	Requests      int64  `json:"requests"`
	Errors        int64  `json:"errors"` // unanswered, or ended by a reset
	// Latency is to within 4%; its max is exact.
	Latency       Distribution `json:"latency_ns"`
	BytesSent     int64        `json:"bytes_sent"`     // by the client, in the analyzed time
	BytesReceived int64        `json:"bytes_received"` // by the client
	// Retransmits are segments sent again in its life by the ends that were seen
	// closing; absent: none was.
	Retransmits *int64 `json:"retransmits,omitempty"`
	OpenedNs    int64  `json:"opened_ns,omitempty"`    // absent: before the recording
	ClosedNs    int64  `json:"closed_ns,omitempty"`    // absent: it was still open
	CloseReason string `json:"close_reason,omitempty"` // how this end closed
}
