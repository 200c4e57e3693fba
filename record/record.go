package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"kmon/format"
	"kmon/record/hostfs"
	"kmon/record/probe"
	"kmon/record/provider"
	"kmon/record/secret"
	"kmon/record/trigger"
)

// Options say what to record and for how long. The zero value records
// everything until the context ends.
type Options struct {
	// Output is the capture to write; "": kmon-HOST-UTC.kmon in the working
	// directory. It must not exist.
	Output string
	// Duration ends the recording; 0: only the context or Command does.
	Duration time.Duration
	// MaxSizeBytes is what the capture must not exceed, at least MinMaxSizeBytes;
	// 0: no limit. The recording ends before. With Rotate it is what all parts
	// must not exceed together, twice as much at least: the oldest are removed.
	MaxSizeBytes int64
	// Rotate divides the recording into several files.
	Rotate Rotation
	// Ring keeps the last so much of the recording, at least MinRing, in a
	// directory beside Output, and writes it out as a dump, Output with the time
	// in its name, when that is asked for (Dump, Dumps), when a trigger fires,
	// and at the end; 0: the whole recording is kept. MaxSizeBytes bounds ring and dump
	// together; 0: DefaultRingBytes.
	Ring time.Duration
	// Triggers are conditions that have a Ring written out.
	Triggers []trigger.Condition
	// NoLastDump leaves out the dump with which a Ring ends.
	NoLastDump bool
	// Dumps, if not nil, asks for dumps, with who asks.
	Dumps <-chan string
	// Notices, if not nil, gets sentences about dumps and triggers as they
	// happen; one is dropped when there is no room.
	Notices chan<- string

	// For tests:
	pressure    fs.FS         // root of proc/pressure; nil: the host's
	triggerTail time.Duration // 0: the usual one
	shortRing   bool          // Ring may be less than MinRing
	// MinFreeBytes ends the recording before the file system that holds the
	// capture has less free; 0: DefaultMinFreeBytes, or a hundredth of a file
	// system where that is less; negative: not looked at.
	MinFreeBytes int64
	// Collectors to run; empty: those of the configuration, else all but
	// syscall.
	Collectors []string
	// Syscalls are the system calls counted, by name; "all": every one,
	// "default": probe.DefaultCalls, as with collector syscall and none named.
	// Naming any runs that collector.
	Syscalls []string
	// SyscallLatency measures the time inside system calls too.
	SyscallLatency bool
	// Counts are system calls, tracepoints ("tcp:tcp_probe") and functions of
	// the kernel to be counted.
	Counts []string
	// What to record: what any of these selects, everything when all are
	// empty. Targets of the configuration are added.
	PIDs     []int32
	Services []string
	Cgroups  []string
	Ports    []uint16
	// ConfigPath is a YAML file, watched while recording; "": none.
	ConfigPath string
	// HostRoot is the root directory of the host; "": it is looked for, see
	// [hostfs.Find]. Output and ConfigPath are paths of this process.
	HostRoot string
	// Command is run once recording has begun, and recording ends with it. It
	// has this process's standard streams.
	Command []string
	// DataRingBytes is the room for exchanges between kernel and recorder, a
	// power of two; 0: DefaultDataRingBytes.
	DataRingBytes int
	// Interval is how long the rows of threads, waits, wake-ups and calls are
	// added up; 0: DefaultInterval.
	Interval time.Duration
	// OffCPUMin is the shortest wait whose stack is kept; 0: DefaultOffCPUMin,
	// negative: every wait.
	OffCPUMin time.Duration
	// SampleHz is how often a second each CPU is sampled; 0: DefaultSampleHz,
	// negative: never.
	SampleHz int
	// MaxOverhead is the share of the time of all CPUs that recording may cost,
	// its programs in the kernel included; 0: what it does. Above it, parts are
	// left out until it is within again (package documentation).
	MaxOverhead float64
	// UserStacks takes the user stack of every wait. Without it those of
	// targets are taken, if any were given.
	UserStacks bool
	// NoCmdline stores no command lines, and no text that may quote some: that of the
	// configuration, and why a version of it is not used. Services have the same names.
	NoCmdline bool
	// Variants forces hook variants, by indicator; for tests.
	Variants map[string]string
	// room is that of probe.Options; for tests.
	room map[string]uint32
	// Version and CommandLine, without secrets, go into the manifest.
	Version     string
	CommandLine []string
	// Status, if not nil, gets the state of the recording when it has begun and
	// about once a second; a value is dropped when nobody takes it.
	Status chan<- Status
	// Writing, if not nil, always knows the file that is written.
	Writing *Writing

	pace  *pace                 // of the budget; nil: defaultPace. For tests
	costs func(float64) float64 // what recording is said to cost, of what it does. For tests
}

