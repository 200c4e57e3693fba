//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kmon/format"
)

const (
	// mutantCount is how many mutants TestMutants reads; KMON_MUTANTS=10000
	// raises it, and KMON_MUTANTS=4711-4712 replays number 4711.
	mutantCount = 120
	shortCount  = 20 // with -short: the race detector makes each five times slower
	// mutantTime and mutantBytes bound what any verb may take for one.
	mutantTime  = 2 * time.Second
	mutantBytes = 512 << 20
	// busyTime is the bound of a verb that was not let run, as beside other
	// work: mutantTime is then the CPU's.
	busyTime = 100 * mutantTime
	// cleanBytes is how much the process may hold when a verb begins: some tens
	// of MiB are its own, and giving memory back each time takes longer than
	// most verbs.
	cleanBytes = 128 << 20
	// mutantRange tells the process that reads mutants which they are.
	mutantRange = "KMON_TEST_MUTANTS"
)

// mutantVerbs are the ways to read a capture. FILE is the mutant, DIR a
// directory for what is written.
var mutantVerbs = []string{
	"info FILE",
	"verify FILE",
	"print FILE all",
	"print FILE all --format ndjson",
	"analyze FILE -o DIR/report.json -o DIR/report.html -o DIR/report.md",
	"export FILE --format parquet -o DIR/tables",
	"export FILE --format perfetto -o DIR/trace.pftrace",
	"repair FILE -o DIR/mended.kmon",
	"verify DIR/mended.kmon",
}

// Every mutant of a real capture, however it is damaged or forged, gives data
// or an error that names the file, within 2 s and 512 MiB, by every verb. They
// are read in a process of their own, which may crash; a mutant is made from
// its number alone.
func TestMutants(t *testing.T) {
	if text := os.Getenv(mutantRange); text != "" {
		readMutants(t, text)
		return
	}
	from, to := mutantsAsked(t)
	var all mutantSums
	for failures, tries := 0, 1; from < to; {
		last, died, late := all.run(t, from, to)
		if died == "" {
			break
		}
		if last != from {
			tries = 1
		}
		from = last
		// A host that stops the machine has the time on its accounts, too. A mutant that
		// takes long does so each time.
		if late && tries < 3 {
			tries++
			t.Logf("mutant %d took too long, again: %.300s", last, died)
			continue
		}
		t.Errorf("mutant %d: %s", last, died)
		if failures++; failures == 10 {
			t.Fatal("too many; the rest is not read")
		}
		from, tries = last+1, 1
	}
	t.Log(all.String())
}

// mutantsAsked gives the numbers of the mutants to read.
func mutantsAsked(t *testing.T) (from, to int) {
	t.Helper()
	text := os.Getenv("KMON_MUTANTS")
	if text == "" && testing.Short() {
		return 0, shortCount
	}
	if text == "" {
		return 0, mutantCount
	}
	first, second, ranged := strings.Cut(text, "-")
	if !ranged {
		first, second = "0", text
	}
	from, err := strconv.Atoi(first)
	check(t, err)
	to, err = strconv.Atoi(second)
	check(t, err)
	return from, to
}

// mutantSums are what the mutants took.
type mutantSums struct {
	read, refused    int
	slowest, largest string
	slowestMs        int
	largestMiB       int
}

func (s *mutantSums) String() string {
	return fmt.Sprintf("%d mutants, %d of them refused; slowest: %s, %d ms; most memory: %s, %d MiB",
		s.read, s.refused, s.slowest, s.slowestMs, s.largest, s.largestMiB)
}

// run reads mutants in another process until it ends. It gives the mutant
// that was read last and, unless all are read, what ended the process: late, that a
// verb took too long.
func (s *mutantSums) run(t *testing.T, from, to int) (last int, died string, late bool) {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	cmd := exec.Command(self, "-test.run", "^TestMutants$", "-test.timeout", "0")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", mutantRange, from, to))
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	check(t, cmd.Start())
	last = from
	var said []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "mutant":
			last, _ = strconv.Atoi(rest)
			s.read++
			said = nil
		case "took":
			s.took(last, rest)
		case "late":
			late = true
		default:
			said = append(said, lines.Text())
		}
	}
	if err := cmd.Wait(); err != nil {
		return last, fmt.Sprintf("%v\n%s\n%.4000s", err, strings.Join(said, "\n"), stderr.String()), late
	}
	return last, "", false
}

