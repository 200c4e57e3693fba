package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The shop: loadgen → frontend → {cart, catalog, payment}, cart → db,
// catalog → db, over HTTP/1.1 with keep-alive. Payment listens on ::1, the
// others on 127.0.0.1. A request's type is its path, and each service handles
// each type in its own way.

// step is what a service does for one type of request: sleep, call, answer.
type step struct {
	sleep  time.Duration // mean; the draw is between half and one and a half of it
	calls  []string      // services asked, one after the other
	answer int           // bytes of the body
}

// shopMember is one service of the shop.
type shopMember struct {
	name  string
	ipv6  bool
	steps map[string]step
}

// shopMembers lists callees before callers, so that each can be started with
// the addresses of those it calls.
func shopMembers() []shopMember {
	return []shopMember{
		{name: "db", steps: map[string]step{
			"/browse": {sleep: 2 * time.Millisecond, answer: 1500},
			"/add":    {sleep: time.Millisecond, answer: 40},
			"/order":  {sleep: 3 * time.Millisecond, answer: 200},
		}},
		{name: "payment", ipv6: true, steps: map[string]step{
			"/order": {sleep: 12 * time.Millisecond, answer: 60},
		}},
		{name: "catalog", steps: map[string]step{
			"/browse": {sleep: time.Millisecond, calls: []string{"db"}, answer: 4000},
		}},
		{name: "cart", steps: map[string]step{
			"/add":   {sleep: 500 * time.Microsecond, calls: []string{"db"}, answer: 80},
			"/order": {sleep: time.Millisecond, calls: []string{"db"}, answer: 300},
		}},
		{name: "frontend", steps: map[string]step{
			"/browse": {sleep: 500 * time.Microsecond, calls: []string{"catalog"}, answer: 9000},
			"/add":    {sleep: 500 * time.Microsecond, calls: []string{"cart"}, answer: 200},
			"/order":  {sleep: time.Millisecond, calls: []string{"cart", "payment"}, answer: 600},
		}},
	}
}

// slowShare of the draws sleep slowFactor times as long: the tail.
const (
	slowShare  = 0.02
	slowFactor = 5
)

// draw gives one sleep of the step.
func (s step) draw(random *rand.Rand) time.Duration {
	d := time.Duration((0.5 + random.Float64()) * float64(s.sleep))
	if random.Float64() < slowShare {
		d *= slowFactor
	}
	return d
}

// shopConfig configures one process of the shop.
type shopConfig struct {
	Name        string            `json:"name"`
	Listen      string            `json:"listen,omitempty"`
	Peers       map[string]string `json:"peers,omitempty"` // name → address
	Seed        uint64            `json:"seed"`
	Rate        int               `json:"rate,omitempty"`
	Concurrency int               `json:"concurrency,omitempty"`
	Duration    time.Duration     `json:"duration,omitempty"`
}

// runShop runs the shop to its deadline and writes the truth of all processes.
func runShop(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("shop")
	config := shopConfig{Name: "loadgen"}
	flags.DurationVar(&config.Duration, "duration", 10*time.Second, "how long requests are sent")
	flags.IntVar(&config.Rate, "rate", 200, "requests a second; 0: as many as possible")
	flags.IntVar(&config.Concurrency, "concurrency", 8, "requests in flight at most")
	flags.Uint64Var(&config.Seed, "seed", 1, "of the request types and sleeps")
	port := flags.Int("port", 0, "of the frontend; 0: a free one. The others take free ones")
	err := errors.Join(flags.parse(args), flags.atLeast("rate", config.Rate, 0), flags.atLeast("concurrency", config.Concurrency, 1))
	if err != nil {
		return err
	}
	truth, err := playShop(ctx, config, *port, flags.limit)
	if err != nil {
		return err
	}
	return flags.finish(out, truth)
}

// playShop starts the services and the load, waits for the load's end, ends
// the services callers first, and adds up what they know.
func playShop(ctx context.Context, load shopConfig, port int, limit time.Duration) (*Truth, error) {
	crew, err := newCrew(limit)
	if err != nil {
		return nil, err
	}
	defer crew.close()
	truth := &Truth{Load: "shop"}
	services, addresses, err := startShop(crew, load.Seed, port, truth)
	if err != nil {
		return nil, err
	}
	load.Peers = map[string]string{"frontend": addresses["frontend"]}
	truth.StartUnixNs = time.Now().UnixNano()
	loadgen, err := crew.start(load.Name, "shop-loadgen", load)
	if err != nil {
		return nil, err
	}
	part, err := loadgen.wait(ctx)
	if err != nil {
		return nil, err
	}
	truth.EndUnixNs = time.Now().UnixNano()
	truth.add(part)
	for _, service := range slices.Backward(services) {
		part, err := service.finish()
		if err != nil {
			return nil, err
		}
		truth.add(part)
	}
	return truth, nil
}

