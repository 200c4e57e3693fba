// Command workload makes real loads whose answer is known: it counts what it
// does, on both sides of every connection, and writes the counts down as its
// truth. The demo, the tests and the benchmarks hold kmon's numbers against it.
//
//	workload shop    a shop of five services, each its own process
//	workload echo    one server, one client, chosen sizes and connections
//	workload paths   every way a program can send and receive on a socket
//	workload stream  traffic that is not request and answer
//	workload fork    a server whose children accept and answer
//	workload known   threads that sleep, wait, spin and yield in known amounts
//	workload disk    IOs of known sizes, one after the other
//	workload refused connections to ports that nobody listens on
//	workload crowd   more clients than a listener's queue takes
//	workload idle    connections that stay open and do next to nothing
//	workload scan    connections to one port after the other
//	workload spawn   processes that end as soon as they begin
//	workload fault   services to which something bad happens in the middle
//	workload release services of which two are worse in the next release
//	workload demo    record the shop with kmon and analyze what was recorded
//
// All traffic stays on the loopback interface. Every process ends by itself,
// at its deadline or when its parent dies, whichever comes first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// A verb is one subcommand: it runs its load to the end and returns the truth,
// or prints its own result and returns nil.
type verb struct {
	name    string
	summary string
	run     func(ctx context.Context, out io.Writer, args []string) error
}

func verbs() []verb {
	return []verb{
		{"shop", "a shop of five services, each its own process", runShop},
		{"echo", "one server, one client, chosen sizes and connections", runEcho},
		{"paths", "every way a program can send and receive on a socket", runPaths},
		{"stream", "traffic that is not request and answer", runStream},
		{"fork", "a server whose children accept and answer", runFork},
		{"known", "threads that sleep, wait, spin and yield in known amounts", runKnown},
		{"disk", "IOs of known sizes, one after the other", runDisk},
		{"refused", "connections to ports that nobody listens on", runRefused},
		{"crowd", "more clients than a listener's queue takes", runCrowd},
		{"idle", "connections that stay open and do next to nothing", runIdle},
		{"scan", "connections to one port after the other", runScan},
		{"spawn", "processes that end as soon as they begin", runSpawn},
		{"fault", "services to which something bad happens in the middle", runFault},
		{"release", "services of which two are worse in the next release", runRelease},
		{"demo", "record the shop with kmon and analyze what was recorded", runDemo},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdin, os.Stdout, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(2)
	}
}

// run does what main does, on given streams.
func run(ctx context.Context, in io.Reader, out io.Writer, args []string) error {
	if len(args) == 0 {
		return usage()
	}
	if args[0] == childVerb {
		return runChild(in, out, args[1:])
	}
	for _, v := range verbs() {
		if v.name == args[0] {
			return v.run(ctx, out, args[1:])
		}
	}
	return usage()
}

func usage() error {
	text := "which load? workload VERB [flags], and workload VERB -h for its flags:"
	for _, v := range verbs() {
		text += fmt.Sprintf("\n  %-7s %s", v.name, v.summary)
	}
	return errors.New(text)
}

// common holds the flags that every load has.
type common struct {
	*flag.FlagSet
	truth string
	limit time.Duration
}

func newFlags(verb string) *common {
	c := &common{FlagSet: flag.NewFlagSet("workload "+verb, flag.ContinueOnError)}
	c.StringVar(&c.truth, "truth", "", "write the truth to `FILE` (default: standard output)")
	c.DurationVar(&c.limit, "limit", 10*time.Minute, "no process of the load outlives this")
	return c
}

// parse reads the flags and refuses anything after them.
func (c *common) parse(args []string) error {
	if err := c.Parse(args); err != nil {
		return err
	}
	if c.NArg() > 0 {
		return fmt.Errorf("%s: unexpected argument %q", c.Name(), c.Arg(0))
	}
	return nil
}

// atLeast refuses a flag's value below its least.
func (c *common) atLeast(name string, value, least int) error {
	if value < least {
		return fmt.Errorf("%s: --%s is %d, but must be at least %d", c.Name(), name, value, least)
	}
	return nil
}

// finish writes the truth where --truth says.
func (c *common) finish(out io.Writer, truth *Truth) error {
	if c.truth == "" {
		return truth.write(out)
	}
	file, err := os.Create(c.truth)
	if err != nil {
		return err
	}
	return errors.Join(truth.write(file), file.Close())
}
