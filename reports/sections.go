package reports

import (
	"strings"

	"kmon/analyze"
)

// nodeTables are the tables of what the collectors beside tcp recorded, in the
// order in which somebody who looks for lost time asks: the CPUs, what was
// waited for, the disks, the network's faults, what was dropped, what was
// called. Tables without rows are left out by the reports.
func nodeTables(a *analyze.Analysis) []table {
	return []table{
		cpuTable(a),
		functionsTable(a, "on-cpu"),
		waitsTable(a),
		functionsTable(a, "off-cpu"),
		memoryTable(a),
		disksTable(a),
		diskUsersTable(a),
		networkTable(a),
		acceptQueuesTable(a),
		dropsTable(a),
		syscallsTable(a),
	}
}

// nodeDetails are their long tables, for the reports that fold.
func nodeDetails(a *analyze.Analysis) []table {
	return []table{
		threadsTable(a),
		wakesTable(a),
		waitDetailsTable(a),
		pathsTable(a, "on-cpu"),
		pathsTable(a, "off-cpu"),
		diskOperationsTable(a),
	}
}

// notRecorded names what no capture recorded, and with which collector it is;
// "" when nothing is missing. It is the one place that says so: tables of what
// was not recorded are not there at all.
func notRecorded(a *analyze.Analysis) string {
	var missing []string
	for _, part := range []struct {
		absent bool
		what   string
	}{
		{a.Threads == nil, "CPU time and waits (collector cpu)"},
		{a.Syscalls == nil, "system calls (collector syscall)"},
		{a.Disks == nil, "disks (collector block)"},
		{a.Drops == nil, "network faults (collector drop)"},
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
