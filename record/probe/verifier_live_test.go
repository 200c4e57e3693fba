package probe

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
)

// Kernels refuse a program for which their verifier has to look at a million
// instructions (BPF_COMPLEXITY_LIMIT_INSNS), and differ in how many that are: each
// program has to leave room. It is also most of the time that a recording takes to
// begin.
func TestProgramsLeaveTheVerifierRoom(t *testing.T) {
	const most = 250_000
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	facts, err := ReadFacts(false)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(facts, Request{Collectors: Collectors(), Settings: map[string]map[string]string{"drop": facts.Words.Settings()}})
	if err != nil {
		t.Fatal(err)
	}
	spec, err := planned(plan, Options{DataRingBytes: 64 << 10, ControlRingBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats}})
	if err != nil {
		t.Fatal(err)
	}
	defer collection.Close()
	processed := regexp.MustCompile(`processed (\d+) insns`)
	for name, program := range collection.Programs {
		found := processed.FindStringSubmatch(program.VerifierLog)
		if found == nil {
			t.Fatalf("%s: the verifier says %q", name, program.VerifierLog)
		}
		if n, _ := strconv.Atoi(found[1]); n > most {
			t.Errorf("%s: the verifier looks at %d instructions, more than %d", name, n, most)
		}
	}
}