// Writing knows which file a recording writes. Any goroutine may ask.
type Writing struct{ path atomic.Pointer[string] }

// Path is the name that the file has at present; "": there is none yet.
func (w *Writing) Path() string {
	if path := w.path.Load(); path != nil {
		return *path
	}
	return ""
}

func (w *Writing) set(path string) {
	if w != nil {
		w.path.Store(&path)
	}
}

// Status is how a recording is doing.
type Status struct {
	Elapsed   time.Duration
	Rows      int64
	SizeBytes int64 // of all parts that are there
	Lost      int64
	Part      int           // that is written, from 1; 0: the recording is one file
	Kept      time.Duration // how much a Ring has; 0: there is none
}

// Result is a finished recording.
type Result struct {
	Path        string           // ends in .part if the file could not be given its name; of several, the last
	Parts       *Parts           // nil: the recording is one file, or has a Ring
	Ring        *Ring            // nil: there is none; Path is then the last dump's, "" if there is none
	Rows        map[string]int64 // per table, in the file, in all parts, those that were removed among them
	SizeBytes   int64            // of all parts that are there
	Losses      map[string]int64 // "collector/cause" → events; "table/write" → rows that could not be written
	CPUNs       int64            // of the recorder
	BPFRunNs    int64            // of its programs in the kernel, an estimate; 0: not measured
	MaxRSSBytes int64
	DurationNs  int64
	// StopReason is duration, signal, command, size (MaxSizeBytes), disk (too
	// little free, full, read-only or failed: an error then says so), or error.
	StopReason string
	Shed       []string // what was left out at some time to stay within MaxOverhead, in order
	ExitCode   int      // of Command; 128+n when signal n ended it
	Unresolved []string // selectors that stood for nothing at the end
	Warnings   []string // why names of processes may be wrong, which bound ended the recording; sentences
}

// Ring is what became of Options.Ring. SizeBytes of the Result are the last dump's,
// and so are its Rows, if the recording ended with a dump.
type Ring struct {
	Dumps int    // that were written
	Left  string // directory of the parts; "": it was removed
}

// Parts are the files of a recording with Options.Rotate.
type Parts struct {
	Count   int    // that were written
	Removed int    // of these; the oldest
	First   string // path of the oldest that is there
}

const (
	// DefaultDataRingBytes holds half a second of 200,000 exchanges/s.
	DefaultDataRingBytes = 8 << 20
	controlRingBytes     = 2 << 20
	// DefaultInterval is the window in which heuristics look and trees are drawn.
	DefaultInterval = 5 * time.Second
	// DefaultOffCPUMin leaves out the waits too short to matter: taking a stack
	// costs ten times what the rest of a switch does.
	DefaultOffCPUMin = time.Millisecond
	// DefaultSampleHz is not a divisor of the usual timers' rates.
	DefaultSampleHz = 99
	// gcPercent keeps the heap small: the recorder lives on someone else's
	// memory, and its garbage is little.
	gcPercent = 50
)

