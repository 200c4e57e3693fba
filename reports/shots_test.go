package reports

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kmon/analyze"
)

// TestShots writes pictures of a page to the folder KMON_SHOTS, to be looked at.
func TestShots(t *testing.T) {
	dir := os.Getenv("KMON_SHOTS")
	if dir == "" {
		t.Skip("KMON_SHOTS is not set")
	}
	for _, c := range []struct {
		name, scheme string
		width        int
	}{{"light", "light", 1400}, {"dark", "dark", 1400}, {"narrow", "light", 700}, {"phone", "dark", 420}} {
		b := show(t, render(t, shots(), HTML, options), c.width, 900)
		b.ready()
		b.ask("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": c.scheme}}}, nil)
		run[int](b, "new Promise(done => setTimeout(() => done(1), 400))")
		for _, part := range []string{"findings", "time", "cpus", "flame", "storage", "faults"} {
			b.shoot(filepath.Join(dir, c.name+"-"+part+".png"), part)
		}
		b.drag(b.at(`document.getElementById("flame-heat")`, 0.3, 0.4), b.at(`document.getElementById("flame-heat")`, 0.6, 0.7))
		run[bool](b, `(() => { const s = document.getElementById("flame-search"); s.value = "e"; s.dispatchEvent(new Event("input")); document.querySelector("#flame details").open = true; document.getElementById("flame-graph").focus(); return true; })()`)
		b.press(false, "ArrowDown", "ArrowDown")
		b.shoot(filepath.Join(dir, c.name+"-picked.png"), "flame")
		run[bool](b, `(() => { for (const e of document.querySelectorAll("[data-still]")) e.hidden = false; for (const e of document.querySelectorAll("[data-live],[data-chart]")) e.hidden = true; return true; })()`)
		b.shoot(filepath.Join(dir, c.name+"-still.png"), "flame")
		b.quiet()
	}
}

// TestShotsOf writes pictures of pages that exist, KMON_PAGES, to the folder
// KMON_SHOTS: the first screen and the whole, light, dark, on a phone and on paper,
// each as it opens and with the fragment KMON_FRAGMENT.
func TestShotsOf(t *testing.T) {
	dir, pages := os.Getenv("KMON_SHOTS"), strings.Fields(os.Getenv("KMON_PAGES"))
	if dir == "" || len(pages) == 0 {
		t.Skip("KMON_SHOTS and KMON_PAGES are not set")
	}
	for _, path := range pages {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, strings.TrimSuffix(filepath.Base(path), ".html"))
		for _, c := range []struct {
			name, scheme  string
			width, height int
		}{{"light", "light", 1280, 800}, {"dark", "dark", 1280, 800}, {"phone", "light", 390, 844}} {
			b := show(t, text, c.width, c.height)
			b.ready()
			b.ask("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": c.scheme}}}, nil)
			run[bool](b, `(() => { location.hash = "`+os.Getenv("KMON_FRAGMENT")+`"; return true })()`)
			run[int](b, "new Promise(done => setTimeout(() => done(1), 500))")
			b.picture(name+"-"+c.name+"-first.png", map[string]float64{"x": 0, "y": 0, "width": float64(c.width), "height": float64(c.height), "scale": 1})
			high := run[float64](b, "document.documentElement.scrollHeight")
			for i := 0; i < 8 && float64(i)*2400 < high; i++ {
				b.picture(fmt.Sprintf("%s-%s-%d.png", name, c.name, i), map[string]float64{"x": 0, "y": float64(i) * 2400, "width": float64(c.width), "height": min(2400, high-float64(i)*2400), "scale": 1})
			}
			if c.name == "dark" {
				b.paper(name + "-paper")
			}
			b.quiet()
		}
	}
}

// paper writes pictures of the page as it is printed, as wide as A4 across.
func (b *tab) paper(name string) {
	b.t.Helper()
	b.ask("Emulation.setDeviceMetricsOverride", map[string]any{"width": 1047, "height": 720, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.ask("Emulation.setEmulatedMedia", map[string]any{"media": "print"}, nil)
	run[int](b, `new Promise(done => { dispatchEvent(new Event("beforeprint")); setTimeout(() => done(1), 500); })`)
	high := run[float64](b, "document.documentElement.scrollHeight")
	for i := 0; i < 8 && float64(i)*2400 < high; i++ {
		b.picture(fmt.Sprintf("%s-%d.png", name, i), map[string]float64{"x": 0, "y": float64(i) * 2400, "width": 1047, "height": min(2400, high-float64(i)*2400), "scale": 1})
	}
}

// shots is a busy shop with all that a node can tell.
func shots() *analyze.Analysis {
	a, busy := limping(), busyShop()
	a.Flames, a.HeatMaps, a.Profile = busy.Flames, busy.HeatMaps, busy.Profile
	for i := range a.Services {
		if j := slices.IndexFunc(busy.Services, func(s service) bool { return s.Name == a.Services[i].Name }); j >= 0 {
			a.Services[i].Series = busy.Services[j].Series
		}
	}
	return a
}

// shoot writes a picture of one section, at most 2400 pixels of it.
func (b *tab) shoot(path, part string) {
	b.t.Helper()
	clip := run[map[string]float64](b, `(() => { const r = document.getElementById("`+part+`").getBoundingClientRect();
		return {x: 0, y: r.top + scrollY, width: innerWidth, height: Math.min(r.height, 2400), scale: 1}; })()`)
	b.picture(path, clip)
}

// picture writes a picture of a part of the page.
func (b *tab) picture(path string, clip map[string]float64) {
	b.t.Helper()
	var shot struct{ Data string }
	b.ask("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true, "clip": clip}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
