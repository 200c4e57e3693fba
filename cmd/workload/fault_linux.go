package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// A scene is one fault with the services that it befalls. Half of its time is
// healthy; its healthy twin is so to the end.
type scene struct {
	summary string
	client  faultClient
	servers []faultServer // callees before callers; the client asks the last, or all where none calls another
	// subject is the index in servers of the one that is at fault.
	subject int
	// apart has each server on a network namespace of its own.
	apart bool
	// befall brings a fault that no server brings on itself; nil: none.
	befall func(s *stage) (bring, mend func() error, err error)
}

func scenes() map[string]scene {
	ms := time.Millisecond
	ledger := faultServer{Name: "ledger", Workers: 2, Work: ms, Sleep: 4 * ms}
	asks := faultClient{Rate: 60, Connections: 16, Timeout: time.Second}
	spinning, yielding, working := ledger, ledger, ledger
	yielding.Fault = faultYield
	spinning.Fault, spinning.Workers, spinning.Sleep = faultSpin, 1, 0
	working.Work, working.Sleep, working.Workers = 4*ms, 0, 4
	flood := faultClient{Rate: 60, LateRate: 400, Connections: 48, Timeout: 10 * time.Second}
	patient := faultClient{Rate: 60, Connections: 16, Timeout: 10 * time.Second}
	mirror := faultServer{Name: "replica", Sleep: 5 * ms}
	late := mirror
	late.Fault, late.Late = faultLate, 40*ms
	return map[string]scene{
		"yield": {summary: "two threads yield to each other over try-locks while requests wait", client: asks, servers: []faultServer{yielding}},
		"spin":  {summary: "the only thread that works spins while requests wait", client: asks, servers: []faultServer{spinning}},
		"retry": {summary: "a slow leaf below two services that both give up early and ask again",
			client: faultClient{Rate: 12, Connections: 16, Timeout: 500 * ms},
			servers: []faultServer{
				{Name: "leaf", Sleep: 5 * ms, Fault: faultLate, Late: 400 * ms},
				{Name: "middle", Callee: "leaf", Timeout: 100 * ms, Tries: 3},
				{Name: "front", Callee: "middle", Timeout: 200 * ms, Tries: 3},
			}},
		"overload": {summary: "a healthy service is asked more than its workers can do", client: flood,
			servers: []faultServer{{Name: "ledger", Workers: 2, Work: ms, Sleep: 8 * ms}}},
		"limit": {summary: "a quota of its cgroup leaves a service less CPU than it needs", client: patient, servers: []faultServer{working}, befall: limitCPU},
		"busy":  {summary: "programs that compute take the CPUs from a service", client: patient, servers: []faultServer{working}, befall: burnCPUs},
		"late":  {summary: "every answer of one of four replicas is late", client: asks, servers: []faultServer{mirror, mirror, late, mirror}, subject: 2},
		"path": {summary: "packets of one of four replicas are late and get lost; each is in a network namespace", client: patient,
			servers: []faultServer{mirror, mirror, mirror, mirror}, subject: 2, apart: true, befall: spoilLink},
		"disk": {summary: "services read the --disks, one each; who throttles the first waits for \"workload: onset\" on standard error",
			client: patient, servers: []faultServer{{Name: "store", Reads: 4}}},
	}
}

// What is said when all services are there, when the fault begins and when all is
// over, for those who record it and bring it.
const (
	begunWord  = "workload: begun"
	onsetWord  = "workload: onset"
	mendedWord = "workload: mended"
)

// faultConfig is the command line.
type faultConfig struct {
	kind     string
	healthy  bool
	apart    bool
	disks    string
	duration time.Duration
}

