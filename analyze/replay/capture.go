package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kmon/format"
)

// Capture is one recording, opened: everything of it but the exchanges.
type Capture struct {
	Index    int // position among the captures analyzed together
	Path     string
	Manifest format.Manifest
	Final    *format.Final // nil: the file was cut
	Owners   *Owners
	Sockets  *Sockets
	// Streams are the ids of the sockets that the kernel labelled.
	Streams    map[int64]bool
	Listeners  []format.Listener
	Interfaces []format.Interface
	Losses     []format.Loss // of the time that is analyzed
	Self       []format.Self
	Marks      []format.Mark
	StartNs    int64 // of the recording, monotonic
	EndNs      int64 // monotonic; of a cut file, the last time it holds
	// Gaps are the times between StartNs and EndNs of which nothing is known,
	// and first, if the recording began earlier, the time before.
	Gaps     []format.Gap
	OffsetNs int64 // Unix time − monotonic time, at the start
	DriftNs  int64 // largest change of the offset among the clock pairs
	// Within is the time that is analyzed; see Narrow.
	Within format.Range
	// Rows counts the rows read, by table, and Seen those of the time that is
	// analyzed; those of exchanges are complete after Each.
	Rows, Seen map[string]int64
	// OnSockets, if set, is handed the rows of sockets as Parts reads them,
	// each once. The slice is valid during the call.
	OnSockets func(rows []format.Socket)

	file     *format.Capture
	segments []format.Segment // of exchanges
	stacks   map[int64]bool   // that rows of the time have, if it is not all time
	staging
}

// Host returns the name of the recorded machine.
func (c *Capture) Host() string { return c.Manifest.Host.Name }

// Problems lists the damage found so far; reading more may find more.
func (c *Capture) Problems() []string {
	list := []string{}
	for _, p := range c.file.Problems() {
		list = append(list, p.String())
	}
	return list
}

// Damaged counts the problems that mean missing rows or facts.
func (c *Capture) Damaged() int {
	n := 0
	for _, p := range c.file.Problems() {
		if p.Damage {
			n++
		}
	}
	return n
}

// Parts gives the files of a capture of several, by time; nil: it is one file.
func (c *Capture) Parts() []*format.Capture { return c.file.Parts() }

// LastPart is the last part of its recording that the capture has, 0 when the
// recording is one file.
func (c *Capture) LastPart() int {
	_, last := c.file.PartRange()
	return last
}

// SHA256 is the hash of the whole file, in hex; of parts, that of all of them
// one after the other.
func (c *Capture) SHA256() (string, error) { return c.file.SHA256() }

// Close releases the file.
func (c *Capture) Close() error {
	c.staging.stop()
	return c.file.Close()
}

// Open opens a capture and reads its small tables; Parts reads the others.
func Open(ctx context.Context, path string, index int) (*Capture, error) {
	file, err := format.Open(path)
	if err != nil {
		return nil, err
	}
	return New(ctx, file, index)
}

// New is Open for a file, or the parts of a recording, that is open already and
// that it takes over.
func New(ctx context.Context, file *format.Capture, index int) (*Capture, error) {
	c := &Capture{
		Index: index, Path: file.Path, file: file,
		Manifest: file.Manifest, Final: file.Final,
		StartNs:  file.Manifest.Clock.MonotonicNs,
		OffsetNs: file.Manifest.Clock.RealtimeNs - file.Manifest.Clock.MonotonicNs,
		Gaps:     file.Gaps(),
		segments: file.Segments("exchanges"),
		Within:   format.Always,
		Rows:     map[string]int64{}, Seen: map[string]int64{},
	}
	c.Manifest.Host.Name = hostName(c.Manifest.Host.Name)
	if err := c.load(ctx); err != nil {
		_ = file.Close() // only read
		return nil, fmt.Errorf("%s: %w", file.Path, err)
	}
	return c, nil
}

// maxHostName is the longest name that a kernel and DNS take. A manifest may
// state megabytes, and a report names the host in many lines.
const maxHostName = 255

func hostName(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), maxHostName)], "\uFFFD")
}

