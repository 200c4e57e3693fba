package reports

import (
	"os"
	"path/filepath"
	"testing"

	"kmon/analyze"
)

// TestTopologyShots writes pictures of the topology at 3, 30 and 300 services, and
// of a service's details, to the folder KMON_SHOTS.
func TestTopologyShots(t *testing.T) {
	dir := os.Getenv("KMON_SHOTS")
	if dir == "" {
		t.Skip("KMON_SHOTS is not set")
	}
	for _, c := range []struct {
		name string
		a    *analyze.Analysis
	}{{"3", mesh(3)}, {"shop", drilled()}, {"30", mesh(30)}, {"300", mesh(300)}, {"circle", many(300, 2000)}} {
		page := render(t, c.a, HTML, options)
		for _, s := range []struct {
			name, scheme string
			width        int
		}{{"light", "light", 1400}, {"dark", "dark", 1400}, {"narrow", "light", 500}} {
			b := show(t, page, s.width, 900)
			b.ready()
			b.ask("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": s.scheme}}}, nil)
			b.shoot(filepath.Join(dir, "topology-"+c.name+"-"+s.name+".png"), "topology")
			if c.name == "300" || c.name == "shop" {
				run[bool](b, `(() => { const s = document.getElementById("topology-search"); s.value = "cart"; s.dispatchEvent(new Event("input")); return true; })()`)
				b.shoot(filepath.Join(dir, "topology-"+c.name+"-"+s.name+"-found.png"), "topology")
				run[bool](b, `(() => { document.getElementById("topology-all").click(); const g = document.querySelector("#topology-parts [aria-expanded]"); if (g) g.dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true})); return true; })()`)
				b.shoot(filepath.Join(dir, "topology-"+c.name+"-"+s.name+"-open.png"), "topology")
			}
			if c.name == "shop" {
				run[bool](b, `(() => { document.querySelector("#topology-parts [href='#service-cart']").dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true})); return true; })()`)
				b.shoot(filepath.Join(dir, "topology-"+c.name+"-"+s.name+"-drill.png"), "drill")
			}
			b.quiet()
		}
	}
}
