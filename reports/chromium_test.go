package reports

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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

// noScripts are the preferences of a profile that blocks every script.
const noScripts = `{"profile":{"default_content_setting_values":{"javascript":2}}}`

// open loads a page and gives the document as the browser sees it, and what
// the page said on the console.
func open(t *testing.T, page []byte, scripts bool) (dom, console string) {
	t.Helper()
	path := browser(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	profile := filepath.Join(dir, "profile")
	if !scripts {
		if err := os.MkdirAll(filepath.Join(profile, "Default"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(profile, "Default", "Preferences"), []byte(noScripts), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, page, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, path,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir="+profile,
		"--enable-logging=stderr", "--dump-dom", "file://"+file)
	var output, log bytes.Buffer
	command.Stdout, command.Stderr = &output, &log
	if err := command.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", path, err, log.String())
	}
	for _, line := range strings.Split(log.String(), "\n") {
		if strings.Contains(line, "CONSOLE") {
			console += line + "\n"
		}
	}
	return output.String(), console
}

// TestBrowserTells holds the other tests up: the browser does tell of a
// policy that is broken and of a script that runs.
func TestBrowserTells(t *testing.T) {
	page := string(render(t, shop(), HTML, options))
	broken := strings.Replace(page, "</main>", `<script>document.title = document.body.textContent = "ran"</script><p style="color: red">x</p></main>`, 1)
	if _, console := open(t, []byte(broken), true); strings.Count(console, "Content Security Policy") < 2 {
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
		for _, line := range strings.Split(strings.TrimSpace(console), "\n") {
			if line != "" && !strings.Contains(line, "Blocked script execution") {
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