// load reads every table but exchanges and sockets.
func (c *Capture) load(ctx context.Context) error {
	processes, err := all[format.Process](c, "processes")
	if err != nil {
		return err
	}
	events, err := all[format.Proc](c, "procs")
	if err != nil {
		return err
	}
	c.Owners = NewOwners(processes, events)
	if err := c.loadSmall(); err != nil {
		return err
	}
	c.Sockets = newSockets()
	c.staging = newStaging(c)
	c.findRange()
	c.findDrift()
	return c.findStreams(ctx)
}

// Rows hands the rows of a table to fn, segment by segment in the order of the
// file, and counts them; a table may be read again. The slice is valid during
// the call. Segments that cannot be read are left out and stand in Problems.
func Rows[T format.Row](c *Capture, table string, fn func(rows []T) error) error {
	c.Rows[table], c.Seen[table] = 0, 0
	return format.ReadRows(c.file, func(rows []T) error {
		count(c, table, rows)
		return fn(rows)
	})
}

// count adds rows of a table to those read.
func count[T format.Row](c *Capture, table string, rows []T) {
	c.Rows[table] += int64(len(rows))
	if c.Within == format.Always {
		c.Seen[table] += int64(len(rows))
		return
	}
	for i := range rows {
		if c.Within.Counts(&rows[i]) {
			c.Seen[table]++
			c.noteStacks(&rows[i])
		}
	}
}

// noteStacks remembers which stacks a row, given as a pointer, has.
func (c *Capture) noteStacks(row any) {
	switch r := row.(type) {
	case *format.NetEvent:
		c.stacks[r.StackID] = true
	case *format.OffCPU:
		c.stacks[r.StackID], c.stacks[r.UserStackID] = true, true
	case *format.OnCPU:
		c.stacks[r.StackID], c.stacks[r.UserStackID] = true, true
	}
}

