package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"runtime"
	"time"
)

// What a server does from the onset on.
const (
	faultYield = "yield" // its two workers give way to each other
	faultSpin  = "spin"  // its worker waits for something that does not come
	faultLate  = "late"  // it sleeps longer
)

// faultServer configures one service of a scene.
type faultServer struct {
	Name    string        `json:"name"`
	Workers int           `json:"workers"` // threads that do the work; 0: as many as there are connections
	Work    time.Duration `json:"work"`    // CPU time of a request
	Sleep   time.Duration `json:"sleep"`   // of a request, after that
	Late    time.Duration `json:"late"`    // instead of Sleep, of a late server
	Fault   string        `json:"fault"`   // "": none of its own
	Disk    string        `json:"disk"`    // a disk or file that a request reads blocks of; "": none
	Reads   int           `json:"reads"`   // blocks, one after the other

	Callee        string        `json:"callee"`  // who is asked for each request; "": nobody
	Timeout       time.Duration `json:"timeout"` // of one try
	Tries         int           `json:"tries"`
	CalleeAddress string        `json:"callee_address"`
	Listen        string        `json:"listen"`
	OnsetUnixNs   int64         `json:"onset_unix_ns"`
}

// faultService is a server while it runs.
type faultService struct {
	config faultServer
	ctx    context.Context
	calls  meter    // of the connections to the callee
	jobs   chan job // for the workers
	locks  politeLocks
	disk   *blockReader
}

// job is one request; done takes whether it could be done.
type job struct{ done chan bool }

// faultServe is the role of a service.
func faultServe(ctx context.Context, text []byte, ready func(string)) (Truth, error) {
	s := &faultService{ctx: ctx, jobs: make(chan job)}
	if err := json.Unmarshal(text, &s.config); err != nil {
		return Truth{}, err
	}
	if s.config.Disk != "" {
		disk, err := openBlocks(s.config.Disk)
		if err != nil {
			return Truth{}, err
		}
		s.disk = disk
	}
	listener, err := net.Listen("tcp", s.config.Listen)
	if err != nil {
		return Truth{}, err
	}
	runtime.GOMAXPROCS(runtime.NumCPU() + s.config.Workers) // one that spins leaves a place for the others
	for worker := range s.config.Workers {
		go s.work(worker)
	}
	var served meter
	ready(listener.Addr().String())
	if err := acceptAll(ctx, meteredListener{listener, &served}, s.serve); err != nil {
		return Truth{}, err
	}
	truth := Truth{Services: []Service{served.service(s.config.Name, listener.Addr().String())}}
	if s.config.Callee != "" {
		truth.Edges = []Edge{s.calls.edge(s.config.Name, s.config.Callee)}
	}
	return truth, nil
}

// serve answers the requests of one connection.
func (s *faultService) serve(conn net.Conn) {
	stop := context.AfterFunc(s.ctx, func() { conn.Close() }) //nolint:errcheck // Read tells
	defer stop()
	callee := &asker{meter: &s.calls, address: s.config.CalleeAddress, timeout: s.config.Timeout}
	defer callee.close()
	request, answer := make([]byte, faultRequestBytes), make([]byte, faultAnswerBytes)
	for {
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		answer[0] = 0
		if s.handle(callee) {
			answer[0] = 1
		}
		if s.ctx.Err() != nil {
			return // what waits now was never answered
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// handle does one request, or has a worker do it.
func (s *faultService) handle(callee *asker) bool {
	if s.config.Workers == 0 {
		return s.do() && s.call(callee)
	}
	j := job{make(chan bool, 1)}
	select {
	case s.jobs <- j:
	case <-s.ctx.Done():
		return false
	}
	select {
	case good := <-j.done:
		return good
	case <-s.ctx.Done():
		return false
	}
}

// work is one worker: a thread of its own.
func (s *faultService) work(worker int) {
	runtime.LockOSThread()
	for {
		select {
		case <-s.ctx.Done():
			return
		case j := <-s.jobs:
			j.done <- s.doOrFail(worker)
		}
	}
}

// doOrFail is the work of a request in a service that may have a fault.
func (s *faultService) doOrFail(worker int) bool {
	switch {
	case s.sick() && s.config.Fault == faultYield:
		return s.locks.do(s.ctx, worker, s.do)
	case s.sick() && s.config.Fault == faultSpin:
		spinUntil(s.ctx)
	}
	return s.do()
}

func (s *faultService) sick() bool { return time.Now().UnixNano() >= s.config.OnsetUnixNs }

// do is the work of a request.
func (s *faultService) do() bool {
	compute(s.config.Work)
	for range s.config.Reads {
		if s.disk.read() != nil {
			return false
		}
	}
	sleep := s.config.Sleep
	if s.config.Fault == faultLate && s.sick() {
		sleep = s.config.Late
	}
	time.Sleep(sleep)
	return true
}

// call asks the callee, again and again if need be.
func (s *faultService) call(callee *asker) bool {
	if s.config.Callee == "" {
		return true
	}
	for range s.config.Tries {
		if good, err := callee.ask(); err == nil && good {
			return true
		}
	}
	return false
}
