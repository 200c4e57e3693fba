package format

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// StopRepaired is the stop reason of a capture that Repair made of one without an
// orderly end: what its last seconds and its summary would have told is missing.
const StopRepaired = "repaired"

// Repair writes a sound capture to dst from what can be read of src; it never
// overwrites. Sound segments are copied as they are and numbered anew, damaged
// ones are left out. final.json gets what is known: the original's summary when
// src has one, else stop reason "repaired" and the time of the last row. Its
// Error says what was missing, and a mark "repair" stands in the capture. Rows
// that the original's summary counts and nobody can read become Loss rows with
// cause LossDamage. The report has the problems of src and the rows of dst. It gives up with
// ctx, and leaves nothing.
func Repair(ctx context.Context, src, dst string) (Report, error) {
	c, err := Open(src)
	if err != nil {
		return Report{}, err
	}
	defer c.Close()
	return c.repair(ctx, dst, WriterOptions{})
}

func (c *Capture) repair(ctx context.Context, dst string, o WriterOptions) (Report, error) {
	manifest, err := c.manifestForRepair()
	if err != nil {
		return Report{}, err
	}
	w, err := createWriter(dst, manifest, o)
	if err != nil {
		return Report{}, err
	}
	w.nowNs = c.Manifest.Clock.MonotonicNs
	if err := w.copySegments(ctx, c); err != nil {
		return Report{}, errors.Join(err, w.archive.f.Close(), w.dir.Remove(w.name+partSuffix), w.dir.Close())
	}
	w.startEncoder()
	final := c.finalForRepair()
	err = errors.Join(
		Append(w, Mark{TsNs: final.EndNs, Kind: "repair", Text: final.Error}),
		Append(w, c.lossesForRepair(w.Rows())...),
		w.Close(final))
	r := Report{File: c.Path, Size: c.Size, Entries: len(c.entries), Rows: w.Rows(), Problems: c.Problems()}
	maps.Copy(r.Rows, w.copied)
	return r, err
}

// manifestForRepair gives the bytes of manifest.json, or of one that says that
// it was lost.
func (c *Capture) manifestForRepair() ([]byte, error) {
	if data, err := c.readJSON(manifestName); err == nil {
		return data, nil
	}
	m := Manifest{Format: formatName, Version: Version, KmonVersion: "unknown", Host: Host{Name: "unknown"}}
	data, err := json.MarshalIndent(m, "", "  ")
	return append(data, '\n'), err
}

// copySegments copies every segment that can be decoded.
func (w *Writer) copySegments(ctx context.Context, c *Capture) error {
	for _, name := range c.Tables() {
		var allowed allowance
		for _, s := range c.segments[name] {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := s.read(func(o *openSegment) error {
				if err := allowed.take(o); err != nil {
					return err
				}
				if _, err := o.readAll(tableNamed(name)); err != nil {
					return err
				}
				if err := w.copySegment(s, o); err != nil {
					return stop{err}
				}
				return nil
			})
			if err != nil && !isFileError(err) {
				return err
			}
		}
	}
	return nil
}

// copySegment copies one segment under the next number of its table.
func (w *Writer) copySegment(s Segment, o *openSegment) error {
	for _, k := range w.sinks {
		if k.table().name == s.Table {
			return k.copySegment(o.entry, int64(o.rows))
		}
	}
	w.copied[s.Table] += int64(o.rows)
	return w.addEntry(s.entry.name, o.entry)
}

// finalForRepair is the summary of what is left.
func (c *Capture) finalForRepair() Final {
	f := Final{StopReason: StopRepaired}
	if c.Final != nil {
		f = *c.Final
	} else {
		f.EndNs = c.lastNs()
		if clock := c.Manifest.Clock; f.EndNs > 0 && clock.RealtimeNs > 0 {
			f.EndUnixNs = f.EndNs - clock.MonotonicNs + clock.RealtimeNs
		}
	}
	var what []string
	for _, p := range c.Problems() {
		what = append(what, strings.TrimSpace(p.Entry+" "+p.What))
	}
	note := "repaired"
	if len(what) > 0 {
		note += fmt.Sprintf(": %s", strings.Join(what[:min(len(what), 5)], "; "))
	}
	f.Error = strings.TrimPrefix(f.Error+"; "+note, "; ")
	return f
}

// lossesForRepair are the rows that final.json counts beyond those copied. When
// exactly they happened is not known: during the recording.
func (c *Capture) lossesForRepair(copied map[string]int64) []Loss {
	if c.Final == nil {
		return nil
	}
	var losses []Loss
	for _, t := range tables {
		if lost := c.Final.Rows[t.name] - copied[t.name]; lost > 0 {
			losses = append(losses, Loss{StartNs: c.Manifest.Clock.MonotonicNs, EndNs: c.Final.EndNs,
				Collector: t.collector(), Table: t.name, Cause: LossDamage, Count: lost})
		}
	}
	return losses
}

// collector is the family of events that fills the table.
func (t *table) collector() string {
	switch t.name {
	case "exchanges", "sockets":
		return "tcp"
	case "procs":
		return "proc"
	default:
		return "recorder"
	}
}

// lastNs is the latest time in the tables that always tick, 0 when there is
// none.
func (c *Capture) lastNs() int64 {
	last := c.lastSelf()
	var cols ExchangeColumns
	for _, s := range slices.Backward(c.segments["exchanges"]) {
		if s.ReadExchanges(&cols) != nil || len(cols.StartNs) == 0 {
			continue
		}
		for i, start := range cols.StartNs {
			last = max(last, start+cols.UploadNs[i]+cols.ServerNs[i]+cols.DownloadNs[i])
		}
		break
	}
	return last
}
