package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes of a command that could not be started, as in a shell.
const (
	codeNotExecutable = 126
	codeNotFound      = 127
)

// recordFlags is the command line of record.
type recordFlags struct {
	output     string
	duration   duration
	bounds     boundFlags
	ring       ringFlags
	rotate     rotateFlags
	collectors []string
	pids       []string
	services   []string
	cgroups    []string
	ports      []string
	config     string
	interval   duration
	syscalls   []string
	latency    bool
	counts     []string
	cpu        cpuFlags
	overhead   cpuShare
	variants   map[string]string
	hostRoot   string
	noCmdline  bool
	command    []string // after --
}

// recordText is the long text of record's help.
const recordText = `Record the TCP exchanges of this node into one capture file until the duration
is over, CMD ends, or an interrupt (Ctrl-C) or SIGTERM arrives.

The capture is FILE.part while it is open and FILE once it is complete; an
existing file is never overwritten. A first interrupt finishes the file. A
second abandons the recording: FILE.part stays, and kmon repair reads it.

Recording also ends before the capture exceeds --max-size, and before its file
system has less than --min-free left. Should the disk be full or fail all the
same, what was written is kept, the capture says what was lost, and the exit
code is 2.

With --rotate the recording is divided into files, FILE-000001.kmon,
FILE-000002.kmon and so on, each a capture of its own, and nothing is lost
between them: kmon analyze FILE-*.kmon reads them as one. With --rotate-count N
the oldest is removed, so that there never are more than N of them, whose size
--rotate SIZE bounds. --max-size then bounds all of them together, the oldest are
removed. What was under way at a turn is in the later file. A file begins with
all that is known of the node: open connections, processes, listeners.

With --ring 10m it is a flight recorder: it keeps only the last ten minutes, in
the directory NAME.ring beside FILE, and writes them into NAME-TIME.kmon when
kmon dump or SIGUSR2 asks for it, when a --trigger holds, and when it ends.
Recording goes on meanwhile. --max-size then bounds the ring and the dump being
written (default 1GiB); a busier node keeps less than it was asked for, and each
dump says how much it has. What is left by a recorder that was killed can be read:
kmon analyze NAME.ring/*.kmon*. The next one moves it to NAME-TIME.ring.

A trigger is a measure, its window and a bound; it is held against the last
seconds, once a second:

  p99(service=cart)>200ms   p50, p95, max; of any service without one; over 10s
  requests(service=cart)<1/s  or >, over 10s; too few only where there were more
  drops>100/s               resets, retransmits: those of the node, over 1s
  pressure(memory)>10%      cpu, io: the share of 10s in which something waited

(service=cart,over=1m) sets the window. A quantile needs 20 requests in it, five
of them over the bound. A trigger that held adds a mark, goes on for 5 s, has the
ring written out, and rests for the ring's length, a minute at least.

Without -p, --service, --cgroup and --port all processes are recorded but kmon
itself. With several of them, what matches any of them is recorded.

Counting system calls (-e syscall, --syscalls, --count read) makes every system
call of the machine some 50 ns slower, and some 130 ns with --syscall-latency,
so it is done only when asked for. Tracepoints and functions named with --count
(tcp:tcp_probe, tcp_sendmsg) cost as often as they are hit; kmon says so when
this kernel cannot count one.

What threads do on the CPUs and wait for (-e cpu) is summed up in the kernel, by
intervals of 5 s; it costs about 35 ns for a switch and as much for a wake-up.
Waits under --off-cpu-min are in the sums of their threads, but have no stack: a
stack costs a microsecond. User stacks of waits are taken of targets, or of all
processes with --user-stacks, at each of their switches.

Disk IO (-e block) is recorded a request at a time: who asked for it, its wait in
the queue and its time in the device. It costs some 0.5 us a request. What goes
through the page cache is written later, by the kernel.

With --max-overhead 2% recording leaves out parts while it costs more than 2% of
the time of all CPUs (of 16, a third of one): its own CPU time and the run time
of its programs in the kernel. In this order: user stacks; off-CPU waits and
wake-ups; on-CPU samples; system calls; disk IO; then the exchanges of all but
one in 2, 4, 8 ... 64 connections, the same at both ends. The sums of threads,
sockets, network faults and processes are never left out. A step is taken when
the mean of 4 s is over the limit (of 2 s, if over twice of it), and taken back
after 10 s with a mean under 70% of it; one that is needed again within 30 s
waits twice as long the next time, up to 10 minutes. Each step is a mark in the
capture, and what it left out a loss, so that reports tell when what was not
recorded. If all is left out and it still costs more, a mark says so and
recording goes on. To measure, the kernel times its programs a tenth of the time,
which makes each of their runs some 3 ns longer in the mean; what a CPU spends to
get to them is not in what it measures.

Network faults (-e drop) are TCP segments sent again, resets, and TCP packets
that the kernel dropped, with its reason and stack. Nothing is paid for them but
about 60 ns when a connection is closed, and 3 us for a dropped packet.

In a container, record names processes, pods, disks and the host by the host's
files, below --host-root: by itself it takes the root of the host's first process,
which it sees in the host's pid namespace with CAP_SYS_PTRACE, or /host. -p takes
pids as the host counts them; -o and --config are paths of the container. In a
pid namespace of its own it records less, and says what.

Command lines are stored without what looks like a secret. With --no-cmdline none
is stored: not of processes, not CMD, nor the text of the configuration, whose
rules may quote some. Services have the same names; the capture and its reports
say that command lines were not recorded. kmon redact replaces all names later.

With CMD, record runs it, records while it runs and exits with its code: 126 if
it cannot be executed, 127 if it is not found, 128+n if signal n ended it.`

