package record

import "kmon/format"

// appendOpenIOs writes the IOs that had not ended; the hooks must be detached.
func (r *recorder) appendOpenIOs() error {
	rows, err := r.session.OpenIOs()
	if err != nil {
		return err
	}
	return format.Append(r.writer, rows...)
}
