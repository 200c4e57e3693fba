package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"sync"
	"time"
)

// Sizes of the messages of a scene, in bytes. The first byte of an answer says
// whether it is one.
const (
	faultRequestBytes = 100
	faultAnswerBytes  = 400
)

// faultClient configures the process that asks the services of a scene.
type faultClient struct {
	Rate        int           `json:"rate"`      // requests a second
	LateRate    int           `json:"late_rate"` // from the onset on; 0: the same
	Connections int           `json:"connections"`
	Timeout     time.Duration `json:"timeout"` // after which a connection is closed and another opened
	Servers     []string      `json:"servers"` // addresses, asked in turn
	Server      string        `json:"server"`  // name
	OnsetUnixNs int64         `json:"onset_unix_ns"`
	EndUnixNs   int64         `json:"end_unix_ns"`
}

// faultAsker is the role of the client. A request that is due while all
// connections wait for their answers is left out.
func faultAsker(ctx context.Context, text []byte, _ func(string)) (Truth, error) {
	var config faultClient
	if err := json.Unmarshal(text, &config); err != nil {
		return Truth{}, err
	}
	ctx, cancel := context.WithDeadline(ctx, time.Unix(0, config.EndUnixNs))
	defer cancel()
	var meter meter
	due := make(chan string) // the address to ask
	var asking sync.WaitGroup
	for range config.Connections {
		asking.Go(func() {
			to := map[string]*asker{}
			for _, address := range config.Servers {
				to[address] = &asker{meter: &meter, address: address, timeout: config.Timeout}
			}
			for address := range due {
				to[address].ask() //nolint:errcheck // counted as the edge's error
			}
			for _, a := range to {
				a.close()
			}
		})
	}
	config.pace(ctx, due)
	asking.Wait()
	return Truth{Edges: []Edge{meter.edge(exeName(), config.Server)}}, nil
}

// pace hands out requests at the rate until ctx is done.
func (c faultClient) pace(ctx context.Context, due chan<- string) {
	defer close(due)
	onset := time.Unix(0, c.OnsetUnixNs)
	next := time.Now()
	for i := 0; ; i++ {
		rate := c.Rate
		if c.LateRate > 0 && time.Now().After(onset) {
			rate = c.LateRate
		}
		next = next.Add(time.Second / time.Duration(rate))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		select {
		case due <- c.Servers[i%len(c.Servers)]:
		default:
		}
	}
}

// asker asks one server, one request at a time. After an answer that is late or
// is none it closes its connection, and opens another for the next.
type asker struct {
	meter   *meter
	address string
	timeout time.Duration
	conn    net.Conn
}

// ask asks once. The answer is false where the server has given up.
func (a *asker) ask() (bool, error) {
	good, err := a.exchange()
	if err != nil {
		a.meter.fail()
		a.close()
	}
	return good, err
}

func (a *asker) exchange() (bool, error) {
	until := time.Now().Add(a.timeout)
	if a.conn == nil {
		conn, err := net.DialTimeout("tcp", a.address, a.timeout)
		if err != nil {
			return false, err
		}
		a.conn = a.meter.wrap(conn, false)
	}
	if err := a.conn.SetDeadline(until); err != nil {
		return false, err
	}
	message := make([]byte, faultAnswerBytes)
	if _, err := a.conn.Write(message[:faultRequestBytes]); err != nil {
		return false, err
	}
	_, err := io.ReadFull(a.conn, message)
	return message[0] == 1, err
}

func (a *asker) close() {
	if a.conn != nil {
		a.conn.Close() //nolint:errcheck // what was asked on it is counted
		a.conn = nil
	}
}