// runFault plays a scene: healthy in the first half of its time, then not.
func runFault(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("fault")
	var config faultConfig
	all := scenes()
	text := "which fault:"
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		text += fmt.Sprintf("\n%s: %s", kind, all[kind].summary)
	}
	flags.StringVar(&config.kind, "kind", "", text)
	flags.BoolVar(&config.healthy, "healthy", false, "the same load without the fault")
	flags.BoolVar(&config.apart, "apart", false, "each server in a network namespace of its own, which root makes with ip(8)")
	flags.StringVar(&config.disks, "disks", "", "`PATHS` of disks or files to read, separated by commas, for --kind disk")
	flags.DurationVar(&config.duration, "duration", 60*time.Second, "how long requests are sent; the fault begins after half of it")
	if err := flags.parse(args); err != nil {
		return err
	}
	scene, ok := all[config.kind]
	if !ok {
		return fmt.Errorf("workload fault: --kind is one of %s", strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	if config.disks == "" && config.kind == "disk" {
		return errors.New("workload fault: --kind disk needs --disks")
	}
	for i, path := range strings.Split(config.disks, ",") {
		if config.disks != "" {
			reader := scene.servers[0]
			reader.Disk = path
			scene.servers = append(scene.servers[:i:i], reader)
		}
	}
	scene.apart = scene.apart || config.apart
	truth, err := config.play(ctx, scene, flags.limit)
	if err != nil {
		return fmt.Errorf("workload fault: %s: %w", config.kind, err)
	}
	return flags.finish(out, truth)
}

// stage is a scene while it is played.
type stage struct {
	crew      *crew
	scene     scene
	servers   []*child
	addresses []string
	networks  []network // of the servers, where they are apart
	subject   *child
}

func (c faultConfig) play(ctx context.Context, scene scene, limit time.Duration) (truth *Truth, err error) {
	crew, err := newCrew(limit)
	if err != nil {
		return nil, err
	}
	stage := &stage{crew: crew, scene: scene}
	defer func() {
		crew.close()
		err = errors.Join(err, stage.close())
	}()
	began := time.Now()
	end := began.Add(c.duration)
	fault := Fault{Kind: c.kind, Healthy: c.healthy, OnsetUnixNs: began.Add(c.duration / 2).UnixNano(), EndUnixNs: end.UnixNano()}
	onset := fault.OnsetUnixNs
	if c.healthy {
		onset = end.Add(time.Hour).UnixNano()
	}
	if err := stage.set(onset); err != nil {
		return nil, err
	}
	fault.Service, fault.PID = stage.subject.name, stage.subject.cmd.Process.Pid
	truth = &Truth{Load: "fault", StartUnixNs: began.UnixNano(), Fault: &fault}
	client := scene.client
	client.OnsetUnixNs, client.EndUnixNs = onset, end.UnixNano()
	client.Servers, client.Server = stage.asked(), scene.servers[len(scene.servers)-1].Name
	asking, err := crew.start("asker", "fault-client", client)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, begunWord)
	mend, err := stage.awaitOnset(ctx, c.healthy, time.Unix(0, fault.OnsetUnixNs))
	if err != nil {
		return nil, err
	}
	part, err := asking.wait(ctx)
	fmt.Fprintln(os.Stderr, mendedWord)
	if err := errors.Join(err, mend()); err != nil {
		return nil, err
	}
	truth.add(part)
	truth.EndUnixNs = time.Now().UnixNano()
	for _, server := range slices.Backward(stage.servers) {
		part, err := server.finish()
		if err != nil {
			return nil, err
		}
		truth.add(part)
	}
	return truth, nil
}

// set starts the servers.
func (s *stage) set(onset int64) error {
	by := map[string]string{}
	for i, config := range s.scene.servers {
		config.OnsetUnixNs, config.CalleeAddress = onset, by[config.Callee]
		host := fmt.Sprintf("127.0.0.%d", 1+i)
		if s.scene.apart {
			n, err := newNetwork(i)
			s.networks = append(s.networks, n)
			if err != nil {
				return err
			}
			host, s.crew.through = n.address, n.enter()
		}
		config.Listen = net.JoinHostPort(host, s.port(config.Name))
		child, address, err := s.crew.serve(config.Name, "fault-server", config)
		if err != nil {
			return err
		}
		s.crew.through = nil
		by[config.Name] = address
		s.servers, s.addresses = append(s.servers, child), append(s.addresses, address)
		if i == s.scene.subject {
			s.subject = child
		}
	}
	return nil
}

// port is that of the replicas that run already, as replicas have it everywhere; of
// the first, any.
func (s *stage) port(service string) string {
	for i, address := range s.addresses {
		if _, port, err := net.SplitHostPort(address); err == nil && s.scene.servers[i].Name == service {
			return port
		}
	}
	return "0"
}

// close removes the networks.
func (s *stage) close() (err error) {
	for _, n := range s.networks {
		err = errors.Join(err, n.remove())
	}
	return err
}

// asked gives the addresses that the client asks.
func (s *stage) asked() []string {
	last := len(s.addresses) - 1
	if s.scene.servers[last].Callee == "" {
		return s.addresses
	}
	return s.addresses[last:]
}

// awaitOnset waits for the onset and brings the fault that comes from outside of
// the servers. mend takes it away.
func (s *stage) awaitOnset(ctx context.Context, healthy bool, onset time.Time) (mend func() error, err error) {
	bring, mend := func() error { return nil }, func() error { return nil }
	if s.scene.befall != nil {
		if bring, mend, err = s.scene.befall(s); err != nil {
			return nil, err
		}
	}
	select {
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), mend())
	case <-time.After(time.Until(onset)):
	}
	if healthy {
		return mend, nil
	}
	fmt.Fprintln(os.Stderr, onsetWord)
	if err := bring(); err != nil {
		return nil, errors.Join(err, mend())
	}
	return mend, nil
}
