package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// streamConfig configures traffic that does not read as request and answer.
type streamConfig struct {
	Mode        string        `json:"mode"`
	Connections int           `json:"connections"`
	Messages    int           `json:"messages"` // on each connection
	Size        int           `json:"size"`
	Depth       int           `json:"depth"`
	Sleep       time.Duration `json:"sleep"`
	Address     string        `json:"address,omitempty"` // the server's, for the client
}

// A streamMode is one kind of stream, as each end of a connection plays it.
// The two ends share the counts' meaning: messages of the application.
type streamMode struct {
	summary string
	serve   func(streamConfig, net.Conn, *counts)
	ask     func(streamConfig, net.Conn, *counts) error
}

// counts are the application's messages of one process.
type counts struct{ in, out atomic.Int64 }

func streamModes() map[string]streamMode {
	return map[string]streamMode{
		"one-way":   {"the client sends, the server never answers", receiveAll, sendAndEnd},
		"push":      {"the server sends unasked", pushAll, receivePushed},
		"pipelined": {"the client asks again before the answer is there", answerAll, askAhead},
		"h2":        {"requests multiplexed on a connection, HTTP/2 without TLS", nil, nil},
	}
}

// runStream runs one mode between one client and one server process.
func runStream(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("stream")
	var config streamConfig
	flags.StringVar(&config.Mode, "mode", "one-way", "one-way, push, pipelined or h2")
	flags.IntVar(&config.Connections, "connections", 1, "connections at a time")
	flags.IntVar(&config.Messages, "messages", 1000, "messages, or requests, on each connection")
	flags.IntVar(&config.Size, "size", 200, "bytes of a message, a request or an answer")
	flags.IntVar(&config.Depth, "depth", 8, "requests in flight on a connection (pipelined, h2)")
	flags.DurationVar(&config.Sleep, "sleep", 0, "of the sender before each message, of the server before each answer")
	if err := errors.Join(flags.parse(args), flags.atLeast("connections", config.Connections, 1),
		flags.atLeast("size", config.Size, 1), flags.atLeast("depth", config.Depth, 1), flags.atLeast("messages", config.Messages, 1)); err != nil {
		return err
	}
	if _, ok := streamModes()[config.Mode]; !ok {
		return fmt.Errorf("workload stream: --mode %q is none of one-way, push, pipelined, h2", config.Mode)
	}
	truth, err := playPair(ctx, "stream", flags.limit, config, func(address string) any {
		config.Address = address
		return config
	})
	if err != nil {
		return err
	}
	return flags.finish(out, truth)
}

// streamServer is the role of the server.
func streamServer(ctx context.Context, text []byte, ready func(string)) (Truth, error) {
	var config streamConfig
	if err := json.Unmarshal(text, &config); err != nil {
		return Truth{}, err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return Truth{}, err
	}
	var meter meter
	var counted counts
	listener := meteredListener{plain, &meter}
	ready(plain.Addr().String())
	if config.Mode == "h2" {
		err = serveHTTP(ctx, listener, config.handler(&counted), h2Only())
	} else {
		serve := streamModes()[config.Mode].serve
		err = acceptAll(ctx, listener, func(conn net.Conn) { serve(config, conn, &counted) })
	}
	service := meter.service("stream-server", plain.Addr().String())
	service.MessagesIn, service.MessagesOut = counted.in.Load(), counted.out.Load()
	service.Requests, service.Unanswered = config.requests(service.MessagesOut), 0
	service.Latency, service.Returned = Latency{}, Latency{}
	return Truth{Services: []Service{service}}, err
}

// requests is the number of answered requests, given the answers: none in the
// modes that have no answers. No mode has latencies that a socket could show.
func (c streamConfig) requests(answers int64) int64 {
	if c.Mode == "pipelined" || c.Mode == "h2" {
		return answers
	}
	return 0
}

// streamClient is the role of the client.
func streamClient(_ context.Context, text []byte, _ func(string)) (Truth, error) {
	var config streamConfig
	if err := json.Unmarshal(text, &config); err != nil {
		return Truth{}, err
	}
	var meter meter
	var counted counts
	err := inParallel(config.Connections, func() error {
		plain, err := net.Dial("tcp", config.Address)
		if err != nil {
			return err
		}
		conn := meter.wrap(plain, false)
		defer conn.Close()
		if config.Mode == "h2" {
			return config.askH2(conn, &counted)
		}
		return streamModes()[config.Mode].ask(config, conn, &counted)
	})
	edge := meter.edge("stream-client", "stream-server")
	edge.MessagesSent, edge.MessagesReceived = counted.out.Load(), counted.in.Load()
	edge.Requests, edge.Unanswered, edge.Latency = config.requests(edge.MessagesReceived), 0, Latency{}
	return Truth{Edges: []Edge{edge}}, err
}

