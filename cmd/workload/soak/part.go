package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"kmon/format"
)

// parts is what the parts of the recording hold together.
type parts struct {
	counted  []string // their files, in order
	rows     tally
	lost     map[string]int64 // by table
	versions int              // of the configuration
}

// countParts counts the complete parts that are new. Their last is complete
// once the recording has ended.
func (s *soak) countParts(ended bool) error {
	paths, err := filepath.Glob(filepath.Join(s.dir, "soak-*.kmon"))
	if err != nil {
		return err
	}
	slices.Sort(paths)
	if s.parts.lost == nil {
		s.parts.rows, s.parts.lost = newTally(), map[string]int64{}
	}
	for _, path := range paths {
		if slices.Contains(s.parts.counted, path) {
			continue
		}
		want := filepath.Join(s.dir, fmt.Sprintf("soak-%06d.kmon", len(s.parts.counted)+1))
		if path != want {
			return fmt.Errorf("%s is there and %s is not", path, want)
		}
		if err := s.parts.count(path); err != nil {
			return err
		}
		s.parts.counted = append(s.parts.counted, path)
	}
	if ended && len(s.parts.counted) < 2 {
		return errors.New("the recording has no two parts")
	}
	return nil
}

// count adds what one part holds, which must be sound.
func (p *parts) count(path string) error {
	capture, err := format.Open(path)
	if err != nil {
		return err
	}
	defer capture.Close() // only read
	if problems := capture.Problems(); len(problems) > 0 || capture.Final == nil {
		return fmt.Errorf("%s is damaged: %v", path, problems)
	}
	if err := capture.CheckValid(); err != nil {
		return err
	}
	err = errors.Join(p.countExchanges(capture),
		format.ReadRows(capture, func(rows []format.IO) error {
			for _, io := range rows {
				if isOfLoad(io) {
					p.rows.ios[io.PID]++
				}
			}
			return nil
		}),
		format.ReadRows(capture, func(rows []format.Loss) error {
			for _, loss := range rows {
				p.lost[loss.Table] += loss.Count
			}
			return nil
		}),
		format.ReadRows(capture, func(rows []format.Config) error {
			p.versions += len(rows)
			return nil
		}))
	for _, loss := range capture.Unwritten() {
		p.lost[loss.Table] += loss.Count
	}
	return err
}

// isOfLoad says whether an IO is a read that the disk's load waited for. Its
// writes are not told from those that the file system makes of them.
func isOfLoad(io format.IO) bool {
	return io.Op == format.OperationRead && io.Flags == format.IOSync
}

// countExchanges counts the rows that end a request.
func (p *parts) countExchanges(capture *format.Capture) error {
	var columns format.ExchangeColumns
	for _, segment := range capture.Segments("exchanges") {
		if err := segment.ReadExchanges(&columns); err != nil {
			return err
		}
		for i, flags := range columns.Flags {
			switch {
			case flags&(format.ExchangePartial|format.ExchangeNoRequest) != 0:
			case flags&format.ExchangeClient != 0:
				p.rows.asked[columns.PID[i]]++
			default:
				p.rows.served[columns.PID[i]]++
			}
		}
	}
	return nil
}
