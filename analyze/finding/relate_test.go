package finding

import (
	"math"
	"testing"
)

func TestFisher(t *testing.T) {
	for _, c := range []struct {
		a, b, c, d int
		want       float64
	}{
		{3, 1, 1, 3, 17.0 / 70}, // Fisher's lady tasting tea
		{4, 0, 0, 4, 1.0 / 70},
		{0, 4, 4, 0, 1},
		{0, 0, 0, 0, 1},
	} {
		if got := fisher(c.a, c.b, c.c, c.d); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("fisher(%d, %d, %d, %d) = %v, want %v", c.a, c.b, c.c, c.d, got, c.want)
		}
	}
}

// The terms of a table that was made of such terms, and of one pair that was not.
func TestPolishTellsNodesFromPairs(t *testing.T) {
	late := map[pair]float64{}
	nodes := []string{"a", "b", "c", "d", "e"}
	for _, from := range nodes {
		for _, to := range nodes {
			late[pair{from, to}] = 0.1
			if to == "c" {
				late[pair{from, to}] += 2
			}
		}
	}
	late[pair{"a", "b"}] += 3
	m, ok := polish(late)
	if !ok || math.Abs(m.to["c"]-2) > 1e-9 || math.Abs(m.to["b"]) > 1e-9 || math.Abs(m.from["a"]) > 1e-9 || math.Abs(m.overall-0.1) > 1e-9 {
		t.Errorf("ok %v, overall %v, to %v, from %v", ok, m.overall, m.to, m.from)
	}
	if got := m.rest[pair{"a", "b"}]; math.Abs(got-3) > 1e-9 {
		t.Errorf("rest of the pair is %v, want 3", got)
	}
	if _, ok := polish(map[pair]float64{{"a", "b"}: 1, {"c", "d"}: 1}); ok {
		t.Error("two pairs are enough for a model")
	}
}

// noted is a rule that finds what it is told.
func noted(list ...Finding) rule {
	return rule{Spin, func(s *search) {
		for _, f := range list {
			if s.checks[f.Kind] == nil {
				s.checks[f.Kind] = &Check{Kind: f.Kind}
			}
			of := s.finding(f.Kind, f.Subject, span{int(f.StartNs), int(f.EndNs), 3})
			of.Confidence, of.Evidence = f.Confidence, []Evidence{fact("told", 1, "told")}
			s.add(of)
		}
	}}
}

// A disk's users, and who calls these, are explained by it; a stranger's trouble,
// and what began before it, are not. Causes stand before what they cause.
func TestRelatePutsCausesFirst(t *testing.T) {
	in := shopInLine().build(1)
	in.Disks = []Disk{{Node: 0, Name: "sda", Windows: make([]DiskWindow, len(in.Windows))}}
	in.Disks[0].Windows[5].Users = []DiskUser{{Instance: 0, IOs: 1}}
	disk := Finding{Kind: LimpingDisk, StartNs: 5, EndNs: 20, Confidence: 0.1, Subject: Subject{Type: "disk", Name: "sda of n1", Host: "n1"}}
	callee := Finding{Kind: SlowCallee, StartNs: 6, EndNs: 20, Confidence: 0.9, Subject: Subject{Type: "service", Name: "db", Service: "db"}}
	early := Finding{Kind: SlowNode, StartNs: 1, EndNs: 20, Confidence: 0.8, Subject: Subject{Type: "node", Name: "n1", Host: "n1"}}
	other := Finding{Kind: SlowNode, StartNs: 6, EndNs: 20, Confidence: 0.7, Subject: Subject{Type: "node", Name: "n2", Host: "n2"}}
	spread := Finding{Kind: Limplock, StartNs: 6, EndNs: 20, Confidence: 0.6, Subject: Subject{Type: "disk", Name: "sda of n1", Host: "n1"}}
	withRules(t, noted(spread, callee, other, disk, early))
	r := Find(in, nil, DefaultRules())
	at := map[Kind][]Finding{}
	place := map[string]int{}
	for i, f := range r.Findings {
		at[f.Kind] = append(at[f.Kind], f)
		place[f.ID] = i
	}
	root, of, lock := at[LimpingDisk][0], at[SlowCallee][0], at[Limplock][0]
	if len(of.CausedBy) != 2 || of.Severity != Info { // the disk, and the node that was slow before it
		t.Errorf("the callee is caused by %v, severity %s", of.CausedBy, of.Severity)
	}
	if root.Severity != Warning || len(root.Causes) != 2 || len(root.CausedBy) != 0 {
		t.Errorf("the disk: severity %s, causes %v, by %v", root.Severity, root.Causes, root.CausedBy)
	}
	if lock.Severity != Warning || place[lock.ID] < place[root.ID] {
		t.Errorf("limplock: severity %s, at %d, the disk at %d", lock.Severity, place[lock.ID], place[root.ID])
	}
	for _, f := range at[SlowNode] {
		if len(f.CausedBy) != 0 || f.Severity != Warning {
			t.Errorf("%s is caused by %v", f.ID, f.CausedBy)
		}
	}
	for _, f := range r.Findings {
		for _, id := range f.CausedBy {
			if place[id] >= place[f.ID] {
				t.Errorf("%s stands before its cause %s", f.ID, id)
			}
		}
	}
}
