package analyze

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"kmon/analyze/replay"
	"kmon/analyze/topology"
	"kmon/format"
)

const (
	// lowCoverage is the coverage below which counts say little.
	lowCoverage = 0.9
	// steadyCount is how many latencies make a p99 worth comparing.
	steadyCount = 50
	// clockWarnNs is the difference of clocks that is worth a word.
	clockWarnNs = 1e6
)

// verdict says in one sentence what to know first: what is wrong, what is
// missing, then what there was.
func (r *run) verdict(a *Analysis) string {
	missing := r.missing(a)
	clauses := append(found(a), missing...)
	if slices.ContainsFunc(r.captures, func(c *replay.Capture) bool { return c.Manifest.Synthetic != "" }) {
		clauses = append([]string{"no recording, but made by a program"}, clauses...)
	}
	clauses = append(clauses, r.traffic(a))
	if s := slowest(a.Services); s != nil {
		clauses = append(clauses, fmt.Sprintf("slowest: %s (p99 %s)", s.Name, duration(s.Latency.P99)))
	}
	clauses = append(clauses, failures(a.Edges)...)
	clauses = append(clauses, killed(a.Services)...)
	clauses = append(clauses, nodeFailures(a)...)
	clauses = append(clauses, unjudged(a)...)
	if len(missing) == 0 {
		clauses = append(clauses, "nothing was lost")
	}
	return strings.Join(clauses, "; ") + "."
}

// missing lists what the captures lack.
func (r *run) missing(a *Analysis) []string {
	var list []string
	var seen, lost, problems, cut int64
	for i, c := range a.Captures {
		for _, t := range c.Coverage {
			if t.Table == "exchanges" {
				seen += t.Seen
				lost += t.Lost
			}
		}
		problems += int64(r.captures[i].Damaged())
		if !c.EndsInOrder() && (r.captures[i].Final == nil || c.StopReason == format.StopRepaired) {
			cut++
		}
	}
	if dark := r.end - r.start - r.recordedNs; dark > 0 {
		list = append(list, "nothing is known of "+duration(dark)+" of the "+duration(r.end-r.start))
	}
	if lost > 0 {
		text := fmt.Sprintf("%s of %s exchanges were lost (coverage %s)", number(lost), number(seen+lost), coverageText(ratio(seen, lost)))
		if ratio(seen, lost) < lowCoverage {
			text += ", too many to trust counts"
		}
		list = append(list, text)
	}
	if other := otherLosses(a); other > 0 {
		list = append(list, number(other)+" other "+plural(other, "row was", "rows were")+" lost")
	}
	if text := shedText(a.LeftOut); text != "" {
		list = append(list, text)
	}
	if problems > 0 {
		list = append(list, number(problems)+" damaged "+plural(problems, "part was", "parts were")+" not read")
	}
	if cut > 0 {
		list = append(list, number(cut)+" of "+number(int64(len(a.Captures)))+plural(int64(len(a.Captures)), " capture has", " captures have")+" no orderly end")
	}
	return list
}

func otherLosses(a *Analysis) int64 {
	lost := int64(0)
	for _, c := range a.Captures {
		for _, t := range c.Coverage {
			if t.Table != "exchanges" {
				lost += t.Lost
			}
		}
	}
	return lost
}

// traffic counts services, edges and requests.
func (r *run) traffic(a *Analysis) string {
	services, external := int64(0), int64(0)
	for _, s := range a.Services {
		switch {
		case s.External:
			external++
		case s.Ends != "":
			services++
		}
	}
	requests := int64(0)
	for _, e := range a.Edges {
		requests += e.Requests
	}
	text := ""
	if len(r.options.Services) > 0 {
		text = "of " + strings.Join(r.options.Services, ", ") + " only: "
	}
	text += number(services) + plural(services, " service, ", " services, ")
	if external > 0 {
		text += number(external) + plural(external, " external peer, ", " external peers, ")
	}
	edges := int64(len(a.Edges))
	text += number(edges) + plural(edges, " edge, ", " edges, ")
	if requests == 0 {
		return text + "no request in " + duration(r.recordedNs)
	}
	return text + number(requests) + plural(requests, " request in ", " requests in ") + duration(r.recordedNs)
}

// slowest gives the service with the highest p99, among those with many
// latencies if there are any.
func slowest(services []Service) *Service {
	var best *Service
	for i := range services {
		s := &services[i]
		if s.Latency.Count == 0 {
			continue
		}
		if best == nil || steady(s) && !steady(best) ||
			steady(s) == steady(best) && s.Latency.P99 > best.Latency.P99 {
			best = s
		}
	}
	return best
}

