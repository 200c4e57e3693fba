package reports

import (
	"slices"
	"strings"

	"kmon/analyze"
)

// nodeSection is what one collector beside tcp told, in the order in which
// somebody who looks for lost time asks.
type nodeSection struct {
	ID, Title string
	Remarks   []string // what of it was not recorded, or that there was none
	Tables    []table  // those without rows are left out by the reports
	Details   []table  // long ones, for the reports that fold
}

// nodeSections are the sections in the order of every report: the CPUs and what
// was waited for, the disks, the network's faults, then the rest.
func nodeSections(a *analyze.Analysis) []nodeSection {
	return []nodeSection{
		{"cpus", "CPUs, and what was waited for", cpuRemarks(a),
			[]table{cpuTable(a), functionsTable(a, "on-cpu"), waitsTable(a), functionsTable(a, "off-cpu")},
			[]table{threadsTable(a), wakesTable(a), waitDetailsTable(a), pathsTable(a, "on-cpu"), pathsTable(a, "off-cpu")}},
		{"storage", "Disks", diskRemarks(a),
			[]table{disksTable(a), diskUsersTable(a)}, []table{diskOperationsTable(a)}},
		{"faults", "Network faults", networkRemarks(a),
			[]table{networkTable(a), acceptQueuesTable(a), dropsTable(a)}, nil},
		{"calls", "System calls and memory", callRemarks(a),
			[]table{syscallsTable(a), memoryTable(a)}, nil},
	}
}

// nodeTables are the tables of all sections.
func nodeTables(a *analyze.Analysis) (tables []table) {
	for _, s := range nodeSections(a) {
		tables = append(tables, s.Tables...)
	}
	return tables
}

// nodeDetails are their long tables.
func nodeDetails(a *analyze.Analysis) (tables []table) {
	for _, s := range nodeSections(a) {
		tables = append(tables, s.Details...)
	}
	return tables
}

// Parts that a collector may not have recorded.
const (
	partTCP    = "requests between services (collector tcp)"
	partCPU    = "CPU time and waits (collector cpu)"
	partStacks = "stacks (collector cpu)"
	partCalls  = "system calls (collector syscall)"
	partDisks  = "disks (collector block)"
	partFaults = "network faults (collector drop)"
	partMemory = "memory (of target processes)"
)

// notRecorded names what no capture recorded, and with which collector it is;
// "" when nothing is missing. Tables of what was not recorded are not there at
// all.
func notRecorded(a *analyze.Analysis) string {
	var missing []string
	for _, part := range []struct {
		absent bool
		what   string
	}{
		{!recordsTCP(a), partTCP}, {a.Threads == nil, partCPU}, {a.Syscalls == nil, partCalls}, {a.Disks == nil, partDisks}, {a.Drops == nil, partFaults},
	} {
		if part.absent {
			missing = append(missing, part.what)
		}
	}
	if len(missing) == 0 || len(a.Captures) == 0 {
		return ""
	}
	return "Not recorded: " + strings.Join(missing, ", ") + "."
}

// recordsTCP says whether any capture recorded requests.
func recordsTCP(a *analyze.Analysis) bool {
	return len(a.Edges) > 0 || slices.ContainsFunc(a.Captures, func(c analyze.Capture) bool {
		return c.Rows["exchanges"] > 0 || slices.ContainsFunc(c.Collectors, func(k analyze.Collector) bool { return k.Name == "tcp" })
	})
}

// leftOut says whether some of a collector's was left out for a time: that
// there is none of it then means nothing.
func leftOut(a *analyze.Analysis, collector string) bool {
	return slices.ContainsFunc(a.LeftOut, func(g analyze.LeftOut) bool { return g.Collector == collector })
}

// lacking says of a part that it was not recorded, else what the collector
// says it could not record.
func lacking(a *analyze.Analysis, absent bool, part, collector string) []string {
	remarks := []string{}
	if absent {
		remarks = append(remarks, "Not recorded: "+part+".")
	}
	for i := range a.Captures {
		for _, c := range a.Captures[i].Collectors {
			if said := cut(visible(c.Missing), proseHTML); c.Name == collector && said != "" {
				if len(a.Captures) > 1 {
					said = cut(visible(a.Captures[i].File), nameHTML) + ": " + said
				}
				remarks = append(remarks, "Not recorded by collector "+collector+": "+said+".")
			}
		}
	}
	return append(remarks, leftOutRemarks(a, collector)...)
}

func cpuRemarks(a *analyze.Analysis) []string {
	remarks := lacking(a, a.Threads == nil, partCPU, "cpu")
	switch {
	case a.Threads == nil, leftOut(a, "cpu"):
	case a.Flames == nil:
		remarks = append(remarks, "Not recorded: "+partStacks+".")
	case len(a.Flames) == 0:
		remarks = append(remarks, "No stack is in the recording: none was sampled, and nothing waited long enough.")
	}
	return remarks
}

func diskRemarks(a *analyze.Analysis) []string {
	remarks := lacking(a, a.Disks == nil, partDisks, "block")
	if a.Disks != nil && !leftOut(a, "block") && !slices.ContainsFunc(a.Disks, func(d disk) bool { return d.IOs > 0 }) {
		remarks = append(remarks, "No IO ended during the recording.")
	}
	return remarks
}

func networkRemarks(a *analyze.Analysis) []string {
	remarks := lacking(a, a.Drops == nil, partFaults, "drop")
	if a.Drops != nil && !slices.ContainsFunc(a.Network, faulty) {
		remarks = append(remarks, "Nothing that was recorded went wrong.")
	}
	return remarks
}

func callRemarks(a *analyze.Analysis) []string {
	remarks := lacking(a, a.Syscalls == nil, partCalls, "syscall")
	if a.Syscalls != nil && !leftOut(a, "syscall") && len(a.Syscalls) == 0 {
		remarks = append(remarks, "None of the calls that were counted was made.")
	}
	if !slices.ContainsFunc(a.Services, func(s service) bool { return s.Memory != nil }) {
		remarks = append(remarks, "Not recorded: "+partMemory+".")
	}
	return remarks
}

// faulty says whether anything went wrong on the sockets of a service.
func faulty(n networkCount) bool {
	for _, count := range []*int64{n.Retransmits, n.ResetsSent, n.ResetsReceived, n.Drops, n.Overflows} {
		if count != nil && *count > 0 {
			return true
		}
	}
	return false
}
