package analyze

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"kmon/analyze/breakdown"
	"kmon/analyze/finding"
	"kmon/analyze/replay"
	"kmon/analyze/request"
	"kmon/analyze/stat"
	"kmon/analyze/topology"
	"kmon/format"
)

// Schema names the form of an Analysis.
const Schema = "kmon.analysis/v1"

// Options say what of the captures to analyze.
type Options struct {
	Since    string   // see ParseMoment; "": from the start
	Until    string   // see ParseMoment; "": to the end
	Services []string // only these services and their edges; none: all
	WindowNs int64    // least width of a window; 0: DefaultWindowNs
	Workers  int      // segments read at once; 0: one per CPU
	Version  string   // of kmon, for Analysis.Version
	Progress *Progress
	// Rules are the thresholds of the findings; nil: finding.DefaultRules.
	Rules *finding.Rules
	// Baseline are captures of a healthy time of the same nodes, which findings
	// compare with; none: they compare with peers and quiet windows. Parts of one
	// recording are one capture.
	Baseline []string

	// windowed: for Windowed.
	windowed bool
	// shiftNs is by host what is added to the times of its captures: see clockShifts.
	shiftNs map[string]int64
	// For tests: rows of sockets and segments of exchanges in a part, and
	// memory for windows.
	partSockets, partSegments, maxWords int
}

// Progress tells how far a run is. Its methods may be called while Run runs.
type Progress struct{ rows atomic.Int64 }

// Rows returns the number of exchanges counted so far.
func (p *Progress) Rows() int64 { return p.rows.Load() }

// Run analyzes captures together. It fails on files that are no captures, on
// options that make no sense, and when ctx ends.
func Run(ctx context.Context, paths []string, o Options) (*Analysis, error) {
	r, err := readAligned(ctx, paths, o)
	if err != nil {
		return nil, err
	}
	defer closeAll(r.captures)
	hashes := hashAll(r.captures)
	a := r.assemble()
	if err := r.addTopics(ctx, a); err != nil {
		return nil, err
	}
	if err := r.addFindings(ctx, a); err != nil {
		return nil, err
	}
	if r.hashes, r.partFiles, err = hashes(); err != nil {
		return nil, err
	}
	if err := r.conclude(a); err != nil {
		return nil, err
	}
	return a, nil
}

// readAligned opens captures and reads sockets and exchanges: again, with their
// clocks set by each other, where these turn out to be far apart. The captures must
// be closed.
func readAligned(ctx context.Context, paths []string, o Options) (*run, error) {
	r, err := openAndRead(ctx, paths, o)
	if err != nil {
		return nil, err
	}
	shifts := r.clockShifts()
	if len(shifts) == 0 {
		return r, nil
	}
	closeAll(r.captures)
	o.shiftNs = shifts
	if o.Progress != nil {
		o.Progress.rows.Store(0)
	}
	return openAndRead(ctx, paths, o)
}

func openAndRead(ctx context.Context, paths []string, o Options) (*run, error) {
	r, err := open(ctx, paths, o)
	if err != nil {
		return nil, err
	}
	if err := r.readAll(ctx); err != nil {
		closeAll(r.captures)
		return nil, err
	}
	return r, nil
}

// readAll reads sockets and exchanges.
func (r *run) readAll(ctx context.Context) error {
	r.graph = topology.New(r.captures, r.start, r.end)
	r.graph.Windows = r.windows()
	r.graph.Gone = r.leave
	if err := r.watchSockets(); err != nil {
		return err
	}
	return r.count(ctx)
}

// open opens the captures and finds what of them is asked for. The captures
// must be closed.
func open(ctx context.Context, paths []string, o Options) (*run, error) {
	if len(paths) == 0 {
		return nil, errors.New("no capture given")
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	captures, err := openAll(ctx, paths, o.Workers)
	if err == nil {
		for _, c := range captures {
			c.OffsetNs += o.shiftNs[c.Host()]
		}
	}
	r := &run{options: o, captures: captures, parts: replay.NewParts(captures)}
	if err == nil {
		err = r.findRange()
	}
	if err != nil {
		closeAll(captures)
		return nil, err
	}
	if o.partSockets > 0 {
		r.parts.Limit(o.partSockets, o.partSegments)
	}
	return r, nil
}

// run is one analysis under way.
type run struct {
	options  Options
	captures []*replay.Capture
	parts    *replay.Parts
	hashes   []string
	// partFiles are the files of each capture that has several.
	partFiles  [][]Part
	start      int64 // Unix
	end        int64
	unrecorded []Span // of it
	recordedNs int64  // of it
	lit        []light
	litFrame   request.Frame // that lit is of
	frame      request.Frame
	graph      *topology.Graph
	total      *request.Partial
	spent      *breakdown.Sums
	spentFrame replay.Windows // that spent has sums of
	topology   *topology.Topology
	// connections are those that may be listed, until they are.
	connections map[connectionGroup]*connectionList
	latencies   map[edgeKey]*endLatency // of all edges

	// Of the topics; see party.go and faults.go.
	watch       socketWatch
	who         *parties
	unconnected int      // services without a connection listed so far
	remarks     []string // warnings of theirs

	gather    *gather
	inputOnly bool // nobody looks at the Analysis, only at the input of the rules
}

// openAll opens the captures, several at once. Files that are parts of one
// recording are one capture.
func openAll(ctx context.Context, paths []string, workers int) ([]*replay.Capture, error) {
	files, err := format.OpenAll(paths)
	if err != nil {
		return nil, err
	}
	captures, errs := make([]*replay.Capture, len(files)), make([]error, len(files))
	var group sync.WaitGroup
	slots := make(chan struct{}, workers)
	for i, file := range files {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			captures[i], errs[i] = replay.New(ctx, file, i)
		})
	}
	group.Wait()
	return captures, errors.Join(errs...)
}

