package synthetic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is something done to the world, from a time on.
type Fault struct {
	Kind    string
	Node    int     // from 1; 0: one is drawn
	Peer    int     // the other node of slow-path; 0: one is drawn
	Service string  // "": one is drawn
	Size    float64 // how many times as slow, as much …; see Kinds
	// From and To are times since the start; 0: a third of the way, the end.
	From, To time.Duration
}

// Kind is a kind of fault that can be put into the world.
type Kind struct {
	Name    string
	What    string // in words, with what Size is
	Targets string // which of node, service, peer it takes
}

// Kinds are the faults, with the words that findings use for them.
var Kinds = []Kind{
	{"lock-livelock", "SIZE threads of an instance yield to each other", "node service"},
	{"spin", "SIZE threads of an instance burn a CPU each", "node service"},
	{"retry-amplification", "callers give up too early, and ask SIZE times", "service"},
	{"receive-livelock", "SIZE × 20% of a CPU go to packets that are dropped", "node"},
	{"limping-disk", "each IO of a node's disk takes SIZE times as long", "node"},
	{"limplock", "a disk so slow that its users wait for nothing else", "node"},
	{"slow-node", "each request on a node takes SIZE times as long", "node"},
	{"slow-path", "requests between two nodes take SIZE times as long", "node peer"},
	{"slow-callee", "each request to a service takes SIZE times as long", "service"},
	{"overload", "clients ask SIZE times what the services can do", ""},
	{"cpu-saturation", "SIZE busy threads a CPU beside the services of a node", "node"},
	{"cpu-throttling", "an instance has 1/SIZE of the CPU it needs", "node service"},
	{"io-limit", "an instance has 1/SIZE of the reads it needs", "node service"},
	{"listen-overflow", "SIZE × 10 connections a second are turned away", "node service"},
	{"retransmission", "SIZE percent of the packets from and to a node are lost", "node"},
}

func kindOf(name string) *Kind {
	if i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == name }); i >= 0 {
		return &Kinds[i]
	}
	return nil
}

func (k *Kind) takes(target string) bool { return slices.Contains(strings.Fields(k.Targets), target) }

// KindNames lists the kinds.
func KindNames() []string {
	var names []string
	for _, k := range Kinds {
		names = append(names, k.Name)
	}
	return names
}

const (
	defaultSize = 5
	maxSize     = 1000
)

// ParseFault reads KIND or KIND:name=value,…, the names node, peer, service,
// size, from and to.
func ParseFault(text string) (Fault, error) {
	kind, rest, _ := strings.Cut(text, ":")
	f := Fault{Kind: kind, Size: defaultSize}
	k := kindOf(kind)
	if k == nil {
		return f, fmt.Errorf("no fault %q; there are %s", kind, strings.Join(KindNames(), ", "))
	}
	for _, word := range strings.FieldsFunc(rest, func(r rune) bool { return r == ',' }) {
		name, value, _ := strings.Cut(word, "=")
		if slices.Contains([]string{"node", "peer", "service"}, name) && !k.takes(name) {
			return f, fmt.Errorf("%s takes no %s", kind, name)
		}
		if err := f.set(name, value); err != nil {
			return f, fmt.Errorf("%s: %w", word, err)
		}
	}
	return f, nil
}

func (f *Fault) set(name, value string) (err error) {
	switch name {
	case "node":
		f.Node, err = count(strings.TrimPrefix(value, nodePrefix), maxNodes)
	case "peer":
		f.Peer, err = count(strings.TrimPrefix(value, nodePrefix), maxNodes)
	case "service":
		f.Service = value
	case "size":
		f.Size, err = strconv.ParseFloat(strings.TrimPrefix(value, "x"), 64)
		if err != nil || !(f.Size >= 1 && f.Size <= maxSize) {
			err = fmt.Errorf("not a number from 1 to %d", maxSize)
		}
	case "from":
		f.From, err = since(value)
	case "to":
		f.To, err = since(value)
	default:
		err = fmt.Errorf("no such name; there are node, peer, service, size, from, to")
	}
	return err
}

func since(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("not a time since the start, like 40s")
	}
	return d, nil
}

// fill checks a fault and puts what was not given: times and size.
func (f *Fault) fill(s *Scenario) error {
	if kindOf(f.Kind) == nil {
		return fmt.Errorf("no fault %q; there are %s", f.Kind, strings.Join(KindNames(), ", "))
	}
	if f.Size == 0 {
		f.Size = defaultSize
	}
	if f.From == 0 {
		f.From = s.Duration / 3
	}
	if f.To == 0 {
		f.To = s.Duration
	}
	switch {
	case f.From >= f.To || f.To > s.Duration:
		return fmt.Errorf("%s from %v to %v does not lie within the %v of the recording", f.Kind, f.From, f.To, s.Duration)
	case max(f.Node, f.Peer) > s.Nodes:
		return fmt.Errorf("%s: there is no node %d, only %d nodes", f.Kind, max(f.Node, f.Peer), s.Nodes)
	case f.Kind == "slow-path" && s.Nodes < 2:
		return fmt.Errorf("%s needs two nodes", f.Kind)
	case f.Service != "" && s.Graph.index(f.Service) < 0:
		return fmt.Errorf("%s: there is no service %q", f.Kind, f.Service)
	}
	return nil
}
