package reports

import (
	"strings"
	"testing"
)

// held makes a page stop once its first screen acts: each step it would go on with
// waits until the test takes it.
const held = `window.steps = []; scheduler.yield = () => new Promise(done => steps.push(done));
window.step = () => { for (const go of steps.splice(0)) go(); };`

// unmade lists what is not made yet.
func unmade(b *tab) []string {
	b.t.Helper()
	return run[[]string](b, `[...document.querySelectorAll("[aria-busy]")].map(e => e.id || e.querySelector("h3").textContent)`)
}

// TestActsFirst: before anything below the first screen is made, a range is picked, a
// link followed, and the page says what is missing and shows its drawing; what is gone
// to is made first, and in the end all is as if it had been there.
func TestActsFirst(t *testing.T) {
	a, all := rangeShop()
	b := show(t, render(t, a, HTML, options), 1280, 800, held)
	b.is("acts")
	waiting := unmade(b)
	if len(waiting) < 5 || waiting[0] != "topology" || !strings.Contains(strings.Join(waiting, " "), "flame") {
		t.Fatalf("being made are %q", waiting)
	}
	b.drag(stepAt(b, 20), stepAt(b, 29))
	cartOf(t, b, all, 20, 30)
	if text := run[string](b, `document.getElementById("range-shown").textContent`); !strings.Contains(text, "02:59:20 to 02:59:30") {
		t.Errorf("picked is %q", text)
	}
	b.click(b.at(`document.querySelector("nav a[href='#flame']")`, 0.5, 0.5))
	if text := run[string](b, `getComputedStyle(document.querySelector("#flame > h2"), "::after").content`); !strings.Contains(text, "being made") {
		t.Errorf("the flame graph says %q", text)
	}
	if high := run[float64](b, `document.querySelector("#flame [data-still] svg").getBoundingClientRect().height`); high < 100 {
		t.Errorf("the drawing is %g pixels high", high)
	}
	first := run[string](b, `(async () => {
		const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done))), made = [];
		new MutationObserver(list => made.push(...list.map(m => m.target.id))).observe(document.body, {subtree: true, attributeFilter: ["aria-busy"]});
		await frame(); await frame();
		while (!made.length) { step(); await frame(); }
		return made[0];
	})()`)
	if first != "flame" {
		t.Errorf("made first is %q", first)
	}
	run[any](b, "delete scheduler.yield, step()")
	b.ready()
	if left := unmade(b); len(left) != 0 {
		t.Errorf("never made are %q", left)
	}
	if got, want := graphTotal(b), sumOf(a.Profile, a.Profile.OnCPU, "", 20*50, 30*50); got != want || want == 0 {
		t.Errorf("the flame graph shows %d samples of %d", got, want)
	}
	if n := run[int](b, `[...document.querySelectorAll("[data-still]")].filter(e => e.getBoundingClientRect().height > 0).length`); n != 0 {
		t.Errorf("%d drawings still show", n)
	}
	if n := run[int](b, `[...document.querySelectorAll("[data-chart]")].filter(e => e.hidden || !e.querySelector("canvas") || !e.parentElement.querySelector(".copy")).length`); n != 0 {
		t.Errorf("%d charts are not there", n)
	}
	if y := run[float64](b, `document.getElementById("flame").getBoundingClientRect().top`); y < -60 || y > 400 {
		t.Errorf("the link leads to %g", y)
	}
	b.quiet()
}
