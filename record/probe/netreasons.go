package probe

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"kmon/bpf"
)

// Reasons are the kernel's words for why it dropped packets and sent resets, by
// number: each kernel has other numbers. A nil map: the kernel has none.
type Reasons struct {
	Drops  map[uint32]string // without SKB_DROP_REASON_ or SKB_
	Resets map[uint32]string // without SK_RST_REASON_
	// Subsystems are those that number reasons of their own, in the lower half
	// of a reason with their number in the upper.
	Subsystems map[uint32]string
}

// quietReasons are those for which packets go in the ordinary course of things.
var quietReasons = []string{
	"CONSUMED",     // nothing was dropped
	"QUEUE_PURGE",  // a socket was closed with packets not read, often just the peer's FIN
	"SOCKET_CLOSE", // the same
}

// notSpecified says nothing. At quietFunctions it is no loss.
const (
	notSpecified = "NOT_SPECIFIED"
	noSocket     = "NO_SOCKET"
)

// quietFunctions let go of packets at the end of sockets and, on most kernels,
// give no reason.
var quietFunctions = []string{
	"tcp_v4_rcv", "tcp_v6_rcv", // what comes for a socket in TIME_WAIT, after it was looked at
	"skb_queue_purge", "skb_queue_purge_reason", "skb_rbtree_purge", "sk_stream_kill_queues",
	"inet_sock_destruct", // unread at close; before 6.5 without the reason QUEUE_PURGE
}

// number finds a reason for drops; 0, no reason of any kernel: it has none of
// that name.
func (r Reasons) number(name string) uint32 {
	for number, have := range r.Drops {
		if have == name {
			return number
		}
	}
	return 0
}

// drop is the word for the reason of a drop.
func (r Reasons) drop(number uint32) string {
	const half = 16
	if name, ok := r.Drops[number]; ok {
		return name
	}
	if name, ok := r.Subsystems[number>>half]; ok && number>>half != 0 {
		return name + "_" + strconv.Itoa(int(number&(1<<half-1)))
	}
	return "number_" + strconv.FormatUint(uint64(number), 10)
}

// reset is the word for the reason of a reset; "": the kernel has no words.
func (r Reasons) reset(number uint32) string {
	if name, ok := r.Resets[number]; ok || len(r.Resets) == 0 {
		return name
	}
	return "number_" + strconv.FormatUint(uint64(number), 10)
}

// Settings say which drops are no rows, for the manifest.
func (r Reasons) Settings() map[string]string {
	var quiet []string
	for _, name := range quietReasons {
		if r.number(name) > 0 {
			quiet = append(quiet, name)
		}
	}
	return map[string]string{
		"protocols":       "tcp",
		"quiet_reasons":   strings.Join(quiet, ","),
		"quiet_functions": strings.Join(quietFunctions, ","), // where the reason is notSpecified
	}
}

// readReasons reads the names from the kernel's types.
func readReasons(spec *btf.Spec) Reasons {
	drops := enumNames(spec, "skb_drop_reason", "SKB_DROP_REASON_", "SKB_")
	for number, name := range drops {
		if name == "MAX" || name == "SUBSYS_MASK" {
			delete(drops, number)
		}
	}
	return Reasons{
		Drops:      drops,
		Resets:     enumNames(spec, "sk_rst_reason", "SK_RST_REASON_"),
		Subsystems: enumNames(spec, "skb_drop_reason_subsys", "SKB_DROP_REASON_SUBSYS_"),
	}
}

// enumNames gives the names of an enumeration without the first of the prefixes
// that each has; nil: the kernel has no such enumeration.
func enumNames(spec *btf.Spec, enum string, prefixes ...string) map[uint32]string {
	var e *btf.Enum
	if spec.TypeByName(enum, &e) != nil {
		return nil
	}
	names := map[uint32]string{}
	for _, v := range e.Values {
		name := v.Name
		for _, prefix := range prefixes {
			if short, ok := strings.CutPrefix(name, prefix); ok {
				name = short
				break
			}
		}
		names[uint32(v.Value)] = name
	}
	return names
}

// setReasons tells the programs which drops are no loss.
func (p Plan) setReasons(spec *ebpf.CollectionSpec) error {
	var quiet [bpf.KmonQuietLimitsDROP_REASONS]uint8
	for _, name := range quietReasons {
		if number := p.reasons.number(name); number > 0 && int(number) < len(quiet) {
			quiet[number] = 1
		}
	}
	values := map[string]any{
		bpf.KmonVarQuietReasons:       quiet,
		bpf.KmonVarReasonNotSpecified: p.reasons.number(notSpecified),
	}
	if p.Variants[dropCollector][resetsSent] == impliedResets {
		values[bpf.KmonVarReasonNoSocket] = p.reasons.number(noSocket)
	}
	if p.Has(dropCollector, dropIndicator) {
		places, err := readQuietPlaces()
		if err != nil {
			return err
		}
		values[bpf.KmonVarQuietPlaces] = places
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := setVariable(spec.Variables, name, values[name]); err != nil {
			return err
		}
	}
	return nil
}

type quietPlaces [bpf.KmonQuietLimitsQUIET_PLACES]bpf.KmonQuietPlace

// readQuietPlaces finds quietFunctions in the running kernel.
func readQuietPlaces() (quietPlaces, error) {
	file, err := os.Open("/proc/kallsyms")
	if err != nil {
		return quietPlaces{}, fmt.Errorf("find the kernel's functions: %w", err)
	}
	defer file.Close()
	return scanQuietPlaces(file)
}

// scanQuietPlaces reads lines of "address type name". A function ends where the
// next symbol begins; compilers put parts of it elsewhere, as "name.cold".
func scanQuietPlaces(r io.Reader) (places quietPlaces, err error) {
	n, open := 0, false
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Bytes()
		if !open && !mayBeQuiet(line) {
			continue
		}
		fields := strings.Fields(string(line))
		if len(fields) < 3 {
			continue
		}
		addr, err := strconv.ParseUint(fields[0], 16, 64)
		if err != nil {
			continue
		}
		if open && addr > places[n].Start {
			places[n].End, open = addr, false
			n++
		}
		name, _, _ := strings.Cut(fields[2], ".")
		if !open && n < len(places) && addr != 0 && len(fields) == 3 && slices.Contains(quietFunctions, name) {
			places[n].Start, open = addr, true
		}
	}
	return places, lines.Err()
}

// mayBeQuiet looks at the name of a line without taking it apart: there are
// more than a hundred thousand.
func mayBeQuiet(line []byte) bool {
	const name = len("ffffffff81000000 T ")
	if len(line) <= name {
		return false
	}
	switch line[name] {
	case 't', 's', 'i':
		return true
	}
	return false
}