func newRecord() *cobra.Command {
	var f recordFlags
	cmd := &cobra.Command{
		Use:   "record [flags] [-- CMD ARGS...]",
		Short: "Record what happens on this node into a capture (Linux, root)",
		Long:  recordText,
		Example: `  $ kmon record -d 60s
  $ kmon record -o shop.kmon -d 5m --service cart --service checkout
  $ kmon record -p 4711 --port 443
  $ kmon record --max-size 500MB --min-free 2GiB
  $ kmon record --ring 10m --trigger 'p99(service=cart)>200ms' --trigger 'drops>100/s'
  $ kmon record -o shop.kmon --rotate 100MB --rotate-count 10
  $ kmon record -e cpu --off-cpu-min 100us --sample-hz 499 --user-stacks -d 20s
  $ kmon record --max-overhead 2%
  $ kmon record --syscalls default --count tcp:tcp_probe -d 30s
  $ kmon record -o bench.kmon -- redis-benchmark -n 100000 -q`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 0 && len(args) > 0 {
				return usagef("record takes no argument %q; a command to run goes after --", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f.command = args
			return runRecord(cmd, f)
		},
	}
	f.register(cmd)
	return cmd
}

// register declares the flags and how their values are completed.
func (f *recordFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "write this `FILE` (default kmon-HOST-UTC.kmon)")
	flags.VarP(&f.duration, "duration", "d", "stop after this `TIME`: 30s, 5m (default: until interrupted)")
	flags.Var(&f.duration, "max-duration", "the same as --duration")
	must(flags.MarkHidden("max-duration"))
	f.bounds.register(cmd, flags)
	f.ring.register(cmd, flags)
	f.rotate.register(cmd, flags)
	flags.StringSliceVarP(&f.collectors, "events", "e", nil, "run these `COLLECTORS` (default all but syscall)")
	flags.StringSliceVarP(&f.pids, "pid", "p", nil, "record the process `PID`; repeatable")
	flags.StringArrayVar(&f.services, "service", nil, "record the service `NAME`; repeatable")
	flags.StringArrayVar(&f.cgroups, "cgroup", nil, "record the processes of the cgroup `PATH`; repeatable")
	flags.StringSliceVar(&f.ports, "port", nil, "record connections with `PORT` at either end; repeatable")
	flags.StringVar(&f.config, "config", "", "targets and rules from this YAML `FILE`, read again whenever it changes")
	flags.Var(&f.interval, "interval", "sum counts over this `TIME` (default 5s)")
	flags.StringSliceVar(&f.syscalls, "syscalls", nil, "count these system `CALLS` per process: read,futex,...; default, all")
	flags.BoolVar(&f.latency, "syscall-latency", false, "measure the time inside system calls too")
	flags.StringArrayVar(&f.counts, "count", nil, "count a system call, tracepoint or kernel function `NAME`; repeatable")
	f.cpu.register(cmd, flags)
	flags.Var(&f.overhead, "max-overhead", "leave out parts while recording costs more than this `PERCENT` of all CPUs: 2%")
	flags.BoolVar(&f.noCmdline, "no-cmdline", false, "store no command lines, nor the text of the configuration")
	registerHostRoot(cmd, &f.hostRoot)
	flags.StringToStringVar(&f.variants, "variant", nil, "use this variant of a hook, `INDICATOR=VARIANT`, not the best; for tests of kernels")
	must(flags.MarkHidden("variant"))
	must(cmd.RegisterFlagCompletionFunc("output", completeEndings("kmon")))
	must(cmd.RegisterFlagCompletionFunc("events", completeWords(collectorNames()...)))
	must(cmd.RegisterFlagCompletionFunc("syscalls", completeWords(callNames()...)))
	must(cmd.RegisterFlagCompletionFunc("config", completeEndings("yaml", "yml")))
	for _, name := range []string{"duration", "max-duration", "pid", "service", "port", "interval", "count", "max-overhead"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
}

// check finds the mistakes that need no kernel to be seen, so that they come
// at once and on every system.
func (f *recordFlags) check() error {
	if _, err := f.portNumbers(); err != nil {
		return err
	}
	if _, err := f.pidNumbers(); err != nil {
		return err
	}
	if err := f.cpu.check(); err != nil {
		return err
	}
	if err := errors.Join(f.bounds.check(), f.ring.check(f.bounds), f.rotate.check(f.bounds.maxSize.size)); err != nil {
		return err
	}
	if f.ring.length != 0 && f.rotate.on() {
		return usagef("--ring and --rotate exclude each other: a ring has parts of its own")
	}
	if f.interval != 0 && time.Duration(f.interval) < time.Second {
		return usagef("--interval %s is too short, it is at least a second", f.interval.String())
	}
	if f.config != "" {
		if _, err := os.Stat(f.config); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--config %s: no such file", f.config)
		}
	}
	if err := captureOutput(f.output); err != nil {
		return err
	}
	if f.output != "" && f.ring.length == 0 && !f.rotate.on() { // else it is the name of none of the files
		if _, err := os.Lstat(f.output); err == nil {
			return fmt.Errorf("%s exists, and captures are never overwritten; move it away or name another file with -o", f.output)
		}
	}
	return checkCommand(f.command)
}

func (f *recordFlags) portNumbers() ([]uint16, error) {
	var ports []uint16
	for _, text := range f.ports {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return nil, usagef("--port %q is not a port: 1 to 65535", text)
		}
		ports = append(ports, uint16(port))
	}
	return ports, nil
}

func (f *recordFlags) pidNumbers() ([]int32, error) {
	var pids []int32
	for _, text := range f.pids {
		pid, err := strconv.ParseInt(text, 10, 32)
		if err != nil || pid <= 0 {
			return nil, usagef("-p %q is not a process id", text)
		}
		pids = append(pids, int32(pid))
	}
	return pids, nil
}

// checkCommand looks for the program of command before anything is recorded
// and ends with the code that a shell would give.
func checkCommand(command []string) error {
	if len(command) == 0 {
		return nil
	}
	_, err := exec.LookPath(command[0])
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return exit(codeNotFound, fmt.Errorf("%s: command not found; nothing was recorded", command[0]))
	default:
		return exit(codeNotExecutable, fmt.Errorf("%s: cannot be executed; nothing was recorded: %w", command[0], errors.Unwrap(err)))
	}
}