// Run records until the duration is over, Command ends or ctx is cancelled,
// and returns what was recorded. The Result is valid as far as it goes even
// with an error; the file then is what could be saved.
func Run(ctx context.Context, o Options) (Result, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	r, err := start(ctx, o)
	if err != nil {
		return Result{}, err
	}
	defer r.stopSources()
	err = r.loop(ctx)
	return r.finish(err)
}

// start does all that can fail before anything is recorded, then begins.
func start(ctx context.Context, o Options) (_ *recorder, err error) {
	r := &recorder{options: o, listeners: map[format.Listener]int{}, losses: map[string]int64{}}
	if r.root, err = hostfs.Find(o.HostRoot); err != nil {
		return nil, err
	}
	r.stacks = newStackNamer(r.root)
	ctx, r.stopSources = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			r.stopSources()
		}
	}()
	if err := o.checkOverhead(); err != nil {
		return nil, err
	}
	if err := r.openConfig(ctx); err != nil {
		return nil, err
	}
	if r.running, err = r.collectors(); err != nil {
		return nil, err
	}
	r.provider, err = provider.New(provider.Options{
		Root: r.root.FS, OwnPID: os.Getpid(), Config: r.config.Config,
		Selectors: provider.Selectors{PIDs: o.PIDs, Services: o.Services, Cgroups: o.Cgroups, Ports: o.Ports},
	})
	if err != nil {
		return nil, err
	}
	if err := r.checkRing(); err != nil {
		return nil, err
	}
	calls, err := r.calls()
	if err != nil {
		return nil, err
	}
	facts, err := probe.ReadFacts(len(o.Variants) > 0)
	if err != nil {
		return nil, err
	}
	settings := o.settings()
	settings["drop"] = facts.Words.Settings()
	if !r.root.Here() {
		settings["proc"] = map[string]string{"host_root": r.root.Dir}
	}
	settings[callsCollector] = o.callSettings(calls)
	plan, err := probe.NewPlan(facts, probe.Request{
		Collectors: r.running, Asked: len(o.Collectors) > 0, Force: o.Variants,
		Settings: settings, Without: o.without(), Calls: calls,
	})
	if err != nil {
		return nil, err
	}
	if err := r.begin(plan); err != nil {
		return nil, err
	}
	r.startProvider(ctx)
	r.listenForMarks(ctx)
	go nameStacksDue(r.stacks.symbols, r.stacks.due)
	return r, nil
}

// begin loads the programs, takes the first snapshot, opens the capture and starts
// the programs. With an error it leaves neither a file nor a program.
func (r *recorder) begin(plan probe.Plan) (err error) {
	host := r.provider.Host()
	// Before the clock is read: nothing is recorded while the kernel checks them.
	if err := r.loadPrograms(plan, host); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.session.Close())
		}
	}()
	clock := provider.Clock()
	r.began = time.Now()
	first := r.provider.Snapshot(clock.MonotonicNs)
	r.targets = r.provider.Targets()
	r.lacks = r.shortfalls(first)
	if err := r.checkTargets(r.targets); err != nil {
		return err
	}
	path := r.options.Output
	if path == "" {
		path = DefaultName(host.Name, r.began)
	}
	if err := r.beginBounds(path); err != nil {
		return err
	}
	path, err = r.beginRing(path)
	if err != nil {
		return err
	}
	if err := r.createFirst(path, r.manifest(plan, host, clock)); err != nil {
		return errors.Join(err, r.abandonRing())
	}
	r.startNs = clock.MonotonicNs
	r.options.Writing.set(r.writer.Path())
	// Programs last: what fails before has none to detach.
	err = r.appendFirst(clock.MonotonicNs, first)
	if err == nil {
		err = r.startPrograms(host)
	}
	if err != nil {
		return errors.Join(err, r.writer.Discard(), r.parts.close(), r.abandonRing())
	}
	return nil
}