// sendAll sends all messages.
func sendAll(c streamConfig, conn net.Conn, counted *counts) error {
	for range c.Messages {
		time.Sleep(c.Sleep)
		if _, err := conn.Write(make([]byte, c.Size)); err != nil {
			return err
		}
		counted.out.Add(1)
	}
	return nil
}

// sendAndEnd sends all messages and waits until the server has taken them and
// closes too: else the server may be told to end before it has seen them all.
func sendAndEnd(c streamConfig, conn net.Conn, counted *counts) error {
	if err := sendAll(c, conn, counted); err != nil {
		return err
	}
	if err := conn.(*meteredConn).Conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("the server answered %d bytes, error %w; it should only close", n, err)
	}
	return nil
}

// receiveAll receives messages until the peer closes.
func receiveAll(c streamConfig, conn net.Conn, counted *counts) {
	message := make([]byte, c.Size)
	for {
		if _, err := io.ReadFull(conn, message); err != nil {
			return
		}
		counted.in.Add(1)
	}
}

// pushAll sends all messages unasked and waits for the peer to close.
func pushAll(c streamConfig, conn net.Conn, counted *counts) {
	if sendAll(c, conn, counted) == nil {
		receiveAll(c, conn, counted)
	}
}

// receivePushed receives exactly the messages that pushAll sends.
func receivePushed(c streamConfig, conn net.Conn, counted *counts) error {
	for range c.Messages {
		if _, err := io.ReadFull(conn, make([]byte, c.Size)); err != nil {
			return err
		}
		counted.in.Add(1)
	}
	return nil
}

// answerAll answers requests in their order until the peer closes.
func answerAll(c streamConfig, conn net.Conn, counted *counts) {
	request := make([]byte, c.Size)
	for {
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		counted.in.Add(1)
		time.Sleep(c.Sleep)
		if _, err := conn.Write(request); err != nil {
			return
		}
		counted.out.Add(1)
	}
}

// askAhead keeps Depth requests in flight.
func askAhead(c streamConfig, conn net.Conn, counted *counts) error {
	inFlight := make(chan struct{}, c.Depth)
	received := make(chan error, 1)
	go func() {
		response := make([]byte, c.Size)
		for range c.Messages {
			if _, err := io.ReadFull(conn, response); err != nil {
				received <- err
				return
			}
			counted.in.Add(1)
			<-inFlight
		}
		received <- nil
	}()
	for range c.Messages {
		select {
		case inFlight <- struct{}{}:
		case err := <-received:
			return err
		}
		if _, err := conn.Write(make([]byte, c.Size)); err != nil {
			return err
		}
		counted.out.Add(1)
	}
	return <-received
}

func h2Only() *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return protocols
}

// handler answers HTTP/2 requests.
func (c streamConfig) handler(counted *counts) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		counted.in.Add(1)
		time.Sleep(c.Sleep)
		if _, err := w.Write(make([]byte, c.Size)); err == nil {
			counted.out.Add(1)
		}
	})
}

// askH2 sends the requests as HTTP/2 on one connection, Depth at a time.
func (c streamConfig) askH2(conn net.Conn, counted *counts) error {
	connection := make(chan net.Conn, 1)
	connection <- conn
	transport := &http.Transport{Protocols: h2Only(), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case conn := <-connection:
			return conn, nil
		default:
			return nil, errors.New("the connection of the stream is gone")
		}
	}}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	if err := c.askOnce(&client, counted); err != nil { // alone, or each of them would dial
		return err
	}
	var left atomic.Int64
	left.Store(int64(c.Messages) - 1)
	return inParallel(c.Depth, func() error {
		for left.Add(-1) >= 0 {
			if err := c.askOnce(&client, counted); err != nil {
				return err
			}
		}
		return nil
	})
}

// askOnce posts one message and reads the answer.
func (c streamConfig) askOnce(client *http.Client, counted *counts) error {
	counted.out.Add(1)
	response, err := client.Post("http://"+c.Address+"/", "text/plain", strings.NewReader(strings.Repeat("x", c.Size)))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	counted.in.Add(1)
	return nil
}
