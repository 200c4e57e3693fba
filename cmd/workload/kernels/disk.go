package main

import (
	"fmt"
	"path/filepath"

	"kmon/format"
)

// checkDisks holds the IOs of a capture on the disk of the loads against what
// they did there. The IOs follow each other, so that they cannot have taken
// longer than the load waited for them; how much less depends on the machine.
func checkDisks(r *result, capture *format.Capture, truths []truth) error {
	disks, err := format.All[format.Disk](capture)
	if err != nil {
		return err
	}
	ios, err := format.All[format.IO](capture)
	if err != nil {
		return err
	}
	names := map[int64]string{}
	for _, d := range disks {
		names[d.DeviceID] = d.Name
	}
	for _, truth := range truths {
		for _, want := range truth.Disks {
			got := disk{PID: want.PID}
			for _, io := range ios {
				if names[io.DeviceID] == filepath.Base(loadDisk) {
					got.add(r, io)
				}
			}
			took := got.TookNs
			got.TookNs = want.TookNs
			r.expect("IOs of the disk", got, want)
			if took > want.TookNs || took < want.TookNs/10 {
				r.fail(fmt.Errorf("IOs took %d ns, and the load waited %d for them", took, want.TookNs))
			}
		}
	}
	return nil
}

// add counts one IO.
func (d *disk) add(r *result, io format.IO) {
	switch io.Op {
	case format.OperationRead:
		d.Reads, d.ReadBytes = d.Reads+1, d.ReadBytes+io.Bytes
	case format.OperationWrite:
		d.Writes, d.WriteBytes = d.Writes+1, d.WriteBytes+io.Bytes
	case format.OperationFlush:
		d.Flushes++
	}
	if io.Op != format.OperationFlush {
		r.expect("who asked for an IO", io.PID, d.PID)
	}
	d.TookNs += io.QueueNs + io.DeviceNs
}