func closeAll(captures []*replay.Capture) {
	for _, c := range captures {
		if c != nil {
			_ = c.Close() // only read
		}
	}
}

// hashAll begins to hash the files and returns a function that waits, and gives
// for each capture its hash, and its files if it has several.
func hashAll(captures []*replay.Capture) func() ([]string, [][]Part, error) {
	hashes, parts, errs := make([]string, len(captures)), make([][]Part, len(captures)), make([]error, len(captures))
	var group sync.WaitGroup
	for i, c := range captures {
		group.Go(func() {
			if hashes[i], errs[i] = c.SHA256(); errs[i] == nil {
				parts[i], errs[i] = partFiles(c)
			}
		})
	}
	return func() ([]string, [][]Part, error) {
		group.Wait()
		return hashes, parts, errors.Join(errs...)
	}
}

// partFiles names the files of a capture that has several.
func partFiles(c *replay.Capture) ([]Part, error) {
	var list []Part
	for _, p := range c.Parts() {
		hash, err := p.SHA256()
		if err != nil {
			return nil, err
		}
		list = append(list, Part{File: filepath.Base(p.Path), Part: p.Manifest.Recording.Part, SHA256: hash})
	}
	return list, nil
}

// places hands the graph's places to the requests.
type places struct{ *topology.Graph }

// Place returns the connection of a socket.
func (p places) Place(capture int, socket int32) request.Place {
	link := p.Link(capture, socket)
	return request.Place{
		Paired: link.Paired, Pair: request.SocketKey{Capture: link.Client, ID: link.ID},
		Peer: link.Peer, ShiftNs: link.ShiftNs,
	}
}

// count reads all exchanges, part by part.
func (r *run) count(ctx context.Context) error {
	workers := make([]*request.Accumulator, r.options.Workers)
	spent := r.newSpending()
	r.spentFrame = r.windows()
	for i := range workers {
		workers[i] = request.New(r.frame, places{r.graph})
	}
	r.total = &request.Partial{Frame: r.frame}
	for r.parts.Next() {
		if r.parts.Read {
			r.graph.Begin()
			spent.learn()
		}
		err := r.parts.Each(ctx, len(workers), func(worker int, b *replay.Batch) error {
			workers[worker].Add(b)
			spent.counters[worker].Add(b)
			if r.options.Progress != nil {
				r.options.Progress.rows.Add(int64(len(b.Columns.StartNs)))
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading exchanges: %w", err)
		}
		for _, w := range workers {
			w.Drain(r.total)
		}
		r.total.Pair()
		spent.endPart()
		if r.parts.Spent {
			r.graph.End(r.parts.Last, r.isStream)
		}
	}
	for _, w := range workers {
		r.total.Merge(w.Partial())
	}
	r.spent = spent.sums()
	r.frame = r.total.Frame // its windows may have become wider
	r.topology = r.graph.Resolve(func(cell int32) int64 { return r.total.Stats(cell).Rows })
	r.gather = r.newGather()
	return nil
}

// isStream says whether a socket was found to be a stream.
func (r *run) isStream(capture int, id int64) bool {
	return r.captures[capture].Streams[id] || r.total.Streams[request.SocketKey{Capture: int32(capture), ID: id}]
}

// distribution summarizes a sketch.
func distribution(s *stat.Sketch) Distribution {
	return Distribution{
		Count: s.Count(), Mean: s.Mean(), Max: s.Max(),
		P50: s.Quantile(0.50), P90: s.Quantile(0.90), P95: s.Quantile(0.95), P99: s.Quantile(0.99),
	}
}