func steady(s *Service) bool { return s.Latency.Count >= steadyCount }

// failures names the edge with the most of each kind of failure.
func failures(edges []Edge) []string {
	var list []string
	kinds := []struct {
		one, many string
		count     func(*Edge) int64
	}{
		{"reset", "resets", func(e *Edge) int64 { return e.Resets }},
		{"unanswered request", "unanswered requests", func(e *Edge) int64 { return e.Unanswered }},
		{"failed connect", "failed connects", func(e *Edge) int64 { return e.Failed }},
	}
	for _, k := range kinds {
		var worst *Edge
		total := int64(0)
		for i := range edges {
			n := k.count(&edges[i])
			total += n
			if n > 0 && (worst == nil || n > k.count(worst)) {
				worst = &edges[i]
			}
		}
		if worst == nil {
			continue
		}
		n := k.count(worst)
		text := number(total) + " " + plural(total, k.one, k.many)
		if total > n {
			text += ", " + number(n) + " of them"
		}
		list = append(list, text+" on "+worst.Client+" → "+worst.Server)
	}
	return list
}

// nodeFailures names the disk with the most failed IOs and the listener that
// turned most connections away. Of a failure that a loop device or a mapping
// passes on, only the disk below is named.
func nodeFailures(a *Analysis) []string {
	var list []string
	failed, errors := "", int64(0)
	for _, d := range a.Disks {
		if len(d.Below) == 0 && d.Errors > errors {
			failed, errors = d.Name, d.Errors
		}
	}
	if errors > 0 {
		list = append(list, number(errors)+plural(errors, " IO", " IOs")+" of disk "+failed+" failed")
	}
	if len(a.AcceptQueues) > 0 && a.AcceptQueues[0].Overflows > 0 {
		q := a.AcceptQueues[0]
		name := q.Address
		if q.Service != "" {
			name = q.Service + " (" + q.Address + ")"
		}
		list = append(list, name+" turned "+number(q.Overflows)+plural(q.Overflows, " connection", " connections")+" away, its accept queue was full")
	}
	return list
}

// killed names the services with processes killed for want of memory.
func killed(services []Service) []string {
	var list []string
	for i := range services {
		if m := services[i].Memory; m != nil && m.OOMKills > 0 {
			list = append(list, number(m.OOMKills)+plural(m.OOMKills, " process", " processes")+" of "+services[i].Name+
				plural(m.OOMKills, " was", " were")+" killed for want of memory")
		}
	}
	return list
}

// warnings lists what the reader should know before trusting the numbers.
func (r *run) warnings(a *Analysis) []string {
	list := []string{}
	warn := func(text string, args ...any) { list = append(list, fmt.Sprintf(text, args...)) }
	for i, c := range r.captures {
		file := a.Captures[i].File
		if c.Manifest.Synthetic != "" {
			warn("%s is no recording: %s", file, c.Manifest.Synthetic)
		}
		list = append(list, r.gapWarnings(c, file)...)
		if c.Final == nil {
			warn("%s has no orderly end: the recorder was stopped hard, is still recording, or the file was cut; its last moments are missing", file)
		}
		if f := c.Final; f != nil && f.StopReason == format.StopRepaired {
			warn("%s had no orderly end and was repaired; its last moments are missing, and what it lost was not counted", file)
		}
		if f := c.Final; f != nil && f.Error != "" && (f.StopReason == "disk" || f.StopReason == "error") {
			warn("%s: the recording ended before it should: %s", file, f.Error)
		}
		if n := c.Damaged(); n > 0 {
			warn("%s: %d damaged parts were not read, counts are too low", file, n)
		}
		for _, t := range a.Captures[i].Coverage {
			if t.Lost > 0 {
				warn("%s: %s rows of %s are missing (coverage %s)", file, number(t.Lost), t.Table, coverageText(t.Ratio))
			}
		}
		for _, k := range c.Manifest.Collectors {
			if lacks := joined(missed(k.Missing), ": "); lacks != "" {
				warn("%s: collector %s lacks %s", file, k.Name, lacks)
			}
		}
		if drift := max(c.DriftNs, -c.DriftNs); drift > clockWarnNs {
			warn("%s: the wall clock moved by %s against the monotonic clock: it was set, or the machine was suspended; times are those of the clock at the start", file, duration(drift))
		}
		if n := c.Sockets.Guessed; n > 0 {
			warn("%s: which end is the server was guessed by port for %s sockets", file, number(n))
		}
	}
	list = append(list, leftOutWarnings(a.LeftOut)...)
	list = append(list, r.pairWarnings()...)
	list = append(list, r.sameWarnings(a)...)
	list = append(list, r.remarks...)
	for _, name := range r.options.Services {
		if !slices.ContainsFunc(a.Services, func(s Service) bool { return s.Name == name }) {
			warn("%s%s%s", NoService, name, r.servicesThere())
		}
	}
	return list
}

