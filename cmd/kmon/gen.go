package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"kmon/format"
	"kmon/record/synthetic"
	"kmon/reports"
)

// genFlags are the flags of gen.
type genFlags struct {
	dir      string
	nodes    int
	services int
	graph    string
	rate     float64
	duration duration
	load     []string
	faults   []string
	noise    float64
	seed     uint64
	lost     share
}

// share is a flag value: a part of the whole, "20%" or "0.2".
type share float64

func (s *share) String() string { return fmt.Sprintf("%g%%", 100*float64(*s)) }

func (s *share) Type() string { return "share" }

func (s *share) Set(text string) error {
	number, percents := strings.CutSuffix(text, "%")
	var v float64
	if n, err := fmt.Sscanf(number+"\n", "%g\n", &v); n != 1 || err != nil {
		return errors.New("not a share like 20%")
	}
	if percents {
		v /= 100
	}
	if !(v >= 0 && v < 1) {
		return errors.New("must be at least 0% and below 100%")
	}
	*s = share(v)
	return nil
}

func newGen() *cobra.Command {
	f := genFlags{duration: duration(2 * time.Minute)}
	cmd := &cobra.Command{
		Use:   "gen",
		Short: "Make synthetic captures of nodes that do not exist",
		Long: `Make captures, one a node, of a system that does not exist: services that call
each other on some nodes run in virtual time, with faults of a known kind, size
and time. They are ordinary captures to every verb, marked as synthetic;
truth.json beside them says what was done. The same flags and version give the
same bytes.

They serve to try analyze and its rules where no machine can be spoiled, and to
have many nodes or requests (--nodes 8 --rate 50000). The model is crude: a rule
that finds a fault here may still miss it on a machine.

Faults, for --fault KIND:name=value,…; names are node, peer and service where
they fit (else they are drawn), size (5), from (a third of the way), to (the
end):
` + kindList() + `
Healthy loads, for --load:
` + patternList() + `
A graph file has a line for each service, the first is that which clients ask:
  web  replicas=3 workers=32 cpu=3ms calls=cart,db
  cart cpu=4ms calls=db
  db   cpu=2ms reads=1 writes=0.1`,
		Example: `  $ kmon gen -o shop -d 30s
  $ kmon gen -o limping -d 1m --noise 0.3 --seed 7 --fault limping-disk:node=2,size=5,from=20s
  $ kmon analyze limping/node1.kmon limping/node2.kmon limping/node3.kmon
  $ kmon gen -o lossy -d 30s --nodes 4 --services 3 --load bursty,gc --lost 20%`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return gen(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.dir, "output", "o", "", "write the captures into this `DIR`, which is made if it is missing")
	flags.IntVar(&f.nodes, "nodes", 3, "how many nodes of 4 CPUs and a disk")
	flags.IntVar(&f.services, "services", 4, "how many services, of a shop: web, db, cart, catalog, svc5 …")
	flags.StringVar(&f.graph, "graph", "", "services as this `FILE` says")
	flags.Float64Var(&f.rate, "rate", 100, "requests of clients a second; requests cost less where the nodes could not serve so many")
	flags.VarP(&f.duration, "duration", "d", "how long the recording seems to be")
	flags.StringSliceVar(&f.load, "load", nil, "what a healthy load does (default steady); may be given several times")
	flags.StringArrayVar(&f.faults, "fault", nil, "put this `FAULT` in; may be given several times")
	flags.Float64Var(&f.noise, "noise", 0.2, "deviation of the logarithm of every duration, 0 to 2")
	flags.Uint64Var(&f.seed, "seed", 1, "draw everything from this number")
	flags.Var(&f.lost, "lost", "lose this `SHARE` of the events and say so: 20%")
	must(cmd.RegisterFlagCompletionFunc("output", completeDirs))
	must(cmd.RegisterFlagCompletionFunc("load", completeWords(synthetic.PatternNames()...)))
	must(cmd.RegisterFlagCompletionFunc("fault", completeWords(synthetic.KindNames()...)))
	for _, name := range []string{"nodes", "services", "rate", "duration", "noise", "seed", "lost"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	return cmd
}

func completeDirs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

func kindList() string {
	var b strings.Builder
	for _, k := range synthetic.Kinds {
		fmt.Fprintf(&b, "  %-19s %s\n", k.Name, k.What)
	}
	return b.String()
}

func patternList() string {
	var b strings.Builder
	for _, p := range synthetic.Patterns {
		fmt.Fprintf(&b, "  %-9s %s\n", p.Name, p.What)
	}
	return b.String()
}

// gen makes the captures and tells what was made.
func gen(cmd *cobra.Command, f *genFlags) error {
	s, err := f.scenario()
	if err != nil {
		return err
	}
	if f.dir == "" {
		return usagef("gen needs a directory to write into: -o DIR")
	}
	if err := makeDir(f.dir); err != nil {
		return err
	}
	var done atomic.Int64
	stop := startProgress(cmd.ErrOrStderr(), func() string {
		return fmt.Sprintf("making %s: %d%%", f.dir, done.Load())
	})
	r, err := synthetic.Generate(cmd.Context(), s, synthetic.Options{
		Dir: f.dir, Version: readBuild().Version, CommandLine: f.commandLine(),
		Progress: func(share float64) { done.Store(int64(100 * share)) },
	})
	stop()
	if err != nil {
		return explain(err)
	}
	return buffered(cmd.OutOrStdout(), func(w io.Writer) error { return tellMade(w, f.dir, r) })
}

// makeDir makes a directory, unless there is one.
func makeDir(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil // what it is shows when captures are made in it
	}
	place, name, err := format.OpenDir(filepath.Clean(path))
	if err != nil {
		return err
	}
	defer place.Close()
	if err := place.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return &fs.PathError{Op: "mkdir", Path: path, Err: errors.Unwrap(err)}
	}
	return nil
}

