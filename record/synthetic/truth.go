package synthetic

// Injected is a fault as it was put into the world. Times are since the start.
type Injected struct {
	Kind     string  `json:"kind"`
	Size     float64 `json:"size"`
	Node     string  `json:"node,omitempty"`
	Peer     string  `json:"peer,omitempty"`
	Service  string  `json:"service,omitempty"`
	Instance string  `json:"instance,omitempty"`
	FromNs   int64   `json:"from_ns"`
	ToNs     int64   `json:"to_ns"`
}

// Truth is what was done to the world; truth.json beside the captures holds it.
type Truth struct {
	Schema  string     `json:"schema"` // kmon.synthetic/v1
	Seed    uint64     `json:"seed"`
	StartNs int64      `json:"start_ns"` // of the recording, Unix
	Load    []string   `json:"load"`
	Faults  []Injected `json:"faults"`
}
