package finding

import (
	"fmt"
	"math"
)

// The kernel counts the connections that it turned away because an accept queue
// was full: min_overflows in a window are no accident.
func findListenOverflow(s *search) {
	check := s.checks[ListenOverflow]
	recorded := len(s.in.Listeners) > 0
	for _, n := range s.in.Nodes {
		for _, w := range n.Windows {
			recorded = recorded || w.Coverage.AcceptQueues >= 0
		}
	}
	if !recorded {
		check.NotRecorded = "accept queues (collector drop)"
		return
	}
	for i := range s.in.Listeners {
		s.judgeListener(&s.in.Listeners[i])
	}
}

func (s *search) judgeListener(l *Listener) {
	hold := make([]bool, len(s.in.Windows))
	known := 0
	for w := range hold {
		v := l.Windows[w]
		if l.Node < 0 || l.Node >= len(s.in.Nodes) || v.Overflows < 0 || s.in.Nodes[l.Node].Windows[w].Coverage.AcceptQueues < s.rules.of(ListenOverflow, "min_coverage") {
			continue
		}
		known++
		// What was counted happened: a window that was recorded in part counts too.
		hold[w] = float64(v.Overflows) >= s.rules.of(ListenOverflow, "min_overflows")
	}
	least := int(s.rules.of(ListenOverflow, "min_windows"))
	if known < least {
		s.insufficient(ListenOverflow, l.Address, "overflows were not recorded, or too much was lost")
		return
	}
	s.checks[ListenOverflow].Judged++
	if run, ok := longest(hold, least); ok {
		s.reportListener(l, run)
	}
}

func (s *search) reportListener(l *Listener, run span) {
	subject := Subject{Type: "listener", Name: l.Address, Host: s.in.Nodes[l.Node].Name}
	who := "the listener"
	connects := int64(0)
	if l.Instance >= 0 && l.Instance < len(s.in.Instances) {
		in := &s.in.Instances[l.Instance]
		subject.Service, who = in.Service, in.Name
		connects = s.connectsTo(l.Instance, run)
	}
	turned, depth, coverage := int64(0), int32(0), 1.0
	for w := run.first; w <= run.last; w++ {
		turned += max(l.Windows[w].Overflows, 0)
		depth = max(depth, l.Windows[w].MaxDepth)
		coverage = min(coverage, s.in.Nodes[l.Node].Windows[w].Coverage.AcceptQueues)
	}
	f := s.finding(ListenOverflow, subject, run)
	f.Severity = Info
	f.Confidence = 0.9
	f.Coverage = math.Max(coverage, 0)
	f.Reference = "none: none should be turned away"
	f.Title = fmt.Sprintf("%s turned away %d connections at %s: its accept queue was full", who, turned, l.Address)
	f.Alternative = "a burst of connections that a longer queue would have held: the backlog is short."
	f.NextStep = fmt.Sprintf("on %s: `ss -ltn` (Recv-Q against Send-Q), `nstat -az TcpExtListenOverflows`; a longer backlog (listen(2), net.core.somaxconn), or see why accept(2) comes late", subject.Host)
	f.Evidence = []Evidence{fact("overflows", float64(turned), "%d connections were turned away in %d windows", turned, run.held).
		held(s.rules.of(ListenOverflow, "min_overflows"), 0)}
	if l.Limit > 0 {
		e := fact("max_depth", float64(depth), "up to %d waited in a queue of %d", depth, l.Limit).held(float64(l.Limit), math.NaN())
		if depth >= l.Limit {
			f.Evidence = append(f.Evidence, e)
		} else {
			f.CounterEvidence = append(f.CounterEvidence, e) // looked at once a second: a burst may pass between
		}
	}
	if connects > 0 {
		f.Evidence = append(f.Evidence, fact("connects", float64(connects), "%d connections to it were opened meanwhile", connects))
	}
	if run.held >= int(s.rules.of(ListenOverflow, "warning_windows")) || connects > 0 && float64(turned) >= s.rules.of(ListenOverflow, "warning_share")*float64(connects) {
		f.Severity = Warning
	}
	s.add(f)
}

// connectsTo counts the connections to an instance in a run.
func (s *search) connectsTo(instance int, run span) int64 {
	n := int64(0)
	for i := range s.in.Edges {
		if e := &s.in.Edges[i]; e.Server.Index == instance {
			for w := run.first; w <= run.last; w++ {
				n += max(e.Windows[w].Connects, 0)
			}
		}
	}
	return n
}