// scenario turns the flags into one.
func (f *genFlags) scenario() (synthetic.Scenario, error) {
	s := synthetic.Scenario{
		Nodes: f.nodes, Rate: f.rate, Duration: time.Duration(f.duration), Load: f.load, Noise: f.noise, Seed: f.seed, Lost: float64(f.lost),
	}
	switch {
	case f.nodes < 1:
		return s, usagef("--nodes %d: there must be one", f.nodes)
	case !(f.rate > 0):
		return s, usagef("--rate %g: must be more than nothing", f.rate)
	case f.services < 1:
		return s, usagef("--services %d: there must be one", f.services)
	}
	for _, text := range f.faults {
		fault, err := synthetic.ParseFault(text)
		if err != nil {
			return s, usagef("--fault %s: %w", text, err)
		}
		s.Faults = append(s.Faults, fault)
	}
	s.Graph = synthetic.DefaultGraph(f.services)
	if f.graph != "" {
		var err error
		if s.Graph, err = readGraph(f.graph); err != nil {
			return s, err
		}
	}
	if err := s.Check(); err != nil {
		return s, &usageError{err}
	}
	return s, nil
}

func readGraph(path string) (synthetic.Graph, error) {
	file, err := format.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	g, err := synthetic.ParseGraph(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

// commandLine is what the manifests say, without where the captures went: the
// same flags give the same bytes anywhere.
func (f *genFlags) commandLine() []string {
	words := []string{"kmon", "gen", fmt.Sprint("--nodes=", f.nodes)}
	if f.graph == "" {
		words = append(words, fmt.Sprint("--services=", f.services))
	} else {
		words = append(words, "--graph="+f.graph)
	}
	words = append(words, fmt.Sprintf("--rate=%g", f.rate), "--duration="+f.duration.String())
	if len(f.load) > 0 {
		words = append(words, "--load="+strings.Join(f.load, ","))
	}
	for _, text := range f.faults {
		words = append(words, "--fault="+text)
	}
	words = append(words, fmt.Sprintf("--noise=%g", f.noise), fmt.Sprint("--seed=", f.seed))
	if f.lost > 0 {
		words = append(words, "--lost="+f.lost.String())
	}
	return words
}

// tellMade says what is in the directory.
func tellMade(w io.Writer, dir string, r synthetic.Result) error {
	fmt.Fprintf(w, "%s: %d synthetic captures, %s rows, %s\n", oneLine(dir), len(r.Paths), reports.CountText(r.Rows), reports.BytesText(r.SizeBytes))
	for _, f := range r.Truth.Faults {
		var at []string
		for _, word := range []string{f.Instance, f.Node, f.Peer} {
			if word != "" {
				at = append(at, word)
			}
		}
		if f.Instance == "" && f.Service != "" {
			at = append(at, f.Service)
		}
		where := ""
		if len(at) > 0 {
			where = " at " + strings.Join(at, ", ")
		}
		fmt.Fprintf(w, "  %s ×%g%s, from %s to %s\n", f.Kind, f.Size, where, reports.DurationText(f.FromNs), reports.DurationText(f.ToNs))
	}
	return nil
}