// appendFirst writes what is known before the first event.
func (r *recorder) appendFirst(nowNs int64, first provider.Snapshot) error {
	var errs []error
	if r.config.Number > 0 {
		errs = append(errs, format.Append(r.writer, r.storedConfig(r.config, nowNs)))
	}
	r.warned = slices.Concat(r.root.Warnings(), r.lacks, r.provider.Warnings())
	for _, warning := range r.warned {
		errs = append(errs, r.mark(nowNs, "warning", warning))
	}
	return errors.Join(append(errs, r.appendSnapshot(first), r.warnOfStrangers(nowNs, first.Processes))...)
}

// loadPrograms has the kernel check the programs.
func (r *recorder) loadPrograms(plan probe.Plan, host format.Host) (err error) {
	r.ofTargets.blind = !plan.Has("tcp", "state")
	r.session, err = probe.Load(plan, probe.Options{
		DataRingBytes:    cmp.Or(r.options.DataRingBytes, DefaultDataRingBytes),
		ControlRingBytes: controlRingBytes,
		CgroupV1:         host.CgroupHierarchy != "v2",
		Room:             r.options.room,
		CPU: probe.CPUOptions{
			OffCPUMinNs: r.options.offCPUMinNs(), SampleHz: r.options.sampleHz(),
			UserStacks: r.options.UserStacks, Symbols: r.stacks.symbols,
		},
		MeasureEvery: r.options.measureEvery(),
	})
	return err
}

// startPrograms lets the kernel record. The recording begins here.
func (r *recorder) startPrograms(host format.Host) error {
	r.decoder.BootOffsetNs = r.provider.BootOffsetNs()
	if err := r.session.Begin(targetsOf(r.targets)); err != nil {
		return err
	}
	r.beginOverhead(host.CPUs)
	r.beginIntervals(provider.Clock().MonotonicNs)
	r.lastLossNs, r.began = r.startNs, time.Now() // a Duration is of what is recorded
	return r.session.ListExisting(r.drainControl)
}

// HostName is the name of the host that is recorded, below hostRoot as in
// [Options]; "": not known.
func HostName(hostRoot string) string {
	root, err := hostfs.Find(hostRoot)
	if err != nil {
		return "" // which Run will tell
	}
	return provider.HostName(root.FS)
}

// DefaultName is the capture's name when none is given.
func DefaultName(host string, at time.Time) string {
	return fmt.Sprintf("kmon-%s-%s.kmon", strings.ReplaceAll(host, "/", "-"), at.UTC().Format("20060102T150405Z"))
}

// collectors decides which collectors run: the command line's, else the
// configuration's, else all but callsCollector.
func (r *recorder) collectors() ([]string, error) {
	known := probe.Collectors()
	names := r.options.Collectors
	if len(names) == 0 && r.config.Config != nil {
		names = r.config.Config.Collectors
	}
	if len(names) == 0 {
		return defaultCollectors(), nil
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no collector %q; there are: %s", name, strings.Join(known, ", "))
		}
	}
	return names, nil
}

func defaultCollectors() []string {
	return slices.DeleteFunc(probe.Collectors(), func(name string) bool { return name == callsCollector })
}

// checkTargets refuses a recording that would record nothing: nothing that was
// selected on the command line is there.
func (r *recorder) checkTargets(t provider.Targets) error {
	if t.All || len(t.CgroupIDs)+len(t.Ports) > 0 || r.options.ConfigPath != "" {
		return nil
	}
	if len(t.PIDs) > 0 && len(t.Unresolved) < len(r.options.PIDs)+len(r.options.Services) {
		return nil
	}
	return fmt.Errorf("nothing to record: %s", strings.Join(unresolved(t), "; "))
}

func unresolved(t provider.Targets) []string {
	var all []string
	for _, u := range t.Unresolved {
		all = append(all, u.Selector+": "+u.Reason)
	}
	return all
}

func targetsOf(t provider.Targets) probe.Targets {
	return probe.Targets{All: t.All, PIDs: t.PIDs, CgroupIDs: t.CgroupIDs, Ports: t.Ports}
}

