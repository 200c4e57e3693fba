package record

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"kmon/format"
	"kmon/record/provider"
)

func TestNoCmdline(t *testing.T) {
	version := provider.Version{Number: 2, Path: "kmon.yaml", Text: "cmdline: --customer acme", Err: errors.New("line 1: acme")}
	process := format.Process{PID: 7, Comm: "cart", Exe: "/usr/bin/cart", Cmdline: "cart --customer acme", Service: "cart"}
	event := format.Proc{Event: format.ProcExec, PID: 8, Exe: "/usr/bin/cart", Cmdline: "cart --customer acme"}
	command := []string{"cart", "--customer", "acme"}
	options := Options{NoCmdline: true, Command: command, CommandLine: append([]string{"kmon", "record", "--no-cmdline", "--"}, command...)}

	r := &recorder{options: options}
	processes := r.storedProcesses([]format.Process{process})
	if want := process; processes[0].Cmdline != "" || process.Cmdline == "" || processes[0].Service != want.Service || processes[0].Exe != want.Exe {
		t.Errorf("a process is stored as %+v", processes[0])
	}
	if events := r.storedEvents([]format.Proc{event}); events[0].Cmdline != "" || events[0].Exe != event.Exe {
		t.Errorf("an event is stored as %+v", events[0])
	}
	if row := r.storedConfig(version, 1); row.Text != configNotRecorded || row.Error != whyNotRecorded || row.Path != "kmon.yaml" {
		t.Errorf("the configuration is stored as %+v", row)
	}
	if got := options.commandLine(); !slices.Equal(got, options.CommandLine[:4]) {
		t.Errorf("kmon's own command line is %q", got)
	}
	stored := options.stored()
	if m := (format.Manifest{Options: stored}); !m.NoCommandLines() || stored["command"] != "" {
		t.Errorf("options are %v", stored)
	}

	r.options.NoCmdline = false
	if row := r.storedConfig(version, 1); row != version.Row(1) {
		t.Errorf("without the flag the configuration is stored as %+v", row)
	}
	if got := r.storedProcesses([]format.Process{process}); !reflect.DeepEqual(got, []format.Process{process}) {
		t.Errorf("without the flag a process is stored as %+v", got)
	}
}
