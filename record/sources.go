package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kmon/format"
	"kmon/record/probe"
	"kmon/record/provider"
)

const (
	// scanEvery is how often /proc is looked through for what no event told.
	scanEvery = 5 * time.Second
	// limitsEvery is how often the counters of limits are read.
	limitsEvery = time.Second
	// procBatches bounds the events that wait for the Provider to look at
	// their processes; beyond, the event's row stands alone.
	procBatches = 64
)

// sightings is what comes in beside the data ring: control rows, and the
// Provider's, which works in a goroutine of its own because /proc is slow.
type sightings struct {
	listed       []format.Socket // that were open when the part began
	sockets      []format.Socket // others
	newListeners []format.Listener
	closedQueues []format.AcceptQueue // of listeners that ended
	toProvider   chan []probe.Proc
	newConfig    chan *provider.Config
	restated     chan int64 // the time for which all is to be told again
	found        chan sighting
	providerDone chan struct{}
	// providerStuck: the Provider did not end, and none of its methods would.
	providerStuck bool
}

// sighting is one delivery of the Provider.
type sighting struct {
	snapshot provider.Snapshot
	targets  *provider.Targets // nil: unchanged
	// restatedNs: these are all rows that are known, for the part that began
	// then; 0: those that are new.
	restatedNs int64
}

// openConfig reads the configuration, if there is one, and begins to watch it.
func (r *recorder) openConfig(ctx context.Context) error {
	if r.options.ConfigPath == "" {
		return nil
	}
	versions, err := provider.Watch(ctx, r.options.ConfigPath)
	if err != nil {
		return err
	}
	r.config = <-versions
	r.versions = versions
	return r.config.Err
}

func (r *recorder) startProvider(ctx context.Context) {
	r.toProvider = make(chan []probe.Proc, procBatches)
	r.newConfig = make(chan *provider.Config, 1)
	r.restated = make(chan int64, 1)
	r.found = make(chan sighting, 16)
	r.providerDone = make(chan struct{})
	go r.runProvider(ctx)
}

// runProvider looks at processes as events name them, and at all of /proc from
// time to time.
func (r *recorder) runProvider(ctx context.Context) {
	defer close(r.providerDone)
	scan := time.NewTicker(scanEvery)
	defer scan.Stop()
	limits := time.NewTicker(limitsEvery)
	defer limits.Stop()
	again := make(chan struct{}, 1) // a scan that completes what was restated
	for {
		var s sighting
		retarget := true
		select {
		case <-ctx.Done():
			return
		case procs := <-r.toProvider:
			s.snapshot.Processes = r.look(procs)
			retarget = len(s.snapshot.Processes) > 0
		case config := <-r.newConfig:
			r.provider.SetConfig(config)
			s.snapshot = r.provider.Snapshot(provider.Clock().MonotonicNs)
		case s.restatedNs = <-r.restated:
			s.snapshot = r.provider.Restate(s.restatedNs)
			select {
			case again <- struct{}{}:
			default:
			}
		case <-again:
			s.snapshot = r.provider.Snapshot(provider.Clock().MonotonicNs)
			scan.Reset(scanEvery)
		case <-scan.C:
			s.snapshot = r.provider.Snapshot(provider.Clock().MonotonicNs)
		case <-limits.C:
			if s.snapshot.Limits = r.provider.Limits(provider.Clock().MonotonicNs); len(s.snapshot.Limits) == 0 {
				continue
			}
			retarget = false
		}
		if retarget {
			t := r.provider.Targets()
			s.targets = &t
		}
		select {
		case r.found <- s:
		case <-ctx.Done():
			return
		}
	}
}

// look asks the Provider about the processes of events.
func (r *recorder) look(procs []probe.Proc) []format.Process {
	var rows []format.Process
	for _, proc := range procs {
		if row, changed := r.provider.Exec(proc.Proc, proc.Args); changed {
			rows = append(rows, row)
		}
	}
	return rows
}

// tellProvider passes process events on, unless the Provider is behind.
func (r *recorder) tellProvider(procs []probe.Proc) {
	if len(procs) == 0 {
		return
	}
	select {
	case r.toProvider <- append([]probe.Proc(nil), procs...):
	default:
		r.unseen.passedOver(procs)
	}
}

// takeSightings writes what the Provider found and follows its targets and the
// configuration.
func (r *recorder) takeSightings() error {
	for {
		select {
		case s := <-r.found:
			if err := r.takeSighting(s); err != nil {
				return err
			}
		case version, open := <-r.versions:
			if !open {
				r.versions = nil
				continue
			}
			if err := r.takeConfig(version); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

func (r *recorder) takeSighting(s sighting) error {
	if s.targets != nil {
		r.targets = *s.targets
		if err := r.session.SetTargets(targetsOf(r.targets)); err != nil {
			return err
		}
	}
	r.noteRestated(s)
	return r.appendSnapshot(s.snapshot)
}

// noteRestated sees whether a part has got the rows that it was to begin with.
func (r *recorder) noteRestated(s sighting) {
	if r.parts != nil && s.restatedNs == r.parts.current.startNs {
		r.parts.restating = time.Time{}
	}
}

// takeConfig puts a version in force, good or bad, and marks the moment.
func (r *recorder) takeConfig(v provider.Version) error {
	now := provider.Clock().MonotonicNs
	text := fmt.Sprintf("version %d of %s is in force", v.Number, v.Path)
	if v.Err != nil {
		why := v.Err.Error()
		if r.options.NoCmdline {
			why = whyNotRecorded
		}
		text = fmt.Sprintf("version %d of %s is not used: %s", v.Number, v.Path, why)
	} else {
		select { // this one takes the place of one that the Provider has not come to
		case <-r.newConfig:
		default:
		}
		r.newConfig <- v.Config
		r.config = v
		if wanted := v.Config.Collectors; len(wanted) > 0 && !slices.Equal(wanted, r.running) {
			text += "; its collectors are for the next recording"
		}
	}
	return errors.Join(format.Append(r.writer, r.storedConfig(v, now)), r.mark(now, "config", text))
}