// NarrowStacks leaves out, once all rows were read, stacks that none of the time
// has from those that count as Seen, and the frames of these.
func (c *Capture) NarrowStacks() error {
	if c.Within == format.Always {
		return nil
	}
	seen, frames := int64(0), map[int64]bool{}
	err := Rows(c, "stacks", func(rows []format.Stack) error {
		for _, r := range rows {
			if c.stacks[r.StackID] {
				seen++
				frames[r.FrameID] = true
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.Seen["stacks"], seen = seen, 0
	err = Rows(c, "frames", func(rows []format.Frame) error {
		for i := range rows {
			if frames[rows[i].FrameID] {
				seen++
			}
		}
		return nil
	})
	c.Seen["frames"] = seen
	return err
}

// Narrow leaves out, before exchanges and sockets are read, what is not of a time:
// of the losses, and of the rows that count as Seen.
func (c *Capture) Narrow(within format.Range) error {
	c.Within, c.stacks = within, map[int64]bool{}
	var losses []format.Loss
	for _, l := range c.Losses {
		if l, any := within.Clip(l, c.StartNs); any {
			losses = append(losses, l)
		}
	}
	c.Losses = losses
	if within == format.Always {
		return nil
	}
	c.Seen["losses"] = int64(len(losses))
	return errors.Join(again[format.Process](c, "processes"), again[format.Proc](c, "procs"),
		again[format.Self](c, "self"), again[format.Mark](c, "marks"))
}

// again counts the rows of a table that was read before.
func again[T format.Row](c *Capture, table string) error {
	return Rows(c, table, func([]T) error { return nil })
}

// Has says whether the file has any segment of a table.
func (c *Capture) Has(table string) bool { return len(c.file.Segments(table)) > 0 }

// all reads a table and counts its rows.
func all[T format.Row](c *Capture, table string) ([]T, error) {
	rows, err := format.All[T](c.file)
	c.Rows[table], c.Seen[table] = 0, 0
	count(c, table, rows)
	return rows, err
}

func (c *Capture) loadSmall() (err error) {
	if c.Listeners, err = all[format.Listener](c, "listeners"); err != nil {
		return err
	}
	c.Listeners = distinct(c.Listeners)
	if c.Interfaces, err = all[format.Interface](c, "interfaces"); err != nil {
		return err
	}
	if c.Losses, err = all[format.Loss](c, "losses"); err != nil {
		return err
	}
	if c.Self, err = all[format.Self](c, "self"); err != nil {
		return err
	}
	c.Losses = append(c.Losses, c.file.Unwritten()...)
	if c.Marks, err = all[format.Mark](c, "marks"); c.Manifest.Recording != nil {
		c.Marks = withoutRepeated(c.Marks)
	}
	return err
}

// withoutRepeated leaves out warnings that were given before: each part of a
// recording gives them again.
func withoutRepeated(marks []format.Mark) []format.Mark {
	given := map[string]bool{}
	return slices.DeleteFunc(marks, func(m format.Mark) bool {
		if m.Kind != "warning" {
			return false
		}
		again := given[m.Text]
		given[m.Text] = true
		return again
	})
}

// distinct leaves out listeners that were told before: each part of a recording
// tells them again, as they were first seen or as they are.
func distinct(rows []format.Listener) []format.Listener {
	slices.SortStableFunc(rows, func(a, b format.Listener) int { return cmp.Compare(a.TsNs, b.TsNs) })
	seen := make(map[format.Listener]bool, len(rows))
	return slices.DeleteFunc(rows, func(row format.Listener) bool {
		row.TsNs, row.Backlog = 0, 0
		known := seen[row]
		seen[row] = true
		return known
	})
}

// findRange sets EndNs as the file says, else as the last time it holds, and
// StartNs, if the manifest is lost, as the first.
func (c *Capture) findRange() {
	if c.StartNs == 0 {
		c.StartNs = c.firstExchange()
	}
	if c.Final != nil && c.Final.EndNs > c.StartNs {
		c.EndNs = c.Final.EndNs
		return
	}
	c.EndNs = max(c.StartNs, c.lastExchange())
	for _, s := range c.Self {
		c.EndNs = max(c.EndNs, s.TsNs)
	}
	for _, l := range c.Losses {
		c.EndNs = max(c.EndNs, l.EndNs)
	}
	if len(c.segments) > 0 {
		return
	}
	_ = format.ReadRows(c.file, func(rows []format.Socket) error { // fn does not fail
		for i := range rows {
			c.EndNs = max(c.EndNs, rows[i].TsNs)
		}
		return nil
	})
}

// firstExchange gives the first start in the first exchange segment that can
// be read, 0 when there is none.
func (c *Capture) firstExchange() int64 {
	var columns format.ExchangeColumns
	for _, segment := range c.segments {
		if segment.ReadExchanges(&columns) == nil && len(columns.StartNs) > 0 {
			return columns.StartNs[0]
		}
	}
	return 0
}

// lastExchange gives the last time in the last exchange segment that can be
// read, 0 when there is none.
func (c *Capture) lastExchange() int64 {
	var columns format.ExchangeColumns
	for i := len(c.segments) - 1; i >= 0; i-- {
		if c.segments[i].ReadExchanges(&columns) != nil {
			continue
		}
		last := int64(0)
		for j, start := range columns.StartNs {
			last = max(last, start+columns.UploadNs[j]+columns.ServerNs[j]+columns.DownloadNs[j])
		}
		return last
	}
	return 0
}

// findDrift sets DriftNs.
func (c *Capture) findDrift() {
	for _, s := range c.Self {
		if s.RealtimeNs == 0 {
			continue
		}
		if change := s.RealtimeNs - s.TsNs - c.OffsetNs; max(change, -change) > max(c.DriftNs, -c.DriftNs) {
			c.DriftNs = change
		}
	}
}

// findStreams lists the sockets that carry the kernel's stream label on any
// row. Only columns socket_id and flags are read.
func (c *Capture) findStreams(ctx context.Context) error {
	c.Streams = map[int64]bool{}
	for _, segment := range c.segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		ids, err := segment.SocketsWithFlag(format.ExchangeStream)
		if err != nil {
			continue // Each meets the same damage and reports it
		}
		for _, id := range ids {
			c.Streams[id] = true
		}
	}
	return nil
}
