package finding

import "testing"

// limp makes the disk of the node of the only db limp from window 9 on: its threads
// wait for it, it answers a tenth, and so do those that wait for it.
func limp(seed uint64, answers float64) *Input {
	m := shopInLine()
	m.own = func(instance, _ string, w int) float64 {
		if instance == "db-1" {
			return from9(w, 30)
		}
		return 1
	}
	in := m.build(seed)
	disk := Disk{Node: 0, Name: "sda", Windows: make([]DiskWindow, len(in.Windows))}
	for w := range in.Windows {
		for i := range in.Instances {
			v := &in.Instances[i].Windows[w]
			if w < 9 {
				continue
			}
			v.Served.Count, v.Asked.Count = int64(answers*float64(v.Served.Count)), int64(answers*float64(v.Asked.Count))
			v.OnCPUNs = int64(answers * float64(v.OnCPUNs))
		}
		db := &in.Instances[0].Windows[w]
		ns := db.Served.Count * milli
		if w >= 9 {
			ns = 30 * second
		}
		db.Waits.Disk = Wait{Count: db.Served.Count, TotalNs: ns}
		db.Waits.Network = Wait{Count: 1, TotalNs: second}
		disk.Windows[w].Users = []DiskUser{{Instance: 0, IOs: 100, TotalNs: ns}}
	}
	in.Disks = []Disk{disk}
	return in
}

func limpingDisk(first int) rule {
	return noted(Finding{Kind: LimpingDisk, StartNs: int64(first), EndNs: 23, Confidence: 0.9, Subject: Subject{Type: "disk", Name: "sda of n1", Host: "n1"}})
}

func TestLimplockSpreads(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers float64
		want    Severity
	}{
		{"all of them are stuck", 0.1, Warning}, // critical only against a healthy capture
		{"requests are late, as many as before", 1, Info},
	} {
		withRules(t, limpingDisk(9), rule{Limplock, findLimplock})
		for seed := range uint64(5) {
			found := Find(limp(seed, c.answers), nil, DefaultRules()).of(Limplock)
			if len(found) != 1 || found[0].Severity != c.want || found[0].Subject.Name != "sda of n1" || len(found[0].CausedBy) != 1 {
				t.Fatalf("%s: %+v", c.name, found)
			}
			if n := len(found[0].Evidence); n != 3 {
				t.Errorf("%s: evidence is %s; want the chain of db, cart and web", c.name, evidenceText(found[0]))
			}
		}
	}
	withRules(t, limpingDisk(9), rule{Limplock, findLimplock})
	in := limp(1, 0.1)
	if f := Find(in, limp(2, 1), DefaultRules()).of(Limplock); len(f) != 1 {
		t.Errorf("with a baseline: %+v", f)
	}
}

// Who waited long before the disk limped waits for something else; and nobody is
// held up by a disk that he does not use.
func TestLimplockNeedsItsCauseFirst(t *testing.T) {
	withRules(t, limpingDisk(16), rule{Limplock, findLimplock})
	if f := Find(limp(1, 0.1), nil, DefaultRules()).of(Limplock); len(f) != 0 {
		t.Errorf("found %s", f[0].Title)
	}
	withRules(t, limpingDisk(9), rule{Limplock, findLimplock})
	in := limp(1, 0.1)
	for w := range in.Disks[0].Windows {
		in.Disks[0].Windows[w].Users = nil
	}
	if f := Find(in, nil, DefaultRules()).of(Limplock); len(f) != 0 {
		t.Errorf("found %s", f[0].Title)
	}
}
