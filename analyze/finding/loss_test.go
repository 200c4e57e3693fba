package finding

import (
	"testing"
)

// lossy makes the picked edges lose a share of their packets from window 9 on.
func lossy(in *Input, rate float64, pick func(*Edge) bool) *Input {
	for i := range in.Edges {
		e := &in.Edges[i]
		for w := 9; w < len(e.Windows) && pick(e); w++ {
			e.Windows[w].Retransmits = int64(rate * 2 * float64(e.Windows[w].AtClient.Count))
		}
	}
	return in
}

func TestRetransmissionsOfAWayAndOfANode(t *testing.T) {
	expect(t, Retransmission, "n1 → n3", func(seed uint64) *Input {
		return lossy(shopOn(4).build(seed), 0.05, func(e *Edge) bool { return e.Client.Host == "n1" && e.Server.Host == "n3" })
	})
	expect(t, Retransmission, "n2", func(seed uint64) *Input {
		return lossy(shopOn(4).build(seed), 0.05, func(e *Edge) bool { return (e.Client.Host == "n2") != (e.Server.Host == "n2") })
	})
}

func TestRetransmissionsThatAreNone(t *testing.T) {
	every := func(e *Edge) bool { return e.ClientRecorded }
	for name, in := range map[string]*Input{
		"a few":        lossy(shopOn(3).build(1), 0.004, every),
		"not recorded": lossy(shopOn(3).build(1), -1, every),
	} {
		if f := Find(in, nil, DefaultRules()).of(Retransmission); len(f) != 0 {
			t.Errorf("%s: %s", name, f[0].Title)
		}
	}
	usual := func(seed uint64) *Input {
		in := lossy(shopOn(3).build(seed), 0.02, every)
		for i := range in.Edges {
			for w := range 9 {
				in.Edges[i].Windows[w].Retransmits = in.Edges[i].Windows[9].Retransmits
			}
		}
		return in
	}
	if f := Find(usual(1), usual(2), DefaultRules()).of(Retransmission); len(f) != 0 {
		t.Errorf("as many as in the healthy capture: %s", f[0].Title)
	}
	in := lossy(shopOn(3).build(1), 0.05, every)
	for node := range in.Nodes {
		for w := range in.Windows {
			in.covered(node, w, 0.7)
		}
	}
	r := Find(in, nil, DefaultRules())
	if c := r.check(Retransmission); len(r.of(Retransmission)) != 0 || c.NotRecorded == "" && len(c.Insufficient) == 0 {
		t.Errorf("with a coverage of 0.7: %+v", c)
	}
}

func TestListenOverflow(t *testing.T) {
	in := shopInLine().build(1)
	l := Listener{Instance: 0, Node: 0, Address: "0.0.0.0:8000", Limit: 128, Windows: make([]ListenerWindow, len(in.Windows))}
	for w := range l.Windows {
		l.Windows[w].MaxDepth = 3
	}
	find := func(change func(*Listener)) Result {
		c := l
		c.Windows = append([]ListenerWindow{}, l.Windows...)
		change(&c)
		in.Listeners = []Listener{c}
		return Find(in, nil, DefaultRules())
	}
	fill := func(from, to int, n int64) func(*Listener) {
		return func(l *Listener) {
			for w := from; w < to; w++ {
				l.Windows[w] = ListenerWindow{MaxDepth: 129, Overflows: n}
			}
		}
	}
	if f := find(fill(4, 9, 40)).of(ListenOverflow); len(f) != 1 || f[0].Severity != Warning || f[0].Evidence[0].Value != 200 || f[0].Subject.Service != "db" {
		t.Errorf("200 in five windows: %+v", f)
	}
	if f := find(fill(4, 5, 40)).of(ListenOverflow); len(f) != 1 || f[0].Severity != Info {
		t.Errorf("a burst: %+v", f)
	}
	if f := find(fill(4, 9, 1)).of(ListenOverflow); len(f) != 0 {
		t.Errorf("one now and then: %+v", f)
	}
	for w := range in.Windows {
		in.covered(0, w, 0.7)
	}
	if r := find(fill(4, 9, 40)); len(r.of(ListenOverflow)) != 0 || len(r.check(ListenOverflow).Insufficient) != 1 {
		t.Errorf("with a coverage of 0.7: %+v", r.check(ListenOverflow))
	}
}