func (r *recorder) manifest(plan probe.Plan, host format.Host, clock format.ClockPair) format.Manifest {
	m := format.Manifest{
		KmonVersion: r.options.Version, CreatedUnixNs: clock.RealtimeNs, Host: host, Clock: clock,
		Options: r.options.stored(), CommandLine: secret.Cut(r.options.commandLine()),
	}
	for _, name := range probe.Collectors() {
		variants, missing := plan.Variants[name], plan.Missing[name]
		if name == "proc" {
			variants, missing = r.withLimits(variants, missing)
		}
		if len(variants)+len(missing) > 0 {
			m.Collectors = append(m.Collectors, format.Collector{Name: name, Variants: variants, Missing: missing, Settings: plan.Settings[name]})
		}
	}
	return m
}

// withLimits adds where the Provider reads limits.
func (r *recorder) withLimits(variants, missing map[string]string) (map[string]string, map[string]string) {
	with := func(all map[string]string, value string) map[string]string {
		if value == "" {
			return all
		}
		more := map[string]string{"limits": value}
		maps.Copy(more, all)
		return more
	}
	source, why := r.provider.LimitSources()
	return with(variants, source), with(missing, why)
}

// settings are what the rows of a collector depend on.
func (o Options) settings() map[string]map[string]string {
	return map[string]map[string]string{"cpu": o.cpuSettings()}
}

// stored gives the options that differ from their default, for the manifest.
func (o Options) stored() map[string]string {
	all := map[string]string{}
	set := func(name, value string, given bool) {
		if given {
			all[name] = value
		}
	}
	set("host_root", o.HostRoot, o.HostRoot != "")
	set("duration", o.Duration.String(), o.Duration != 0)
	set("max_overhead", share(o.MaxOverhead), o.MaxOverhead != 0)
	set("max_size_bytes", fmt.Sprint(o.MaxSizeBytes), o.MaxSizeBytes != 0)
	set("min_free_bytes", fmt.Sprint(max(0, o.MinFreeBytes)), o.MinFreeBytes != 0)
	set("ring", o.Ring.String(), o.Ring != 0)
	set("triggers", fmt.Sprint(o.Triggers), len(o.Triggers) > 0)
	set("rotate_bytes", fmt.Sprint(o.Rotate.SizeBytes), o.Rotate.SizeBytes != 0)
	set("rotate_every", o.Rotate.Every.String(), o.Rotate.Every != 0)
	set("rotate_count", fmt.Sprint(o.Rotate.Count), o.Rotate.Count != 0)
	set("collectors", strings.Join(o.Collectors, ","), len(o.Collectors) > 0)
	set("syscalls", strings.Join(o.Syscalls, ","), len(o.Syscalls) > 0)
	set("syscall_latency", "yes", o.SyscallLatency)
	set("counts", strings.Join(o.Counts, ","), len(o.Counts) > 0)
	set("pids", fmt.Sprint(o.PIDs), len(o.PIDs) > 0)
	set("services", strings.Join(o.Services, ","), len(o.Services) > 0)
	set("cgroups", strings.Join(o.Cgroups, ","), len(o.Cgroups) > 0)
	set("ports", fmt.Sprint(o.Ports), len(o.Ports) > 0)
	set("config", o.ConfigPath, o.ConfigPath != "")
	set("command", secret.Line(o.Command), len(o.Command) > 0 && !o.NoCmdline)
	set(format.OptionNoCmdline, "true", o.NoCmdline)
	set("interval", o.Interval.String(), o.Interval != 0)
	set("off_cpu_min", time.Duration(o.offCPUMinNs()).String(), o.offCPUMinNs() != DefaultOffCPUMin.Nanoseconds())
	set("sample_hz", fmt.Sprint(o.sampleHz()), o.sampleHz() != DefaultSampleHz)
	set("user_stacks", "true", o.UserStacks)
	set("data_ring_bytes", fmt.Sprint(o.DataRingBytes), o.DataRingBytes != 0)
	for indicator, variant := range o.Variants {
		all["variant."+indicator] = variant
	}
	return all
}
