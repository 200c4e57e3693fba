package record

import (
	"strings"

	"kmon/format"
	"kmon/record/provider"
)

// What stands for a text that may hold command lines, with Options.NoCmdline: an
// empty one would say that there was none.
const (
	configNotRecorded = "# not recorded (--no-cmdline)\n"
	whyNotRecorded    = "why is not recorded (--no-cmdline)"
)

// storedProcesses gives the rows without what is not to be stored. The Provider has
// named their services by then.
func (r *recorder) storedProcesses(rows []format.Process) []format.Process {
	if !r.options.NoCmdline {
		return rows
	}
	stored := make([]format.Process, len(rows))
	for i, row := range rows {
		row.Cmdline = ""
		stored[i] = row
	}
	return stored
}

// storedEvents does the same for events, in place: nobody looks at their command
// lines any more.
func (r *recorder) storedEvents(rows []format.Proc) []format.Proc {
	if r.options.NoCmdline {
		for i := range rows {
			rows[i].Cmdline = ""
		}
	}
	return rows
}

// storedConfig is the row of a version of the configuration; its rules may quote
// command lines.
func (r *recorder) storedConfig(v provider.Version, nowNs int64) format.Config {
	row := v.Row(nowNs)
	if r.options.NoCmdline {
		row.Text = configNotRecorded
		if row.Error != "" {
			row.Error = whyNotRecorded
		}
	}
	return row
}

// commandLine is kmon's own, without the command that it runs if that is not to be
// stored.
func (o Options) commandLine() []string {
	if !o.NoCmdline {
		return o.CommandLine
	}
	n := len(o.CommandLine) - len(o.Command)
	if n < 0 || strings.Join(o.CommandLine[n:], "\x00") != strings.Join(o.Command, "\x00") {
		return nil
	}
	return o.CommandLine[:n]
}
