package reports

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"kmon/analyze"
)

const (
	hintCores      = "CPUs used, on average over the recording: 1 is one CPU all the time"
	hintQueue      = "time that threads could have run but waited for a CPU, all of them together"
	hintMeanQueue  = "wait for a CPU before each turn on one, on average"
	hintPerRequest = "CPU time by the requests served"
	hintVoluntary  = "switches because a thread waited for something, a second"
	hintForced     = "switches while a thread could have run on, a second"
	hintBack       = "wake-ups the other way: as many mean that the two work by turns"
	hintWaits      = "time of all threads together: two that wait a second are two seconds"
)

// workers gives the services whose threads were recorded, those that used
// most CPU first.
func workers(a *analyze.Analysis) []service {
	list := slices.DeleteFunc(copied(a.Services), func(s service) bool { return s.CPU == nil })
	slices.SortStableFunc(list, func(a, b service) int {
		return cmp.Or(cmp.Compare(b.CPU.OnCPUNs, a.CPU.OnCPUNs), cmp.Compare(b.CPU.RunQueueNs, a.CPU.RunQueueNs), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// cpuColumns are the columns of what threads did on the CPUs.
func cpuColumns[T any](a *analyze.Analysis, of func(*T) *analyze.CPU) []spec[T] {
	perS := func(n int64) cell {
		if a.RecordedNs() <= 0 {
			return cell{Text: absent}
		}
		return cell{Text: rateText(float64(n) * 1e9 / float64(a.RecordedNs()))}
	}
	return []spec[T]{
		number("CPUs", hintCores, 0, func(t *T) cell { return cell{Text: coresText(of(t).Cores)} }),
		number("CPU time", "", 2, func(t *T) cell { return lasting(of(t).OnCPUNs) }),
		odd("CPU / request", hintPerRequest, 1, func(t *T) cell { return optional(of(t).OnCPUPerRequestNs, DurationText) }),
		number("Run queue", hintQueue, 0, func(t *T) cell { return lasting(of(t).RunQueueNs) }),
		number("Each turn", hintMeanQueue, 1, func(t *T) cell { return lasting(of(t).MeanQueueNs) }),
		number("Waits", hintVoluntary, 4, func(t *T) cell { return perS(of(t).Voluntary) }),
		number("Preempted", hintForced, 3, func(t *T) cell { return perS(of(t).Involuntary) }),
	}
}

// cpuTable lists what each service used of the CPUs.
func cpuTable(a *analyze.Analysis) table {
	specs := []spec[service]{{column{Head: "Service", Kind: kindName}, func(s *service) cell { return named(s.Name) }}}
	specs = append(specs, cpuColumns(a, func(s *service) *analyze.CPU { return s.CPU })...)
	specs = append(specs, number("Coverage", hintCoverage, 2, func(s *service) cell { return covered(s.CPU.Coverage, true) }))
	t := build("cpu", "CPU", workers(a), specs)
	t.Note = joinNotes(cutNote(a), lossNote(a, "intervals"))
	return t
}

// waitWords are the columns of waitsTable, what holds a service up first.
var waitWords = []struct{ word, head, hint string }{
	{"lock", "Lock", "a lock that another thread holds"},
	{"disk", "Disk", "a disk, or a file system's work on it"},
	{"page-fault", "Page fault", "memory that has to be read in or freed first"},
	{"preempted", "Preempted", "a CPU, after it was taken away"},
	{"network", "Network", "one peer: data, or room to send"},
	{"callee", "Callee", "an event loop while requests of the service to others were unanswered: at most so long, requests at the same time count each"},
	{"futex", "Futex", "a lock, a condition, or work for a pool's thread: the kernel cannot tell; user stacks can"},
	{"poll", "Poll", "an event loop: work or an answer, requests were not recorded"},
	{"pipe", "Pipe", "another process at a pipe or message queue"},
	{"child", "Child", "a child process to end"},
	{"sleep", "Sleep", "time to pass"},
	{"other", "Other", "something no rule knows, or the stack was not taken"},
	{"idle", "Idle", "work: a loop, a pool's thread or a server with nothing to do"},
}

// waitOf gives the wait of a service for something.
func waitOf(s *service, word string) analyze.Wait {
	for _, w := range s.OffCPU {
		if w.For == word {
			return w
		}
	}
	return analyze.Wait{}
}

// waitsTable lists what the threads of each service waited for.
func waitsTable(a *analyze.Analysis) table {
	list := slices.DeleteFunc(workers(a), func(s service) bool { return len(s.OffCPU) == 0 })
	specs := []spec[service]{{column{Head: "Service", Kind: kindName}, func(s *service) cell { return named(s.Name) }}}
	for rank, w := range waitWords {
		specs = append(specs, odd(w.head, w.hint, rank, func(s *service) cell {
			o := waitOf(s, w.word)
			if o.Count == 0 && o.TotalNs == 0 {
				return cell{Text: absent}
			}
			return lasting(o.TotalNs)
		}))
	}
	t := build("waits", "What was waited for", list, specs)
	t.Note = joinNotes(waitsNote(a), cutNote(a), lossNote(a, "offcpu", "stacks", "frames"))
	return t
}

// waitsNote says what the numbers of waits are.
func waitsNote(a *analyze.Analysis) string {
	note := "Time of all threads together"
	if a.OffCPUMinNs > 0 {
		note += "; waits under " + roundText(a.OffCPUMinNs) + " are not in it"
	}
	return note + "."
}

// cutNote says how sums over intervals are cut.
func cutNote(a *analyze.Analysis) string {
	if a.Filter.Since == "" && a.Filter.Until == "" {
		return ""
	}
	return "Intervals that reach beyond --since or --until count by the part within."
}

// cpuDefinitions explains the words of these tables.
func cpuDefinitions(a *analyze.Analysis) []definition {
	if a.Threads == nil {
		return nil
	}
	list := []definition{
		{"CPUs", "CPU time by the time that was recorded: 2 means that two CPUs were busy all the time, or four half of it."},
		{"Run queue", "Time that threads could have run but waited for a CPU, all threads together. Each turn: the same for one turn on a CPU, on average."},
		{"What was waited for", "Told by the function of the kernel that a thread slept in, and of the program where stacks of it were recorded. All threads together: a pool of 50 idle threads waits 50 seconds a second."},
	}
	for _, w := range waitWords {
		if slices.ContainsFunc(a.Services, func(s service) bool { return waitOf(&s, w.word).TotalNs > 0 }) {
			list = append(list, definition{"Waited for: " + w.word, strings.ToUpper(w.hint[:1]) + w.hint[1:] + "."})
		}
	}
	return list
}

// wait is a wait with its service.
type wait struct {
	analyze.Wait
	service string
	series  analyze.SumSeries
}

// allWaits are those of all services.
func allWaits(a *analyze.Analysis) []wait {
	all := []wait{}
	for _, s := range workers(a) {
		for i, w := range s.OffCPU {
			one := wait{Wait: w, service: s.Name}
			if i < len(s.WaitCounts) {
				one.series = s.WaitCounts[i]
			}
			all = append(all, one)
		}
	}
	return all
}

// waitDetailsTable lists each kind of wait with its count and longest.
func waitDetailsTable(a *analyze.Analysis) table {
	t := build("wait-details", "Waits by kind", allWaits(a), []spec[wait]{
		{column{Head: "Service", Kind: kindName}, func(w *wait) cell { return named(w.service) }},
		{column{Head: "Waited for"}, func(w *wait) cell { return word(w.For) }},
		number("Waits", "", 0, func(w *wait) cell { return counted(w.Count) }),
		number("Total", hintWaits, 0, func(w *wait) cell { return lasting(w.TotalNs) }),
		number("Longest", "", 0, func(w *wait) cell { return lasting(w.MaxNs) }),
		odd("Not ended", "waits that had not ended when the recording did", 0, func(w *wait) cell { return counted(w.Waiting) }),
	})
	t.Note = joinNotes(waitsNote(a), cutNote(a), lossNote(a, "offcpu", "stacks", "frames"))
	return t
}

// threadsTable lists the busiest threads.
func threadsTable(a *analyze.Analysis) table {
	type thread = analyze.Thread
	specs := []spec[thread]{
		{column{Head: "Service", Kind: kindName}, func(t *thread) cell { return named(t.Service) }},
		{column{Head: "Thread", Kind: kindName}, func(t *thread) cell { return named(t.Comm) }},
		{column{Head: "TID", Kind: kindNumber}, func(t *thread) cell { return word(strconv.Itoa(int(t.TID))) }},
	}
	specs = append(specs, cpuColumns(a, func(t *thread) *analyze.CPU { return &t.CPU })...)
	if len(a.Captures) > 1 {
		specs = append(specs, spec[thread]{column{Head: "File", Kind: kindName, Rank: 5}, func(t *thread) cell { return named(t.Capture) }})
	}
	t := build("threads", "Busiest threads", a.Threads, specs)
	t.Note = joinNotes(cutNote(a), lossNote(a, "intervals"))
	return t
}

// wakesTable lists who wakes whom.
func wakesTable(a *analyze.Analysis) table {
	type pair = analyze.WakePair
	t := build("wakes", "Who wakes whom", a.Wakes, []spec[pair]{
		{column{Head: "Waker", Kind: kindName}, func(w *pair) cell { return named(threadText(w.WakerService, w.WakerComm, w.WakerTID)) }},
		{column{Head: "Woken", Kind: kindName}, func(w *pair) cell { return named(threadText(w.Service, w.Comm, w.TID)) }},
		number("Wake-ups", "", 0, func(w *pair) cell { return counted(w.Count) }),
		number("Rate", "wake-ups a second", 0, func(w *pair) cell { return cell{Text: rateText(w.RatePerS)} }),
		number("Back", hintBack, 0, func(w *pair) cell { return counted(w.Back) }),
	})
	t.Note = joinNotes("A wake-up from an interrupt counts for the thread that was interrupted.", cutNote(a), lossNote(a, "wakes"))
	return t
}

// threadText names a thread; 0 is no thread.
func threadText(service, comm string, tid int32) string {
	if tid == 0 && service == "" {
		return "interrupt or idle CPU"
	}
	words := []string{service}
	if comm != service {
		words = append(words, comm)
	}
	return strings.Join(strings.Fields(strings.Join(append(words, strconv.Itoa(int(tid))), " ")), " ")
}

// syscallsTable lists what services called.
func syscallsTable(a *analyze.Analysis) table {
	type calls = analyze.SyscallCount
	t := build("syscalls", "System calls", a.Syscalls, []spec[calls]{
		{column{Head: "Service", Kind: kindName}, func(c *calls) cell { return named(c.Service) }},
		{column{Head: "Call", Kind: kindName}, func(c *calls) cell { return named(c.Name) }},
		{column{Head: "Kind", Kind: kindName, Hint: "what was counted", Rank: 5, Optional: true}, func(c *calls) cell {
			if c.Kind == "syscall" {
				return cell{Text: c.Kind, Tone: toneZero}
			}
			return word(c.Kind)
		}},
		number("Calls", "", 0, func(c *calls) cell { return counted(c.Count) }),
		number("Rate", "calls a second", 3, func(c *calls) cell { return cell{Text: rateText(c.RatePerS)} }),
		odd("Per request", "calls by the requests that the service served", 1, func(c *calls) cell {
			if c.PerRequest == nil {
				return cell{Text: absent}
			}
			return cell{Text: meanText(*c.PerRequest)}
		}),
		odd("Errors", "calls that failed", 0, func(c *calls) cell { return optional(c.Errors, CountText) }),
		odd("Time inside", "all calls together", 0, func(c *calls) cell { return optional(c.TotalNs, DurationText) }),
		odd("Longest", "", 4, func(c *calls) cell { return optional(c.MaxNs, DurationText) }),
	})
	t.Note = joinNotes(cutNote(a), lossNote(a, "syscalls"))
	return t
}

// fullest are the services with memory, most first.
func fullest(a *analyze.Analysis) []service {
	list := slices.DeleteFunc(copied(a.Services), func(s service) bool { return s.Memory == nil })
	slices.SortStableFunc(list, func(a, b service) int {
		return cmp.Compare(max(b.Memory.MaxRSSBytes, b.Memory.MaxCurrentBytes), max(a.Memory.MaxRSSBytes, a.Memory.MaxCurrentBytes))
	})
	return list
}

// memoryTable lists the memory of services.
func memoryTable(a *analyze.Analysis) table {
	t := build("memory", "Memory", fullest(a), []spec[service]{
		{column{Head: "Service", Kind: kindName}, func(s *service) cell { return named(s.Name) }},
		number("Resident", "largest sum over the processes of the service at one look", 0, func(s *service) cell { return cell{Text: orAbsent(s.Memory.MaxRSSBytes, BytesText)} }),
		number("At the end", "the same at the last look", 1, func(s *service) cell { return cell{Text: orAbsent(s.Memory.LastRSSBytes, BytesText)} }),
		odd("Cgroup", "largest memory charged to the service's cgroups, page cache included; cgroups shared with other services are left out", 0, func(s *service) cell { return cell{Text: orAbsent(s.Memory.MaxCurrentBytes, BytesText)} }),
		odd("Limit", "the least limit of its cgroups", 0, func(s *service) cell { return cell{Text: orAbsent(s.Memory.LimitBytes, BytesText)} }),
		odd("OOM kills", "processes killed for want of memory during the recording", 0, func(s *service) cell { return alarmed(s.Memory.OOMKills, toneBad) }),
	})
	t.Note = lossNote(a, "memory")
	return t
}

// lasting is a cell with a sum of time.
func lasting(ns int64) cell {
	if ns == 0 {
		return cell{Text: "0", Tone: toneZero}
	}
	return cell{Text: DurationText(ns)}
}

// optional is text(*v), or absent.
func optional(v *int64, text func(int64) string) cell {
	switch {
	case v == nil:
		return cell{Text: absent}
	case *v == 0:
		return cell{Text: "0", Tone: toneZero}
	}
	return cell{Text: text(*v)}
}

// coresText gives a number of CPUs.
func coresText(cores float64) string {
	switch {
	case cores == 0:
		return "0"
	case cores > 0 && cores < 0.0005:
		return "≤0.001"
	case cores > 0 && cores < 0.9995:
		return strconv.FormatFloat(cores, 'f', 3, 64)
	}
	return meanText(cores)
}

// lossNote says what is missing from the tables that numbers come from; ""
// when nothing is known to be.
func lossNote(a *analyze.Analysis, tables ...string) string {
	notes := []string{}
	for _, name := range tables {
		seen, lost := int64(0), int64(0)
		for i := range a.Captures {
			for _, c := range a.Captures[i].Coverage {
				if c.Table == name {
					seen += c.Seen
					lost += c.Lost
				}
			}
		}
		if lost > 0 {
			notes = append(notes, CountText(lost)+plural(int(lost), " row")+" of "+name+" are missing (coverage "+
				percentText(float64(seen)/float64(seen+lost))+")")
		}
	}
	for _, name := range tables {
		if ns := uncountedNs(a, name); ns > 0 {
			notes = append(notes, "for "+DurationText(ns)+" "+name+" were not recorded")
		}
	}
	if len(notes) == 0 {
		return ""
	}
	return strings.Join(notes, ", ") + ": the numbers are too low."
}

// joinNotes joins the sentences that say something.
func joinNotes(notes ...string) string {
	return strings.Join(slices.DeleteFunc(notes, func(s string) bool { return s == "" }), " ")
}
