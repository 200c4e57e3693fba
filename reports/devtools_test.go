package reports

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// tab is a page in a headless Chromium, driven over the DevTools protocol by
// pipe (--remote-debugging-pipe: JSON messages that end in a zero byte), which
// needs neither a port nor a library.
type tab struct {
	t       *testing.T
	to      *os.File
	mu      sync.Mutex
	last    int
	answers map[int]chan json.RawMessage
	session string
	file    string
	loaded  chan bool
	said    []string // on the console, and exceptions
	asked   []string // requests beside the page's own
}

// message is one message either way.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// show opens a page, waits for its scripts, and closes the browser with the
// test.
func show(t *testing.T, page []byte, width, height int) *tab {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the pipe needs inherited files")
	}
	path, dir := browser(t), t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, page, 0o600); err != nil {
		t.Fatal(err)
	}
	theirs, ours := pipe(t)
	mine, yours := pipe(t)
	command := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir="+filepath.Join(dir, "profile"), "--remote-debugging-pipe")
	command.ExtraFiles = []*os.File{theirs, yours}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	yours.Close()
	b := &tab{t: t, to: ours, answers: map[int]chan json.RawMessage{}, loaded: make(chan bool, 1), file: "file://" + file}
	go b.read(mine)
	t.Cleanup(func() {
		ours.Close() // the browser ends with its pipe
		timer := time.AfterFunc(10*time.Second, func() { command.Process.Kill() })
		command.Wait()
		timer.Stop()
		mine.Close()
	})
	b.start(width, height)
	return b
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// start opens the tab and loads the page.
func (b *tab) start(width, height int) {
	var target struct{ TargetID string }
	b.ask("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.ask("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.ask(domain+".enable", nil, nil)
	}
	b.ask("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.ask("Page.navigate", map[string]any{"url": b.file}, nil)
	select {
	case <-b.loaded:
	case <-time.After(time.Minute):
		b.t.Fatal("the page does not load")
	}
}

// read takes answers and events until the browser ends.
func (b *tab) read(from *os.File) {
	r := bufio.NewReaderSize(from, 1<<20)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if answer := b.answers[m.ID]; answer != nil {
			delete(b.answers, m.ID)
			if m.Error != nil {
				m.Result = json.RawMessage(`{"failed":` + string(m.Error) + `}`)
			}
			answer <- m.Result
		} else {
			b.event(m)
		}
		b.mu.Unlock()
	}
}

// event keeps what the page said and asked for.
func (b *tab) event(m message) {
	switch m.Method {
	case "Page.loadEventFired":
		select {
		case b.loaded <- true:
		default:
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
	m := message{Method: method, Session: b.session}
	if params != nil {
		m.Params, _ = json.Marshal(params)
	}
	answer := make(chan json.RawMessage, 1)
	b.mu.Lock()
	b.last++
	m.ID = b.last
	b.answers[m.ID] = answer
	text, _ := json.Marshal(m)
	_, err := b.to.Write(append(text, 0))
	b.mu.Unlock()
	if err != nil {
		b.t.Fatal(err)
	}
	select {
	case result := <-answer:
		if strings.HasPrefix(string(result), `{"failed":`) {
			b.t.Fatalf("%s: %s", method, result)
		}
		if into != nil {
			if err := json.Unmarshal(result, into); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-time.After(time.Minute):
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

// ready waits until the page's scripts have started.
func (b *tab) ready() {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if run[string](b, "document.documentElement.dataset.ready || ''") == "yes" {
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Fatalf("the scripts do not start: %v", b.said)
}

// spot is a place on the page.
type spot struct{ X, Y float64 }

// at gives the place of a share of an element that script names.
func (b *tab) at(script string, x, y float64) spot {
	b.t.Helper()
	return run[spot](b, fmt.Sprintf(`(() => { const e = %s; e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect();
		return {X: r.left + r.width * %g, Y: r.top + r.height * %g}; })()`, script, x, y))
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
