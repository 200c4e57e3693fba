package record

import (
	"errors"

	"kmon/format"
)

// appendNetEvents writes the network faults of the seconds that are over, at
// the end with last those of the second that was running.
func (r *recorder) appendNetEvents(nowNs int64, last bool) error {
	rows, err := r.session.NetEvents(nowNs, last)
	return errors.Join(err, format.Append(r.writer, rows...))
}
