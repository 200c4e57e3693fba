package analyze

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"kmon/format"
)

// frontAndStock is a service that asks another for 6 ms of its 10, and in 3 of 100
// requests waits for a lock for 80 ms more. accounted is the flag of its rows.
func frontAndStock(t *testing.T, accounted format.ExchangeFlags) *story {
	s := newStory(t, "node")
	s.process(100, "load")
	s.process(200, "front")
	s.process(300, "stock")
	s.socket(1, format.RoleClient, 100, 0, "10.0.0.1 4000", "10.0.0.1 80")
	s.socket(2, format.RoleServer, 200, 0, "10.0.0.1 80", "10.0.0.1 4000")
	s.socket(3, format.RoleClient, 200, 0, "10.0.0.1 5000", "10.0.0.1 90")
	s.socket(4, format.RoleServer, 300, 0, "10.0.0.1 90", "10.0.0.1 5000")
	for i := range int64(80) {
		at, lock := i*100*ms, int64(0)
		if i%33 == 9 {
			lock = 80 * ms
		}
		stock := s.exchange(4, 300, at+3*ms, 0, 5*ms, 0, accounted)
		stock.DiskNs = 4 * ms * int64(accounted/format.ExchangeAccounted)
		s.exchange(3, 200, at+2*ms, 0, 6*ms, 0, format.ExchangeClient)
		front := s.exchange(2, 200, at, 0, 10*ms+lock, 0, accounted)
		if accounted != 0 {
			front.NetworkNs, front.LockNs, front.RunQueueNs = 6*ms, lock, ms
		}
		s.exchange(1, 100, at, 0, 10*ms+lock, 0, format.ExchangeClient)
	}
	return s
}

// spentOn gives the parts of a band by name, callees by theirs.
func spentOn(t *testing.T, b BreakdownBand) map[string]int64 {
	t.Helper()
	parts, sum := map[string]int64{}, int64(0)
	for _, p := range b.Parts {
		name := p.Name
		if p.Callee != "" {
			name += " " + p.Callee
		}
		parts[name] += p.Ns
		sum += p.Ns
	}
	if sum != b.MeanNs {
		t.Errorf("the parts add up to %d ns, the mean is %d: %+v", sum, b.MeanNs, b.Parts)
	}
	return parts
}

func TestBreakdownOfAService(t *testing.T) {
	a := analyzed(t, Options{}, frontAndStock(t, format.ExchangeAccounted))
	front := serviceNamed(t, a, "front").Breakdown
	if front == nil || front.Requests != 80 || front.Accounted != 80 || front.HandedOver != 0 || front.UnclearCalls != 0 {
		t.Fatalf("front: %+v", front)
	}
	want := map[string]int64{"on-cpu": 3 * ms, "run-queue": ms, "callee stock": 6 * ms}
	if got := spentOn(t, front.Middle); !reflect.DeepEqual(got, want) {
		t.Errorf("around p50: %v, want %v", got, want)
	}
	want["lock"] = 80 * ms
	if got := spentOn(t, front.Slow); !reflect.DeepEqual(got, want) {
		t.Errorf("around p99: %v, want %v", got, want)
	}
	stock := serviceNamed(t, a, "stock").Breakdown
	if got, want := spentOn(t, stock.Slow), map[string]int64{"on-cpu": ms, "disk": 4 * ms}; !reflect.DeepEqual(got, want) {
		t.Errorf("stock: %v, want %v", got, want)
	}
	if b := serviceNamed(t, a, "load").Breakdown; b != nil {
		t.Errorf("a client has a breakdown: %+v", b)
	}
}

// Who gives up resets the connection: the late answer is a request like any, which
// waited for whom the service had asked, in vain. These are what an incident is made
// of, and were left out: "around p99" told of the healthy time before.
func TestBreakdownOfRequestsGivenUp(t *testing.T) {
	s := frontAndStock(t, format.ExchangeAccounted)
	for i := range int64(20) {
		at := 9*second + i*1000*ms
		s.exchange(3, 200, at+10*ms, 0, 300*ms, 0, format.ExchangeClient|format.ExchangeNoAnswer|format.ExchangeClosed)
		s.exchange(2, 200, at, 0, 400*ms, 0, format.ExchangeClosed|format.ExchangeReset)
	}
	front := serviceNamed(t, analyzed(t, Options{}, s), "front")
	if b := front.Breakdown; b.Requests != 100 || b.Requests != front.Latency.Count || b.Accounted != 80 || b.Slow.Requests != 20 {
		t.Fatalf("of %d requests with a latency: %+v", front.Latency.Count, b)
	}
	if got, want := spentOn(t, front.Breakdown.Slow), map[string]int64{"callee stock": 300 * ms, "unknown": 100 * ms}; !reflect.DeepEqual(got, want) {
		t.Errorf("around p99: %v, want %v", got, want)
	}
}

// The result does not depend on workers, nor on how the file is divided.
func TestBreakdownInParts(t *testing.T) {
	s := frontAndStock(t, format.ExchangeAccounted)
	s.segments = 7
	path := s.write()
	var first *Analysis
	for _, o := range []Options{{Workers: 1}, {Workers: 4}, {Workers: 3, partSockets: 1, partSegments: 1}} {
		a, err := Run(context.Background(), []string{path}, o)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = a
		}
		if got, want := serviceNamed(t, a, "front").Breakdown, serviceNamed(t, first, "front").Breakdown; !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: %+v, want %+v", o, got, want)
		}
	}
	if b := serviceNamed(t, first, "front").Breakdown; spentOn(t, b.Slow)["callee stock"] != 6*ms {
		t.Errorf("the callee is not seen: %+v", b)
	}
}

// Of a capture that does not tell what threads did, callees are known still, and
// the rest is not; a service without callees has no breakdown.
func TestBreakdownOfAnOldCapture(t *testing.T) {
	a := analyzed(t, Options{}, frontAndStock(t, 0))
	front := serviceNamed(t, a, "front").Breakdown
	if front == nil || front.Accounted+front.HandedOver != 0 {
		t.Fatalf("front: %+v", front)
	}
	if got, want := spentOn(t, front.Middle), map[string]int64{"callee stock": 6 * ms, "unknown": 4 * ms}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if b := serviceNamed(t, a, "stock").Breakdown; b != nil {
		t.Errorf("stock: %+v, want none", b)
	}
	for _, w := range a.Warnings {
		if strings.Contains(w, "run_queue_ns") {
			t.Errorf("an old capture is called damaged: %s", w)
		}
	}
}

// The frozen capture is of a kmon before there was such a thing.
func TestFrozenCaptureHasNoThreadsOfRequests(t *testing.T) {
	a, err := Run(context.Background(), []string{"../testdata/captures/v1/shop.kmon"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	callees := 0
	for _, s := range a.Services {
		if s.Breakdown == nil {
			continue
		}
		if s.Breakdown.Accounted+s.Breakdown.HandedOver != 0 {
			t.Errorf("%s has %+v", s.Name, s.Breakdown)
		}
		for name := range spentOn(t, s.Breakdown.Slow) {
			if strings.HasPrefix(name, "callee ") {
				callees++
			}
		}
	}
	if callees == 0 {
		t.Error("no callee is known, though they are recorded")
	}
}