// took reads "MS MIB CODE VERB; STORY".
func (s *mutantSums) took(number int, text string) {
	words := strings.SplitN(text, " ", 4)
	ms, _ := strconv.Atoi(words[0])
	mib, _ := strconv.Atoi(words[1])
	what := fmt.Sprintf("%d (%s)", number, words[3])
	if ms > s.slowestMs {
		s.slowestMs, s.slowest = ms, what
	}
	if mib > s.largestMiB {
		s.largestMiB, s.largest = mib, what
	}
	if words[2] == "2" && strings.HasPrefix(words[3], "info") {
		s.refused++
	}
}

// readMutants reads the mutants of a range, in the process that may crash.
func readMutants(t *testing.T, text string) {
	var from, to int
	_, err := fmt.Sscan(text, &from, &to)
	check(t, err)
	debug.SetTraceback("all")
	makers := newMutator(t)
	for number := from; number < to; number++ {
		fmt.Printf("mutant %d\n", number)
		dir := t.TempDir()
		data, story := makers.mutant(number, dir)
		path := filepath.Join(dir, "mutant.kmon")
		write(t, path, data)
		for _, verb := range mutantVerbs {
			readMutant(t, verb, dir, path, story)
		}
		makers.checkLoss(t, path, story)
		check(t, os.RemoveAll(dir))
		if t.Failed() {
			t.FailNow() // the next process goes on
		}
	}
}

// readMutant runs one verb and holds it to time, memory and a good answer.
func readMutant(t *testing.T, verb, dir, path, story string) {
	file := path
	if strings.HasPrefix(verb, "verify DIR") {
		file = filepath.Join(dir, "mended.kmon")
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			return
		}
	}
	args := strings.Fields(strings.NewReplacer("FILE", path, "DIR", dir).Replace(verb))
	var stderr bytes.Buffer
	code := -1
	ms, mib := measure(verb+"; "+story, func() {
		code = run(context.Background(), strings.NewReader(""), io.Discard, &stderr, args)
	})
	fmt.Printf("took %d %d %d %s; %s\n", ms, mib, code, verb, story)
	switch {
	case code == codeError && !strings.Contains(stderr.String(), filepath.Base(file)):
		t.Errorf("%s; %s: the error does not name the file: %s", verb, story, stderr.String())
	case code == codeError && file != path:
		t.Errorf("%s; %s: what repair wrote is refused: %s", verb, story, stderr.String())
	case code != codeOK && code != codeGate && code != codeError && code != codeInconclusive:
		t.Errorf("%s; %s: exit code %d: %s", verb, story, code, stderr.String())
	}
}

// measure runs fn and gives how long it took, of the clock's time or the CPUs',
// whichever is less, and how much memory the process held meanwhile. Beyond the bounds it says so and ends the process.
func measure(what string, fn func()) (ms, mib int64) {
	debug.SetGCPercent(100) // analyze changes it
	if heldBytes() > cleanBytes {
		debug.FreeOSMemory()
	}
	var peak atomic.Int64
	done, watched := make(chan struct{}), make(chan struct{})
	begin, beginCPU := time.Now(), cpuTime()
	took := func() time.Duration { return min(time.Since(begin), cpuTime()-beginCPU) }
	look := func() {
		held, took := heldBytes(), took()
		peak.Store(max(peak.Load(), held))
		if !raced && (held > mutantBytes || took > mutantTime) || time.Since(begin) > busyTime {
			if held <= mutantBytes {
				fmt.Println("late")
			}
			fmt.Printf("%s: %d MiB after %v\n", what, held>>20, took.Round(time.Millisecond))
			panic(what) // with what every goroutine does
		}
	}
	go func() {
		defer close(watched)
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
				look()
			}
		}
	}()
	fn()
	close(done)
	<-watched
	look() // freed memory is given back so slowly that no peak is missed
	return took().Milliseconds(), peak.Load() >> 20
}

// heldBytes is the memory that the process has from the system.
func heldBytes() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// cpuTime is the time that the process has had on the CPUs.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // cannot fail with these arguments
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// checkLoss holds that a capture whose bytes were changed at random, and of
// which nothing wrong is said, holds what the original does.
func (m *mutator) checkLoss(t *testing.T, path, story string) {
	if !strings.HasPrefix(story, "bytes") {
		return
	}
	if report, err := format.Verify(t.Context(), path); err != nil || len(report.Problems) > 0 {
		return
	}
	if got := m.textHash(t, path); got != m.hashes[m.base] {
		t.Errorf("%s: the content has changed and no problem is stated", story)
	}
}

// textHash is the hash of a capture's text form.
func (m *mutator) textHash(t *testing.T, path string) uint64 {
	c, err := format.Open(path)
	check(t, err)
	defer c.Close()
	h := maphash.Hash{}
	h.SetSeed(m.seed)
	check(t, format.WriteText(&h, c))
	return h.Sum64()
}
