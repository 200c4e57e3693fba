package reports

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser finds Chromium. Without one the test is skipped, except in CI.
func browser(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the page's scripts are no Go code")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("no Chromium, which CI must have")
	}
	t.Skip("no Chromium")
	return ""
}

// chromium is one headless Chromium for all tests of this package, driven over the
// DevTools protocol by pipe (--remote-debugging-pipe: JSON messages that end in a
// zero byte), which needs neither a port nor a library.
type chromium struct {
	command *exec.Cmd
	profile string
	to      *os.File
	ended   chan struct{} // closed when it says nothing more
	mu      sync.Mutex
	last    int
	answers map[int]chan message
	tabs    map[string]*tab // by session
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

// started is the browser that tests share, once one has asked for it.
var started struct {
	sync.Mutex
	*chromium
}

func TestMain(m *testing.M) {
	code := m.Run()
	if started.chromium != nil {
		started.end()
	}
	os.Exit(code)
}

// sharedChromium starts the browser, or gives the one that runs.
func sharedChromium(t *testing.T) *chromium {
	t.Helper()
	path := browser(t)
	if runtime.GOOS == "windows" {
		t.Skip("the pipe needs inherited files")
	}
	started.Lock()
	defer started.Unlock()
	if started.chromium == nil {
		c, err := startChromium(path)
		if err != nil {
			t.Fatal(err)
		}
		started.chromium = c
	}
	return started.chromium
}

func startChromium(path string) (*chromium, error) {
	profile, err := os.MkdirTemp("", "kmon-chromium-")
	if err != nil {
		return nil, err
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	mine, yours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	defer yours.Close()
	command := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir="+profile, "--remote-debugging-pipe")
	command.ExtraFiles = []*os.File{theirs, yours}
	log, err := os.Create(filepath.Join(profile, "said"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command.Stderr = log
	if err := command.Start(); err != nil {
		return nil, err
	}
	c := &chromium{command: command, profile: profile, to: ours, ended: make(chan struct{}), answers: map[int]chan message{}, tabs: map[string]*tab{}}
	go c.read(mine)
	return c, nil
}

// end ends the browser and removes what it wrote.
func (c *chromium) end() {
	c.to.Close() // it ends with its pipe
	timer := time.AfterFunc(10*time.Second, func() { c.command.Process.Kill() })
	c.command.Wait()
	timer.Stop()
	os.RemoveAll(c.profile)
}

// said is the last of what it complained of.
func (c *chromium) said() string {
	text, err := os.ReadFile(filepath.Join(c.profile, "said"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-1000):])
}

// read takes answers and events until the browser ends.
func (c *chromium) read(from *os.File) {
	defer close(c.ended)
	defer from.Close()
	for r := bufio.NewReaderSize(from, 1<<20); ; {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		c.mu.Lock()
		answer, of := c.answers[m.ID], c.tabs[m.Session]
		delete(c.answers, m.ID)
		c.mu.Unlock()
		switch {
		case answer != nil:
			answer <- m
		case of != nil:
			of.event(m)
		}
	}
}

// hears has a tab told of the events of its session.
func (c *chromium) hears(b *tab) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tabs[b.session] = b
}

// send sends a command. Its answer comes by the channel.
func (c *chromium) send(session, method string, params any) (<-chan message, error) {
	m := message{Session: session, Method: method}
	if params != nil {
		m.Params, _ = json.Marshal(params)
	}
	answer := make(chan message, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	m.ID = c.last
	c.answers[m.ID] = answer
	text, _ := json.Marshal(m)
	_, err := c.to.Write(append(text, 0))
	return answer, err
}

// open loads a page and gives the document as the browser sees it, and what
// the page said on the console.
func open(t *testing.T, page []byte, scripts bool) (dom string, console []string) {
	t.Helper()
	b := newTab(t, page)
	b.ask("Emulation.setScriptExecutionDisabled", map[string]any{"value": !scripts}, nil)
	b.load()
	var document struct{ Root struct{ NodeID int } }
	b.ask("DOM.getDocument", map[string]any{"depth": 0}, &document)
	var html struct{ OuterHTML string }
	b.ask("DOM.getOuterHTML", map[string]any{"nodeId": document.Root.NodeID}, &html)
	b.mu.Lock()
	defer b.mu.Unlock()
	return html.OuterHTML, b.said
}

// TestBrowserTells holds the other tests up: the browser does tell of a
// policy that is broken and of a script that runs.
func TestBrowserTells(t *testing.T) {
	page := string(render(t, shop(), HTML, options))
	broken := strings.Replace(page, "</main>", `<script>document.title = document.body.textContent = "ran"</script><p style="color: red">x</p></main>`, 1)
	if _, console := open(t, []byte(broken), true); strings.Count(strings.Join(console, "\n"), "Content Security Policy") < 2 {
		t.Errorf("the browser does not tell of a script and a style against the policy: %q", console)
	}
	free := regexp.MustCompile(`<meta http-equiv[^>]*>`).ReplaceAllString(broken, "")
	if dom, _ := open(t, []byte(free), true); !strings.Contains(dom, "<title>ran</title>") {
		t.Error("without the policy the script does not run, so its absence proves nothing")
	}
	if dom, _ := open(t, []byte(free), false); strings.Contains(dom, "<title>ran</title>") || !strings.Contains(dom, "<table") {
		t.Error("the script runs although scripts are disabled")
	}
}

// TestBrowserReads: without scripts a browser reads every page without
// complaint and sees all its tables and drawings.
func TestBrowserReads(t *testing.T) {
	for _, c := range cases {
		if c.name == "shop" || c.name == "empty" {
			continue // lossy and nothing hold more and less
		}
		page := render(t, c.a(), HTML, options)
		dom, console := open(t, page, false)
		// A browser without scripts says of each that the settings block it.
		for _, line := range console {
			if !strings.Contains(line, "Blocked script execution") {
				t.Errorf("%s: console: %s", c.name, line)
			}
		}
		page, dom = reviewable(t, page), string(reviewable(t, []byte(dom)))
		if n := len(regexp.MustCompile(`(?i)<(img|iframe|object|embed|link|base|form)[\s>/]`).FindAllString(dom, -1)); n > 0 {
			t.Errorf("%s: %d elements that load or run", c.name, n)
		}
		for _, element := range []string{"<table", "<title", "<svg", "<script", "<section"} {
			if got, want := strings.Count(dom, element), strings.Count(string(page), element); got != want {
				t.Errorf("%s: the browser sees %d %s of %d: a name closed one", c.name, got, element, want)
			}
		}
	}
}
