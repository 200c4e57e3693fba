package record

import (
	"cmp"
	"io/fs"
	"os"

	"kmon/format"
	"kmon/record/hostfs"
	"kmon/record/probe"
	"kmon/record/provider"
)

// Checkup says what can be recorded on a machine, how, and what to change.
type Checkup struct {
	Schema      string  `json:"schema"` // kmon.doctor/v1
	KmonVersion string  `json:"kmon_version"`
	Machine     Machine `json:"machine"`
	Verdict     Verdict `json:"verdict"`
	// Allowed: this process may load eBPF programs.
	Allowed bool `json:"allowed"`
	// Refusal is why nothing can be recorded, whatever the privileges; "": not
	// so.
	Refusal string `json:"refusal"`
	// DefaultRefusal is why kmon record ends at once unless collectors are named,
	// and InsteadCollectors are those that can be; "" and empty: not so.
	DefaultRefusal    string           `json:"default_refusal"`
	InsteadCollectors []string         `json:"instead_collectors"`
	Collectors        []CollectorState `json:"collectors"` // sorted by name
	Checks            []Check          `json:"checks"`
	// Unseen is what could not be looked at for want of privileges.
	Unseen []string `json:"unseen"`
	// Mends is what to change: that of the checks, then that of the indicators,
	// each once.
	Mends []string `json:"mends"`
}

// Machine is what a Checkup tells of the host: nothing that names it.
type Machine struct {
	OS     string `json:"os"`
	Kernel string `json:"kernel"`
	Arch   string `json:"arch"`
}

// Verdict sums up a Checkup.
type Verdict string

// The verdicts.
const (
	VerdictAll  Verdict = "all"  // all collectors that run by default, and nothing that they need is missing
	VerdictSome Verdict = "some" // something of it is missing
	VerdictNone Verdict = "none" // nothing can be recorded by this process
)

// State is how it stands with an indicator.
type State string

// The states of indicators.
const (
	StateLoaded  State = "loaded"  // the kernel took its programs, which were unloaded again
	StatePlanned State = "planned" // it would be, with the privileges that this process lacks
	StateMissing State = "missing" // it cannot be recorded
)

// CollectorState is a collector and what of it can be recorded.
type CollectorState struct {
	Name       string           `json:"name"`
	Default    bool             `json:"default"` // runs unless collectors are named
	Indicators []IndicatorState `json:"indicators"`
	refused    error            // by the kernel, when its programs were loaded
}

// IndicatorState is an indicator and how it would be recorded.
type IndicatorState struct {
	Name    string `json:"name"`
	State   State  `json:"state"`
	Variant string `json:"variant"` // ""; missing
	Why     string `json:"why"`     // missing
	Ladder  []Rung `json:"ladder"`  // all variants, the best first
}

// Rung is one variant of an indicator.
type Rung struct {
	Variant string `json:"variant"`
	Answer  string `json:"answer"` // available, not supported, could not tell
	Why     string `json:"why"`    // not available
	Mend    string `json:"mend"`   // what would make it available; "": nothing is known to
}

// doctorSchema is the version of Checkup's JSON.
const doctorSchema = "kmon.doctor/v1"

// Doctor looks at the running machine and leaves nothing on it: where this
// process may, the programs are loaded into the kernel, attached to nothing, and
// unloaded; empty ones are attached for a moment, as [probe.ReadFacts] does. It
// needs no privileges, and tells what it could not see without. version is
// kmon's own; hostRoot is as in [Options].
func Doctor(version, hostRoot string) (Checkup, error) {
	root, err := hostfs.Find(hostRoot)
	if err != nil {
		return Checkup{}, err
	}
	p, err := provider.New(provider.Options{Root: root.FS, OwnPID: os.Getpid()})
	if err != nil {
		return Checkup{}, err
	}
	s := subject{version: version, root: os.DirFS("/"), hostRoot: root, host: p.Host(), room: roomIn("."), uid: os.Geteuid()}
	s.facts, s.factsErr = probe.ReadFacts(false)
	s.load = func(plan probe.Plan) error {
		return probe.TryLoad(plan, probe.Options{DataRingBytes: DefaultDataRingBytes, ControlRingBytes: controlRingBytes, CgroupV1: s.host.CgroupHierarchy != "v2"})
	}
	return s.examine(), nil
}

// subject is a machine as the doctor sees it: all that a Checkup is made of.
type subject struct {
	version  string
	root     fs.FS       // of this process
	hostRoot hostfs.Root // of the host
	host     format.Host
	facts    probe.Facts
	factsErr error // why there are none
	room     captureRoom
	uid      int
	load     func(probe.Plan) error
}

func (s subject) examine() Checkup {
	c := Checkup{
		Schema: doctorSchema, KmonVersion: s.version,
		Machine: Machine{OS: s.host.OS, Kernel: s.host.Kernel, Arch: s.host.Arch},
		Allowed: s.allowed(), InsteadCollectors: []string{}, Unseen: []string{}, Mends: []string{},
	}
	if err := s.refusal(); err != nil {
		c.Refusal = err.Error()
	}
	c.Collectors = s.collectors()
	c.Checks = s.checks()
	c.Unseen = append(c.Unseen, s.unseen()...)
	s.conclude(&c)
	return c
}

func (s subject) allowed() bool { return s.factsErr == nil && s.facts.Tracing == probe.Available }

// refusal is why nothing can be recorded, with any privileges.
func (s subject) refusal() error { return cmp.Or(s.factsErr, s.facts.TooOld()) }

// unseen names what would be seen with privileges.
func (s subject) unseen() []string {
	words := map[string]string{
		"tracing":  "whether the kernel lets eBPF programs load, and takes those of kmon",
		"sampling": "whether CPUs can be sampled",
		"fentry":   "whether programs can hang on the kernel's functions (fexit)",
		"kprobe":   "whether kprobes work",
	}
	var unseen []string
	for _, name := range s.facts.Denied {
		unseen = append(unseen, words[name])
	}
	return unseen
}

// conclude gives the verdict and collects what to change.
func (s subject) conclude(c *Checkup) {
	missing, some := false, false
	mends := map[string]bool{}
	mend := func(text string) {
		if text != "" && !mends[text] {
			mends[text] = true
			c.Mends = append(c.Mends, text)
		}
	}
	for _, check := range c.Checks {
		missing = missing || check.State == CheckMissing
		for _, text := range check.Mends {
			mend(text)
		}
	}
	for _, of := range c.Collectors {
		some = some || of.recorded()
		for _, in := range of.Indicators {
			missing = missing || of.Default && in.State == StateMissing
			mend(in.mend(of.Name))
		}
	}
	if c.Refusal == "" {
		s.tellDefault(c)
	}
	switch {
	case !some, !c.Allowed:
		c.Verdict = VerdictNone
	case missing:
		c.Verdict = VerdictSome
	default:
		c.Verdict = VerdictAll
	}
}

// tellDefault says what comes of kmon record without a choice of collectors.
func (s subject) tellDefault(c *Checkup) {
	_, err := planOf(s.facts.Permitted(), defaultCollectors()...)
	for _, of := range c.Collectors {
		if of.Default {
			err = cmp.Or(err, of.refused)
		}
	}
	if err == nil {
		return
	}
	c.DefaultRefusal = err.Error()
	for _, of := range c.Collectors {
		if of.Default && of.recorded() {
			c.InsteadCollectors = append(c.InsteadCollectors, of.Name)
		}
	}
}
