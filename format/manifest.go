package format

import (
	"fmt"
	"strings"
)

// Manifest is manifest.json, the first entry of a capture: what was recorded,
// where, with which means. It is written before the first event.
type Manifest struct {
	Format        string            `json:"format"`       // always "kmon.capture"
	Version       int               `json:"version"`      // format version, see Version
	KmonVersion   string            `json:"kmon_version"` // the recorder's
	CreatedUnixNs int64             `json:"created_unix_ns"`
	Host          Host              `json:"host"`
	Clock         ClockPair         `json:"clock"` // at the recording's start
	Collectors    []Collector       `json:"collectors"`
	Options       map[string]string `json:"options"` // the recorder's options that differ from their default
	CommandLine   []string          `json:"command_line"`
	Recording     *RecordingPart    `json:"recording,omitempty"` // nil: the capture is the whole recording
	// Synthetic says how the capture was made by a program that recorded nothing,
	// as kmon gen; "": it is a recording.
	Synthetic string `json:"synthetic,omitempty"`
	// Redacted says that names have pseudonyms; nil: they are as recorded.
	Redacted *Redaction `json:"redacted,omitempty"`
	// Cut says of what longer capture this one is a part in time; nil: of none.
	Cut *CutFacts `json:"cut,omitempty"`
}

// OptionNoCmdline is the option that says that no command lines were recorded.
const OptionNoCmdline = "no_cmdline"

// NoCommandLines says whether command lines were left out of the recording, so that
// an empty one is not known.
func (m *Manifest) NoCommandLines() bool { return m.Options[OptionNoCmdline] != "" }

// RecordingPart says which part of a recording of several files a capture is,
// or, of a capture that Join made, which of them it holds.
type RecordingPart struct {
	ID   string `json:"id"`   // of the recording: 16 random hex digits
	Part int    `json:"part"` // from 1, without gaps; of a joined capture the first
	// Joined is what Join put together, by time; empty: the capture is one part
	// as it was recorded.
	Joined []PartSpan `json:"joined,omitempty"`
	// SinceNs: what ended before was left out when the parts were joined,
	// monotonic; 0: nothing was.
	SinceNs int64 `json:"since_ns,omitempty"`
}

// PartSpan is parts of a recording that follow each other without a gap.
type PartSpan struct {
	First   int   `json:"first"`    // part
	Last    int   `json:"last"`     // part
	StartNs int64 `json:"start_ns"` // of the first, monotonic
	EndNs   int64 `json:"end_ns"`   // of the last, monotonic
}

// Host is the machine that was recorded.
type Host struct {
	Name            string `json:"name"`
	MachineID       string `json:"machine_id,omitempty"`
	BootID          string `json:"boot_id,omitempty"`
	OS              string `json:"os,omitempty"` // PRETTY_NAME of os-release
	Kernel          string `json:"kernel"`       // uname -r
	Arch            string `json:"arch"`         // GOARCH word
	CPUs            int    `json:"cpus"`
	MemoryBytes     int64  `json:"memory_bytes"`
	CgroupHierarchy string `json:"cgroup_hierarchy,omitempty"` // "v2", or the v1 controller whose inodes are cgroup_id
	ClockTicks      int64  `json:"clock_ticks,omitempty"`
}

// ClockPair is one moment on both clocks.
type ClockPair struct {
	MonotonicNs int64 `json:"monotonic_ns"`
	RealtimeNs  int64 `json:"realtime_ns"` // since the Unix epoch
}

// Collector is one family of events and the hook variant behind each of its
// indicators.
type Collector struct {
	Name     string            `json:"name"`               // tcp, proc, …
	Variants map[string]string `json:"variants"`           // indicator → variant, as "send": "tp_btf:sock_send_length"
	Missing  map[string]string `json:"missing,omitempty"`  // indicator → why it is not recorded
	Settings map[string]string `json:"settings,omitempty"` // what the rows depend on, as "sample_hz": "99"
}

// bound leaves out what no recorder writes in such numbers, since what tells of
// collectors tells of each. It says what there was too much of; "" nothing.
func (m *Manifest) bound() (tooMany string) {
	if len(m.Synthetic) > maxSynthetic {
		m.Synthetic = strings.ToValidUTF8(m.Synthetic[:maxSynthetic], "")
	}
	if n := len(m.Collectors); n > maxCollectors {
		m.Collectors = nil
		return fmt.Sprintf("%d collectors", n)
	}
	for i := range m.Collectors {
		c := &m.Collectors[i]
		for _, facts := range []*map[string]string{&c.Variants, &c.Missing, &c.Settings} {
			if n := len(*facts); n > maxCollectorFacts {
				*facts = nil
				tooMany = fmt.Sprintf("%d facts of a collector", n)
			}
		}
	}
	return tooMany
}

// Final is final.json, the last entry: only a recording that was stopped in
// order has one.
type Final struct {
	EndNs       int64            `json:"end_ns"` // monotonic
	EndUnixNs   int64            `json:"end_unix_ns"`
	StopReason  string           `json:"stop_reason"` // see record.Result; repaired: written by Repair
	Error       string           `json:"error,omitempty"`
	Rows        map[string]int64 `json:"rows"`   // per table
	Losses      map[string]int64 `json:"losses"` // collector/cause → count
	CPUNs       int64            `json:"cpu_ns"` // of the recorder, whole life
	MaxRSSBytes int64            `json:"max_rss_bytes"`
	ExitCode    *int             `json:"exit_code,omitempty"` // of the command given after --
}
