package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// A release is three services that one client asks in turn, each with a known
// distribution of latencies and amount of work. The next release may be worse in two
// of them: tail answers its slow requests later, and nothing else; worker has more to
// compute for each request. steady is always the same.

// releaseServer configures one service.
type releaseServer struct {
	Name   string        `json:"name"`
	Listen string        `json:"listen"`
	Sleep  time.Duration `json:"sleep"` // mean, ±10%
	Slow   time.Duration `json:"slow"`  // mean of slowReleased of the requests, ±10%
	Rounds int           `json:"rounds"`
	Times  int           `json:"times"` // requests, of those that the client's rate says
}

const (
	// slowReleased of the requests of a release are slow: the p99 lies among them.
	slowReleased = 0.025
	// roundsPerMs is about how many rounds of churn take a millisecond.
	roundsPerMs   = 1_000_000
	releaseBytes  = 200
	releaseClient = "asker"
)

func releaseServers(slower, harder float64) []releaseServer {
	ms := float64(time.Millisecond)
	return []releaseServer{
		{Name: "steady", Times: 1, Sleep: time.Duration(3 * ms), Slow: time.Duration(15 * ms)},
		{Name: "tail", Times: 3, Sleep: time.Duration(4 * ms), Slow: time.Duration(20 * ms * slower)},
		{Name: "worker", Times: 1, Sleep: time.Duration(3 * ms), Slow: time.Duration(3 * ms), Rounds: int(0.6 * roundsPerMs * harder)},
	}
}

// releaseAsker configures the client.
type releaseAsker struct {
	Rate      int           `json:"rate"`  // requests a second
	Times     []int         `json:"times"` // of each service, so many times the rate
	Duration  time.Duration `json:"duration"`
	Names     []string      `json:"names"`
	Addresses []string      `json:"addresses"`
}

// runRelease plays one release.
func runRelease(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("release")
	asker := releaseAsker{}
	flags.IntVar(&asker.Rate, "rate", 120, "requests a second of steady and worker; of tail three times as many")
	flags.DurationVar(&asker.Duration, "duration", 60*time.Second, "how long requests are sent; an interrupt ends it earlier")
	slower := flags.Float64("tail", 1, "slow requests of the service tail take `TIMES` as long: 1.15")
	harder := flags.Float64("work", 1, "the service worker computes `TIMES` as much for each request: 1.10")
	if err := errors.Join(flags.parse(args), flags.atLeast("rate", asker.Rate, 1)); err != nil {
		return err
	}
	truth, err := playRelease(ctx, asker, releaseServers(*slower, *harder), flags.limit)
	if err != nil {
		return err
	}
	return flags.finish(out, truth)
}

func playRelease(ctx context.Context, asker releaseAsker, servers []releaseServer, limit time.Duration) (*Truth, error) {
	crew, err := newCrew(limit)
	if err != nil {
		return nil, err
	}
	defer crew.close()
	var children []*child
	for _, config := range servers {
		config.Listen = "127.0.0.1:0"
		child, address, err := crew.serve(config.Name, "release-server", config)
		if err != nil {
			return nil, err
		}
		children = append(children, child)
		asker.Names, asker.Addresses = append(asker.Names, config.Name), append(asker.Addresses, address)
		asker.Times = append(asker.Times, config.Times)
	}
	truth := &Truth{Load: "release", StartUnixNs: time.Now().UnixNano()}
	asking, err := crew.start(releaseClient, "release-client", asker)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, begunText)
	part, err := asking.wait(ctx)
	if err != nil {
		return nil, err
	}
	truth.add(part)
	truth.EndUnixNs = time.Now().UnixNano()
	for _, child := range slices.Backward(children) {
		part, err := child.finish()
		if err != nil {
			return nil, err
		}
		truth.add(part)
	}
	return truth, nil
}

// begunText is what a load says on standard error when its services are there.
const begunText = "workload: begun"

// releaseServe is the role of a service.
func releaseServe(ctx context.Context, text []byte, ready func(string)) (Truth, error) {
	var config releaseServer
	if err := json.Unmarshal(text, &config); err != nil {
		return Truth{}, err
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return Truth{}, err
	}
	var meter meter
	ready(listener.Addr().String())
	err = acceptAll(ctx, meteredListener{listener, &meter}, config.answer)
	return Truth{Services: []Service{meter.service(config.Name, listener.Addr().String())}}, err
}

// answer answers each request of one connection until the client closes it.
func (c releaseServer) answer(conn net.Conn) {
	message := make([]byte, releaseBytes)
	for {
		if _, err := io.ReadFull(conn, message); err != nil {
			return
		}
		message[0] = churn(message[0], c.Rounds)
		sleep := c.Sleep
		if rand.Float64() < slowReleased {
			sleep = c.Slow
		}
		time.Sleep(time.Duration(float64(sleep) * (0.9 + 0.2*rand.Float64())))
		if _, err := conn.Write(message); err != nil {
			return
		}
	}
}

// churn does the same work for the same rounds: how long that takes is the
// computer's, as it is of programs.
func churn(seed byte, rounds int) byte {
	v := uint64(seed) + 1
	for range rounds {
		v ^= v << 13
		v ^= v >> 7
		v ^= v << 17
	}
	return byte(v)
}

// releaseAsk is the role of the client: it asks every service at its rate. What is
// due while every connection waits is left out.
func releaseAsk(ctx context.Context, text []byte, _ func(string)) (Truth, error) {
	var config releaseAsker
	if err := json.Unmarshal(text, &config); err != nil {
		return Truth{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, config.Duration)
	defer cancel()
	meters := make([]meter, len(config.Names))
	var asking sync.WaitGroup
	for i, address := range config.Addresses {
		due := make(chan struct{})
		for range releaseConnections {
			asking.Go(func() { askDue(address, &meters[i], due) })
		}
		asking.Go(func() { paceDue(ctx, config.Rate*config.Times[i], due) })
	}
	asking.Wait()
	var truth Truth
	for i := range meters {
		truth.Edges = append(truth.Edges, meters[i].edge(releaseClient, config.Names[i]))
	}
	return truth, nil
}

// releaseConnections are those to one service.
const releaseConnections = 8

// paceDue says at a rate that a request is due, until ctx is done.
func paceDue(ctx context.Context, rate int, due chan<- struct{}) {
	defer close(due)
	for next := time.Now(); ; {
		next = next.Add(time.Second / time.Duration(rate))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		select {
		case due <- struct{}{}:
		default:
		}
	}
}

// askDue asks on a connection of its own whenever a request is due.
func askDue(address string, meter *meter, due <-chan struct{}) {
	plain, err := net.Dial("tcp", address)
	if err != nil {
		meter.fail()
		return
	}
	conn := meter.wrap(plain, false)
	defer conn.Close()
	message := make([]byte, releaseBytes)
	for range due {
		if _, err := conn.Write(message); err != nil {
			meter.fail()
			return
		}
		if _, err := io.ReadFull(conn, message); err != nil {
			meter.fail()
			return
		}
	}
}