// NoService begins the warning that a service of Options.Services is not there.
const NoService = "no service is named "

// maxServicesThere is how many services that warning names.
const maxServicesThere = 12

// servicesThere names the recorded services with traffic; "": there are none.
func (r *run) servicesThere() string {
	var names []string
	for _, s := range r.topology.Services {
		if !s.External {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	names = slices.Compact(names)
	text := "; there are " + strings.Join(names[:min(len(names), maxServicesThere)], ", ")
	if more := len(names) - maxServicesThere; more > 0 {
		text += fmt.Sprintf(" and %d more with traffic", more)
	}
	return text
}

// pairWarnings tells of doubts about what was matched.
func (r *run) pairWarnings() []string {
	list := r.clockWarnings()
	var matched, reversed int64
	for _, s := range r.total.Cells {
		if s != nil {
			matched += s.Matched
			reversed += s.Reversed
		}
	}
	if reversed > 0 {
		list = append(list, fmt.Sprintf("%s of %s requests seen on both ends took longer on the server's end than on the client's; they are left out of network times",
			number(reversed), number(matched)))
	}
	if n := r.total.Unlinked; n > 0 {
		list = append(list, fmt.Sprintf("%s exchanges are on sockets that their capture does not describe; their peer is %q",
			number(n), topology.UnknownPeer))
	}
	return list
}

// sameWarnings tells of captures that count the same traffic.
func (r *run) sameWarnings(a *Analysis) []string {
	var list []string
	for i, c := range r.captures {
		for j, o := range r.captures[:i] {
			boot := c.Manifest.Host.BootID
			together := c.StartNs < o.EndNs && o.StartNs < c.EndNs
			switch {
			case a.Captures[i].SHA256 == a.Captures[j].SHA256:
				list = append(list, fmt.Sprintf("%s and %s are the same capture: everything in it counts twice", a.Captures[j].File, a.Captures[i].File))
			case boot != "" && boot == o.Manifest.Host.BootID && together:
				list = append(list, fmt.Sprintf("%s and %s recorded one host at the same time: what both saw counts twice", a.Captures[j].File, a.Captures[i].File))
			}
		}
	}
	return list
}

// number writes a count with separators.
func number(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// coverageText gives a coverage as percent, as reports do: rounded down, so that
// 100% means that nothing was lost.
func coverageText(coverage float64) string {
	hundredths := int64(coverage*1e4 + 1e-9)
	return strconv.FormatFloat(float64(hundredths)/100, 'f', -1, 64) + "%"
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// duration writes a duration with three digits.
func duration(ns int64) string {
	for _, unit := range []struct {
		ns   int64
		name string
	}{{int64(time.Second), "s"}, {int64(time.Millisecond), "ms"}, {int64(time.Microsecond), "µs"}} {
		if ns >= unit.ns {
			v := float64(ns) / float64(unit.ns)
			switch {
			case v >= 100:
				return fmt.Sprintf("%.0f %s", v, unit.name)
			default:
				return fmt.Sprintf("%.1f %s", v, unit.name)
			}
		}
	}
	return fmt.Sprintf("%d ns", ns)
}

// Failed says that the recorder was told to run the collector, and it recorded
// nothing.
func (c Collector) Failed() bool {
	return c.Variant == "" && c.Missing != "" && !c.notAsked()
}

// notAsked says that the recorder was not told to run the collector: nothing to
// warn about.
func (c Collector) notAsked() bool {
	return c.Variant == "" && strings.Contains(c.Missing, ": "+notAsked)
}

// notAsked begins why an indicator is missing that nobody asked for.
const notAsked = "not asked for"

// missed gives those of the missing indicators that were asked for.
func missed(missing map[string]string) map[string]string {
	list := maps.Clone(missing)
	maps.DeleteFunc(list, func(_, why string) bool { return strings.HasPrefix(why, notAsked) })
	return list
}
