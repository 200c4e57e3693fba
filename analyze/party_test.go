package analyze

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"kmon/analyze/replay"
	"kmon/analyze/topology"
	"kmon/format"
)

// partyRun is a run over a story up to where topics begin.
func partyRun(t *testing.T, o Options, s *story) (*run, *Analysis) {
	t.Helper()
	captures, err := openAll(context.Background(), []string{s.write()}, 1)
	t.Cleanup(func() { closeAll(captures) })
	if err != nil {
		t.Fatal(err)
	}
	o.Workers = 1
	r := &run{options: o, captures: captures, parts: replay.NewParts(captures)}
	if err := r.findRange(); err != nil {
		t.Fatal(err)
	}
	r.graph = topology.New(captures, r.start, r.end)
	if err := r.count(context.Background()); err != nil {
		t.Fatal(err)
	}
	return r, r.assemble()
}

// who gives the party of a pid in the middle of the recording.
func who(r *run, pid int32) party {
	return r.who.list[r.party(r.captures[0], pid, mono0+5*second)]
}

// webAndBatch has a service with requests, one without a connection, and a
// connected process that no snapshot knows.
func webAndBatch(t *testing.T) *story {
	s := newStory(t, "node")
	s.process(10, "web")
	s.process(20, "batch").Instance = "batch.service"
	s.socket(1, format.RoleServer, 10, second, "10.0.0.1 80", "10.0.0.9 4000")
	s.exchange(1, 10, 2*second, 0, ms, 0, 0)
	s.socket(2, format.RoleServer, 77, second, "10.0.0.1 81", "10.0.0.9 4001")
	s.exchange(2, 77, 2*second, 0, ms, 0, 0)
	return s
}

func serviceNames(a *Analysis) []string {
	var names []string
	for _, s := range a.Services {
		names = append(names, s.Name)
	}
	return names
}

// A service that only computes is listed beside those with connections, once.
func TestServicesWithoutConnectionsAreAdded(t *testing.T) {
	r, a := partyRun(t, Options{}, webAndBatch(t))
	if got, want := serviceNames(a), []string{"10.0.0.9", "pid 77", "web"}; !slices.Equal(got, want) {
		t.Fatalf("services with connections are %q, want %q", got, want)
	}
	for range 2 {
		for pid, want := range map[int32]string{10: "web", 20: "batch", 77: "pid 77", 500: UnknownProcess, 501: UnknownProcess} {
			if s := r.serviceOf(a, who(r, pid)); s == nil || s.Name != want {
				t.Errorf("pid %d belongs to %+v, want %q", pid, s, want)
			}
		}
	}
	if got, want := serviceNames(a), []string{"10.0.0.9", "batch", "pid 77", UnknownProcess, "web"}; !slices.Equal(got, want) {
		t.Errorf("services are %q, want %q", got, want)
	}
	s := serviceNamed(t, a, "batch")
	if s.Ends != "" || s.Requests != 0 || s.Source != "executable" || s.Series == nil {
		t.Errorf("the added service is %+v", s)
	}
	if i := s.instanceOf(who(r, 20)); i.Name != "batch.service" || i.Host != "node" || !slices.Equal(i.PIDs, []int32{20}) {
		t.Errorf("its instance is %+v", i)
	}
	if web := serviceNamed(t, a, "web"); web.instanceOf(who(r, 10)).Requests != 1 || len(web.Instances) != 1 {
		t.Errorf("a process that served is another instance: %+v", web.Instances)
	}
}

func TestUnconnectedServicesAreBounded(t *testing.T) {
	s := newStory(t, "node")
	for i := range int32(200) {
		s.process(100+i, fmt.Sprintf("job%03d", i))
	}
	r, a := partyRun(t, Options{}, s)
	for i := range int32(200) {
		r.serviceOf(a, who(r, 100+i)).BytesIn++
	}
	if len(a.Services) != maxUnconnected+1 {
		t.Fatalf("%d services are listed, want %d", len(a.Services), maxUnconnected+1)
	}
	if got := serviceNamed(t, a, topology.OtherProcesses).BytesIn; got != 200-maxUnconnected {
		t.Errorf("the rest is %d services, want %d", got, 200-maxUnconnected)
	}
	service := &a.Services[0]
	for i := range int32(200) {
		service.instanceOf(who(r, 100+i)).RatePerS++
	}
	if len(service.Instances) > maxListed+1 {
		t.Errorf("%d instances are listed", len(service.Instances))
	}
}

func TestServiceOfHeedsTheFilter(t *testing.T) {
	r, a := partyRun(t, Options{Services: []string{"batch"}}, webAndBatch(t))
	if s := r.serviceOf(a, who(r, 10)); s != nil {
		t.Errorf("a service that was not asked for: %s", s.Name)
	}
	if s := r.serviceOf(a, who(r, 20)); s == nil || len(a.Services) != 1 {
		t.Errorf("the service asked for is %v among %q", s, serviceNames(a))
	}
}
