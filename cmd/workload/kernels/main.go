// Command kernels boots other kernels in a virtual machine, records known
// loads there with kmon, and holds what kmon analyzes of them afterwards
// against what the loads counted themselves.
//
//	kernels [-kernels 6.12,6.12-arm64:best] [-trials best,kprobe] [-out DIR]
//
// It fetches Debian's packages of the kernels (apt-get download), makes an
// initial file system of kmon, the loads (cmd/workload) and itself, and boots
// each kernel once under qemu, in software: neither root nor a processor that
// helps is needed. A guest keeps one CPU busy, so there are as many at once as the
// machine has. In the guest this program is process 1; it runs the trials
// of the kernel one after the other and hands out captures and truths as a tar
// archive on a disk. The captures are verified and analyzed outside, by this
// program again.
//
// Every boot has a hard limit in time; of a guest that ends without handing
// out, the end of its console is shown. Exit codes: 0 all is true; 1 something
// is not; 2 a kernel could not be tried.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// playVerb, as the first argument, runs the loads of a trial in a guest.
const playVerb = "play"

// errUntrue is the error of captures that do not tell what was.
var errUntrue = errors.New("a capture does not tell what was")

// errGone is the error of a package that its archive does not give. Debian
// takes old kernels away some day: what they say can then not be tried, which
// is told, and is no fault of kmon's.
var errGone = errors.New("the package cannot be had")

func main() {
	if os.Getpid() == 1 && os.Args[0] == "/"+initName {
		beGuest()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Stdout, os.Args[1:])
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUntrue):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(2)
	}
}

// options are the command line.
type options struct {
	trials   []string // none: all
	programs          // for amd64
	others   string   // directory of those for other machines
	cache    string
	out      string
	limit    time.Duration
	fetching *sync.Mutex // apt-get runs alone
}

// run does what main does outside a guest.
func run(ctx context.Context, out io.Writer, args []string) error {
	if len(args) > 0 && args[0] == playVerb {
		return play(ctx, args[1:])
	}
	flags := flag.NewFlagSet("kernels", flag.ContinueOnError)
	o := options{fetching: new(sync.Mutex)}
	names := flags.String("kernels", defaultKernels, "kernels to boot, of "+strings.Join(kernelNames(), ", ")+"; 6.1:best: only this trial")
	trials := flags.String("trials", "", "run these trials only, separated by commas")
	flags.StringVar(&o.kmon, "kmon", "./kmon", "the kmon to try, for linux/amd64")
	flags.StringVar(&o.workload, "workload", "dist/workload", "the loads")
	flags.StringVar(&o.others, "others", "dist", "for another machine, the programs kernels, kmon and workload of `DIR`/ARCH")
	flags.StringVar(&o.cache, "cache", ".tools/kernels", "keep packages in `DIR`")
	flags.StringVar(&o.out, "out", "dist/trials", "write captures, truths and consoles to `DIR`")
	flags.DurationVar(&o.limit, "limit", 30*time.Minute, "no boot takes longer, and no trial half of it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var err error
	if o.self, err = os.Executable(); err != nil {
		return err
	}
	o.trials = strings.FieldsFunc(*trials, func(r rune) bool { return r == ',' })
	var chosen []kernel
	for _, name := range strings.Split(*names, ",") {
		k, err := o.choose(name)
		if err != nil {
			return err
		}
		chosen = append(chosen, k)
	}
	return o.tryAll(ctx, out, chosen)
}

// choose gives a kernel with the trials that are wanted of it.
func (o options) choose(name string) (kernel, error) {
	name, only, one := strings.Cut(name, ":")
	at := slices.IndexFunc(kernels, func(k kernel) bool { return k.name == name })
	if at < 0 {
		return kernel{}, fmt.Errorf("no kernel %q: there are %s", name, strings.Join(kernelNames(), ", "))
	}
	k := kernels[at]
	k.trials = slices.DeleteFunc(slices.Clone(k.trials), func(t trial) bool {
		return one && t.Name != only || len(o.trials) > 0 && !slices.Contains(o.trials, t.Name)
	})
	if one && len(k.trials) == 0 {
		return kernel{}, fmt.Errorf("kernel %s has no trial %q", name, only)
	}
	return k, nil
}

// tryAll tries kernels, one a CPU at once, and tells of them in their order.
func (o options) tryAll(ctx context.Context, out io.Writer, chosen []kernel) error {
	texts, errs := make([]bytes.Buffer, len(chosen)), make([]error, len(chosen))
	slots := make(chan struct{}, runtime.NumCPU())
	var running sync.WaitGroup
	for i, k := range chosen {
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[i] = o.try(ctx, &texts[i], k)
		})
	}
	running.Wait()
	var failed []error
	for i, err := range errs {
		if _, e := texts[i].WriteTo(out); e != nil {
			return e
		}
		switch {
		case errors.Is(err, errGone):
			fmt.Fprintf(out, "== %s: NOT TRIED: %v\n", chosen[i].name, err)
		case err != nil && !errors.Is(err, errUntrue):
			failed = append(failed, fmt.Errorf("kernel %s: %w", chosen[i].name, err))
		}
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	if slices.ContainsFunc(errs, func(err error) bool { return errors.Is(err, errUntrue) }) {
		return errUntrue
	}
	return nil
}

// fetch is kernel.fetch, one at a time.
func (o options) fetch(ctx context.Context, k kernel) (kernelFiles, error) {
	o.fetching.Lock()
	defer o.fetching.Unlock()
	return k.fetch(ctx, o.cache)
}

// try boots one kernel, runs its trials there and checks what came out.
func (o options) try(ctx context.Context, out io.Writer, k kernel) error {
	files, err := o.fetch(ctx, k)
	if err != nil {
		return err
	}
	trials := k.trials
	dir := filepath.Join(o.out, k.name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	if k.cut {
		return o.tryPowerCut(ctx, out, k, files, dir)
	}
	boot := o.boot
	if k.faults {
		boot = o.bootWithFaults
	}
	began := time.Now()
	if err := boot(ctx, k.machine, files, trials, dir); err != nil {
		return err
	}
	fmt.Fprintf(out, "== %s: %d trials in %.0f s\n", files.release, len(trials), time.Since(began).Seconds())
	console := checkConsole(filepath.Join(dir, consoleName))
	wrong := len(console.wrong)
	fmt.Fprintf(out, "   %-14s %s\n", "console", console)
	for _, t := range trials {
		r := t.check(ctx, dir, files.release)
		wrong += len(r.wrong)
		fmt.Fprintf(out, "   %-14s %s\n", t.Name, r)
	}
	if wrong > 0 {
		fmt.Fprintf(out, "   %d things are wrong; captures, truths and console are in %s\n", wrong, dir)
		return errUntrue
	}
	return nil
}

// tryPowerCut boots a kernel to have its power cut, and checks what that left.
func (o options) tryPowerCut(ctx context.Context, out io.Writer, k kernel, files kernelFiles, dir string) error {
	began := time.Now()
	dir, err := filepath.Abs(dir) // the programs that look at the disk run there
	if err != nil {
		return err
	}
	before, log, err := o.bootUntilCut(ctx, k, files, dir)
	if err != nil {
		return err
	}
	r := checkConsole(filepath.Join(dir, consoleName))
	if err := checkPowerCuts(ctx, r, dir, before, log); err != nil {
		return err
	}
	fmt.Fprintf(out, "== %s: power cut in %.0f s\n   %-14s %s\n", files.release, time.Since(began).Seconds(), "power-cut", r)
	if len(r.wrong) > 0 {
		return errUntrue
	}
	return nil
}
