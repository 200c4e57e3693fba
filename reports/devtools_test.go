package reports

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// patient is how long a test waits for what comes at once on a machine that has time:
// where others have most of it, axe-core takes half a minute for a page.
const patient = 3 * time.Minute

// tab is a page in the Chromium that all tests share, in a browser context of its
// own: no tab knows of another.
type tab struct {
	t       *testing.T
	browser *chromium
	session string
	file    string
	mu      sync.Mutex
	loaded  map[string]bool // documents, by what asked for them
	said    []string        // on the console, and exceptions
	asked   []string        // requests beside the page's own
}

// show opens a page and closes it with the test. Scripts before run ahead of those of
// the page.
func show(t *testing.T, page []byte, width, height int, before ...string) *tab {
	t.Helper()
	b := newTab(t, page)
	b.ask("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	for _, script := range before {
		b.ask("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": script}, nil)
	}
	b.load()
	return b
}

// newTab makes a tab for a page, which load loads.
func newTab(t *testing.T, page []byte) *tab {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, page, 0o600); err != nil {
		t.Fatal(err)
	}
	b := &tab{t: t, browser: sharedChromium(t), loaded: map[string]bool{}, file: "file://" + file}
	var context struct{ BrowserContextID string }
	b.ask("Target.createBrowserContext", nil, &context)
	t.Cleanup(func() {
		b.session = "" // the browser is asked
		b.ask("Target.disposeBrowserContext", map[string]any{"browserContextId": context.BrowserContextID}, nil)
	})
	var target struct{ TargetID string }
	b.ask("Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": context.BrowserContextID}, &target)
	var attached struct{ SessionID string }
	b.ask("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.browser.hears(b)
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.ask(domain+".enable", nil, nil)
	}
	b.ask("Page.setLifecycleEventsEnabled", map[string]any{"enabled": true}, nil)
	return b
}

// load loads the page. A tab begins with an empty one, which may be loaded late.
func (b *tab) load() {
	b.t.Helper()
	var asked struct{ LoaderID string }
	b.ask("Page.navigate", map[string]any{"url": b.file}, &asked)
	loaded := func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.loaded[asked.LoaderID]
	}
	for end := time.Now().Add(patient); !loaded(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatal("the page does not load")
		}
	}
}

// event keeps what the page said and asked for.
func (b *tab) event(m message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch m.Method {
	case "Page.lifecycleEvent":
		var p struct{ LoaderID, Name string }
		json.Unmarshal(m.Params, &p)
		if p.Name == "load" {
			b.loaded[p.LoaderID] = true
		}
	case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening":
		b.said = append(b.said, m.Method+" "+string(m.Params))
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		json.Unmarshal(m.Params, &p)
		if u, err := url.Parse(p.Request.URL); err != nil || (u.String() != b.file && u.Scheme != "about" && u.Scheme != "blob") {
			b.asked = append(b.asked, p.Request.URL)
		}
	}
}

// ask sends a command and waits for its answer.
func (b *tab) ask(method string, params any, into any) {
	b.t.Helper()
	answer, err := b.browser.send(b.session, method, params)
	if err != nil {
		b.t.Fatal(err)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error)
		}
		if into != nil {
			if err := json.Unmarshal(m.Result, into); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-b.browser.ended:
		b.t.Fatalf("%s: the browser has ended: %s", method, b.browser.said())
	case <-time.After(patient):
		b.t.Fatalf("%s: no answer", method)
	}
}

// run evaluates an expression, which may be a promise, and gives its value.
func run[T any](b *tab, script string) T {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value T }
		ExceptionDetails json.RawMessage
	}
	b.ask("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", script, answer.ExceptionDetails)
	}
	return answer.Result.Value
}

// until waits until an expression holds.
func (b *tab) until(script string) {
	b.t.Helper()
	for end := time.Now().Add(patient); !run[bool](b, script); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("in vain: %s", script)
		}
	}
}

// ready waits until the page's scripts have made all of it.
func (b *tab) ready() {
	b.t.Helper()
	b.is("yes")
}

// is waits until the page is in a state: "acts", its first screen does, or "yes".
func (b *tab) is(state string) {
	b.t.Helper()
	for end := time.Now().Add(patient); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if run[string](b, "document.documentElement.dataset.ready || ''") == state {
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Fatalf("the scripts do not start: %v", b.said)
}

// spot is a place on the page.
type spot struct{ X, Y float64 }

// at gives the place of a share of an element that script names, once it stays there:
// what comes near as the page scrolls is laid out only then.
func (b *tab) at(script string, x, y float64) spot {
	b.t.Helper()
	return run[spot](b, fmt.Sprintf(`new Promise(done => {
		let last = NaN, alike = 0;
		const look = () => {
			const e = %s;
			e.scrollIntoView({block: "center"});
			const r = e.getBoundingClientRect();
			alike = r.top === last ? alike + 1 : 0;
			last = r.top;
			if (alike < 3) requestAnimationFrame(look); else done({X: r.left + r.width * %g, Y: r.top + r.height * %g});
		};
		look();
	})`, script, x, y))
}

// mouse sends one event of the pointer.
func (b *tab) mouse(kind string, p spot) {
	b.t.Helper()
	button, buttons := "left", 1
	if kind == "mouseReleased" {
		buttons = 0
	}
	b.ask("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": p.X, "y": p.Y, "button": button, "buttons": buttons, "clickCount": 1}, nil)
}

// click clicks at a place.
func (b *tab) click(p spot) {
	b.t.Helper()
	b.mouse("mousePressed", p)
	b.mouse("mouseReleased", p)
}

// drag drags from one place to another.
func (b *tab) drag(from, to spot) {
	b.t.Helper()
	b.mouse("mousePressed", from)
	b.mouse("mouseMoved", spot{(from.X + to.X) / 2, (from.Y + to.Y) / 2})
	b.mouse("mouseMoved", to)
	b.mouse("mouseReleased", to)
}

// press presses keys, with shift if it is set.
func (b *tab) press(shift bool, keys ...string) {
	b.t.Helper()
	modifiers := 0
	if shift {
		modifiers = 8
	}
	codes := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
	for _, key := range keys {
		for _, kind := range []string{"rawKeyDown", "keyUp"} {
			b.ask("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": codes[key], "modifiers": modifiers}, nil)
		}
	}
}

// quiet fails when the page complained, or asked for anything.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.said {
		b.t.Errorf("the page says: %.600s", s)
	}
	for _, s := range b.asked {
		b.t.Errorf("the page asks for %.200s", s)
	}
}
