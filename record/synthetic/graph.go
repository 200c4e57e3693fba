package synthetic

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Service is one service of a Graph, with what a request to it costs.
type Service struct {
	Name     string
	Replicas int           // 0: one a node, at most three
	Workers  int           // threads of an instance that serve requests
	CPU      time.Duration // median of a request
	Reads    float64       // reads of 16 KiB from the node's disk a request
	Writes   float64       // writes of 64 KiB a request
	Calls    []string      // services it asks, one after the other
}

// Graph is services; clients ask the first.
type Graph []Service

const (
	defaultWorkers = 16
	maxServices    = 64
	maxReplicas    = 256
	maxWorkers     = 1024
	maxNodes       = 256
)

// shop is the graph when none is given: the first n of a small shop's services.
var shop = Graph{
	{Name: "web", Workers: 32, CPU: 3 * time.Millisecond},
	{Name: "db", Workers: 16, CPU: 2 * time.Millisecond, Reads: 1, Writes: 0.1},
	{Name: "cart", Workers: 16, CPU: 4 * time.Millisecond},
	{Name: "catalog", Workers: 16, CPU: 3 * time.Millisecond},
}

// callers says of each service of the shop who calls it, if that one is there.
var callers = map[string][]string{"db": {"cart", "catalog"}, "cart": {"web"}, "catalog": {"web"}}

// DefaultGraph is a graph of n services: web, then what it asks, db at the
// bottom. From the fifth on they are called svc5, svc6 … and called by those of
// the middle in turn.
func DefaultGraph(n int) Graph {
	g := slices.Clone(shop[:min(max(n, 1), len(shop))])
	for i := range g {
		g[i].Calls = nil
	}
	for i := len(g); i < n; i++ {
		g = append(g, Service{Name: "svc" + strconv.Itoa(i+1), Workers: defaultWorkers, CPU: 2 * time.Millisecond})
	}
	for i := 1; i < len(g); i++ {
		by := callers[g[i].Name]
		if i >= len(shop) {
			by = []string{g[2+i%2].Name}
		}
		for _, name := range by {
			if at := g.index(name); at >= 0 {
				g[at].Calls = append(g[at].Calls, g[i].Name)
			}
		}
		if len(g) == 2 {
			g[0].Calls = []string{g[1].Name}
		}
	}
	return g
}

func (g Graph) index(name string) int {
	return slices.IndexFunc(g, func(s Service) bool { return s.Name == name })
}

// ParseGraph reads a graph: a line a service, its name and then name=value of
// replicas, workers, cpu (a duration), reads, writes, calls (names, with commas).
// What follows a # is left out.
func ParseGraph(r io.Reader) (Graph, error) {
	var g Graph
	scanner := bufio.NewScanner(r)
	for number := 1; scanner.Scan(); number++ {
		line, _, _ := strings.Cut(scanner.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		s := Service{Name: words[0], Workers: defaultWorkers, CPU: 2 * time.Millisecond}
		for _, word := range words[1:] {
			if err := s.set(word); err != nil {
				return nil, fmt.Errorf("line %d: %s: %w", number, word, err)
			}
		}
		g = append(g, s)
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	return g, g.check()
}

// set takes one name=value.
func (s *Service) set(word string) (err error) {
	name, value, ok := strings.Cut(word, "=")
	if !ok {
		return fmt.Errorf("is not name=value")
	}
	switch name {
	case "replicas":
		s.Replicas, err = count(value, maxReplicas)
	case "workers":
		s.Workers, err = count(value, maxWorkers)
	case "cpu":
		if s.CPU, err = time.ParseDuration(value); err != nil || s.CPU <= 0 || s.CPU > 10*time.Second {
			err = fmt.Errorf("not a duration up to 10s, like 2ms")
		}
	case "reads":
		s.Reads, err = perRequest(value)
	case "writes":
		s.Writes, err = perRequest(value)
	case "calls":
		s.Calls = strings.Split(value, ",")
	default:
		err = fmt.Errorf("no such name; there are replicas, workers, cpu, reads, writes, calls")
	}
	return err
}

func count(text string, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("not a number from 1 to %d", most)
	}
	return n, nil
}

func perRequest(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v <= 100) {
		return 0, fmt.Errorf("not a number from 0 to 100")
	}
	return v, nil
}

// check finds a graph that cannot run: without services, with two of a name,
// with calls to nobody or in a circle.
func (g Graph) check() error {
	if len(g) == 0 || len(g) > maxServices {
		return fmt.Errorf("a graph has 1 to %d services, not %d", maxServices, len(g))
	}
	for i, s := range g {
		if g.index(s.Name) != i {
			return fmt.Errorf("there are two services %s", s.Name)
		}
		if s.Name == loadName {
			return fmt.Errorf("%s are those who ask the first service; give this one another name", loadName)
		}
		if badName(s.Name) {
			return fmt.Errorf("%q is no name for a service: use up to 63 of a-z, 0-9 and -", s.Name)
		}
		for _, callee := range s.Calls {
			if g.index(callee) < 0 {
				return fmt.Errorf("%s calls %q, which is no service", s.Name, callee)
			}
		}
	}
	for i := range g {
		if visits := g.visits(i, 0); visits < 0 || visits > 1000 {
			return fmt.Errorf("calls of %s run in a circle, or one request makes more than 1000", g[i].Name)
		}
	}
	return nil
}

func badName(name string) bool {
	return name == "" || len(name) > 63 || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

// visits is how many requests one to service i makes in all, itself among them;
// -1: it never ends.
func (g Graph) visits(i, depth int) int {
	if depth > len(g) {
		return -1
	}
	sum := 1
	for _, callee := range g[i].Calls {
		n := g.visits(g.index(callee), depth+1)
		if n < 0 || sum > 1000 {
			return -1
		}
		sum += n
	}
	return sum
}

// perEntry counts how often each service is asked for one request of a client.
func (g Graph) perEntry() []float64 {
	times := make([]float64, len(g))
	var visit func(i int)
	visit = func(i int) {
		times[i]++
		for _, callee := range g[i].Calls {
			visit(g.index(callee))
		}
	}
	visit(0)
	return times
}