// startShop starts the services, callees first, and gives their addresses.
func startShop(crew *crew, seed uint64, port int, truth *Truth) ([]*child, map[string]string, error) {
	var services []*child
	addresses := map[string]string{}
	for _, member := range shopMembers() {
		config := shopConfig{Name: member.name, Listen: "127.0.0.1:0", Peers: map[string]string{}, Seed: seed}
		if member.name == "frontend" {
			config.Listen = fmt.Sprintf("127.0.0.1:%d", port)
		}
		if member.ipv6 {
			config.Listen = ipv6Loopback(truth, member.name)
		}
		for _, s := range member.steps {
			for _, callee := range s.calls {
				config.Peers[callee] = addresses[callee]
			}
		}
		service, address, err := crew.serve(member.name, "shop-service", config)
		if err != nil {
			return nil, nil, err
		}
		services = append(services, service)
		addresses[member.name] = address
	}
	return services, addresses, nil
}

// ipv6Loopback gives an address on ::1, or one on 127.0.0.1 and a note where
// there is no IPv6.
func ipv6Loopback(truth *Truth, name string) string {
	probe, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		truth.Notes = append(truth.Notes, fmt.Sprintf("no IPv6 here, so %s listens on 127.0.0.1: %v", name, err))
		return "127.0.0.1:0"
	}
	probe.Close() //nolint:errcheck // nothing was sent
	return "[::1]:0"
}

// shopServer is one service of the shop in its own process.
type shopServer struct {
	steps   map[string]step
	meter   meter
	callees map[string]*shopClient

	mu     sync.Mutex
	random *rand.Rand
}

// shopService is the role of a service.
func shopService(ctx context.Context, text []byte, ready func(string)) (Truth, error) {
	var config shopConfig
	if err := json.Unmarshal(text, &config); err != nil {
		return Truth{}, err
	}
	at := slices.IndexFunc(shopMembers(), func(m shopMember) bool { return m.name == config.Name })
	if at < 0 {
		return Truth{}, fmt.Errorf("the shop has no service %q", config.Name)
	}
	server := &shopServer{steps: shopMembers()[at].steps, random: seeded(config.Seed, config.Name), callees: map[string]*shopClient{}}
	for name, address := range config.Peers {
		server.callees[name] = newShopClient(address)
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return Truth{}, err
	}
	ready(listener.Addr().String())
	if err := serveHTTP(ctx, meteredListener{listener, &server.meter}, server, nil); err != nil {
		return Truth{}, err
	}
	truth := Truth{Services: []Service{server.meter.service(config.Name, listener.Addr().String())}}
	for _, name := range slices.Sorted(maps.Keys(server.callees)) {
		truth.Edges = append(truth.Edges, server.callees[name].finish(config.Name, name))
	}
	return truth, nil
}

// seeded gives the random numbers of one process.
func seeded(seed uint64, name string) *rand.Rand {
	hash := fnv.New64a()
	hash.Write([]byte(name)) //nolint:errcheck // never fails
	return rand.New(rand.NewPCG(seed, hash.Sum64()))
}

// serveHTTP serves until ctx is done, then lets running requests finish.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler, protocols *http.Protocols) error {
	server := &http.Server{Handler: handler, Protocols: protocols}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		return server.Close()
	}
	return nil
}

// ServeHTTP handles one request as its type's step says.
func (s *shopServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	step, ok := s.steps[r.URL.Path]
	if !ok {
		s.meter.fail()
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	sleep := step.draw(s.random)
	s.mu.Unlock()
	time.Sleep(sleep)
	for _, callee := range step.calls {
		if err := s.callees[callee].ask(r.URL.Path); err != nil {
			s.meter.fail()
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
	}
	io.WriteString(w, strings.Repeat("x", step.answer)) //nolint:errcheck // the meter of the peer counts it
}

// shopClient asks one service over connections that it keeps alive.
type shopClient struct {
	meter   meter
	address string
	http    http.Client
}

func newShopClient(address string) *shopClient {
	c := &shopClient{address: address}
	c.http.Transport = &http.Transport{
		MaxIdleConnsPerHost: 1024,
		DisableCompression:  true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return c.meter.wrap(conn, false), nil
		},
	}
	return c
}

// ask sends one request and reads its whole answer.
func (c *shopClient) ask(path string) error {
	response, err := c.http.Get("http://" + c.address + path)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		err = errors.Join(err, response.Body.Close())
	}
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s%s: %s", c.address, path, response.Status)
	}
	if err != nil {
		c.meter.fail()
	}
	return err
}

// finish closes the connections and gives what was counted on them.
func (c *shopClient) finish(client, server string) Edge {
	c.http.CloseIdleConnections()
	return c.meter.edge(client, server)
}
