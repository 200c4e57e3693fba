package reports

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
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
