package finding

import "testing"

// A client that gives up within a second has sent one way, as far as its own end
// tells: the server's end counts. It was found on a recorded storm.
func TestRouteCountsWhereMoreWasSeen(t *testing.T) {
	asked := Requests{Count: 60, Bytes: 6000}
	refused := Requests{Count: 540, Errors: 540, Bytes: 54000}
	for name, test := range map[string]struct {
		window         EdgeWindow
		serverRecorded bool
		count, failed  float64
	}{
		"both ends agree":        {EdgeWindow{AtClient: asked, AtServer: asked}, true, 60, 0},
		"the client gave up":     {EdgeWindow{AtServer: refused}, true, 540, 540},
		"the server is unknown":  {EdgeWindow{AtClient: asked, AtServer: refused}, false, 60, 0},
		"the server lost events": {EdgeWindow{AtClient: asked, AtServer: Requests{Count: 50}}, true, 60, 0},
	} {
		r := newRoute("a", "b", 1, 1)
		r.add(&Edge{ClientRecorded: true, ServerRecorded: test.serverRecorded, Windows: []EdgeWindow{test.window}})
		if r.count[0] != test.count || r.failed[0] != test.failed {
			t.Errorf("%s: %v requests, %v failed; want %v, %v", name, r.count[0], r.failed[0], test.count, test.failed)
		}
	}
}
