package reports

import (
	"strings"
	"testing"
)

// places lists what is drawn, by key.
func places(b *tab) string {
	b.t.Helper()
	return run[string](b, `[...document.querySelectorAll("#topology-parts [data-place]")].map(a => a.dataset.place).join(" ")`)
}

// TestTopologyGroupsOpen: a click or Enter opens a group into its members, and its
// bar closes it again; the keyboard's place is kept.
func TestTopologyGroupsOpen(t *testing.T) {
	b := show(t, render(t, mesh(300), HTML, options), 1400, 900)
	b.ready()
	closed := places(b)
	group := run[string](b, `document.querySelector("#topology-parts [aria-expanded='false']").dataset.place`)
	members := run[int](b, `Number(document.querySelector("#topology-parts [aria-expanded='false'] .detail").textContent.match(/^\d+/)[0])`)
	b.click(b.at(`document.querySelector("#topology-parts [aria-expanded='false'] rect")`, 0.5, 0.5))
	opened := places(b)
	if n := strings.Count(" "+opened, " n"); n != members || !strings.Contains(" "+opened+" ", " b"+group[1:]+" ") {
		t.Errorf("%d members of %d, places %s", n, members, opened)
	}
	if got := run[string](b, `document.activeElement.dataset.place + " " + document.activeElement.getAttribute("aria-expanded")`); got != "b"+group[1:]+" true" {
		t.Errorf("the focus is at %q", got)
	}
	overlaps := run[int](b, `(() => { const r = [...document.querySelectorAll("#topology-parts a rect, #topology-parts .plate")].map(e => e.getBoundingClientRect()); let n = 0;
		for (let i = 0; i < r.length; i++) for (let j = 0; j < i; j++) if (r[i].left < r[j].right - 1 && r[j].left < r[i].right - 1 && r[i].top < r[j].bottom - 1 && r[j].top < r[i].bottom - 1) n++; return n; })()`)
	if overlaps != 0 {
		t.Errorf("%d places or labels overlap", overlaps)
	}
	if b.press(false, "Enter"); strings.Join(strings.Fields(places(b)), " ") != closed && strings.Count(places(b), "b") > 0 {
		t.Errorf("Enter leaves it open: %s", places(b))
	}
	b.quiet()
}

// TestTopologySearch: a search shows what it finds and its neighbours, stands in the
// fragment, and Escape ends it.
func TestTopologySearch(t *testing.T) {
	b := show(t, render(t, drilled(), HTML, options), 1400, 900)
	b.ready()
	all := places(b)
	find := func(q string) {
		run[bool](b, `(() => { const s = document.getElementById("topology-search"); s.focus(); s.value = "`+q+`"; s.dispatchEvent(new Event("input")); return true; })()`)
	}
	find("ReDis")
	names := run[string](b, `[...document.querySelectorAll("#topology-parts .name")].map(e => e.textContent).sort().join(" ")`)
	if names != "cart redis" {
		t.Errorf("redis and its neighbours are %q", names)
	}
	if got := run[string](b, `location.hash + " " + document.getElementById("topology-status").textContent`); got != "#find=ReDis 1 service found, with neighbours 2" {
		t.Errorf("the page says %q", got)
	}
	find("no such")
	if places(b) != "" {
		t.Errorf("nothing is found, and %s drawn", places(b))
	}
	if b.press(false, "Escape"); len(places(b)) != len(all) || strings.Contains(run[string](b, "location.hash"), "find") {
		t.Errorf("after Escape %s of %s are drawn", places(b), all)
	}
	b.quiet()
}

// TestTopologyLeadsToDetails: a service of the drawing opens its details by click and
// keyboard, the fragment names them, and pointing at it fades what it has nothing to
// do with.
func TestTopologyLeadsToDetails(t *testing.T) {
	b := show(t, render(t, drilled(), HTML, options), 1400, 900)
	b.ready()
	b.click(b.at(`document.querySelector("#topology-parts [href='#service-cart'] rect")`, 0.5, 0.5))
	state := func(id string) string {
		return run[string](b, `location.hash + " " + document.getElementById("`+id+`").closest("details").open + " " + document.activeElement.id`)
	}
	if got := state("service-cart"); got != "#service-cart true service-cart" {
		t.Errorf("after a click: %q", got)
	}
	if got := run[string](b, `document.querySelector("#topology-parts [aria-current]").getAttribute("href")`); got != "#service-cart" {
		t.Errorf("marked is %q", got)
	}
	run[bool](b, `document.querySelector("#topology-parts [href='#service-postgres']").focus() || true`)
	if got := run[string](b, `[...document.querySelectorAll("#topology-parts a.near .name")].map(e => e.textContent).sort().join(" ")`); got != "cart checkout postgres" {
		t.Errorf("near postgres are %q", got)
	}
	b.press(false, "Enter")
	if got := state("service-postgres"); got != "#service-postgres true service-postgres" {
		t.Errorf("after Enter: %q", got)
	}
	b.quiet()
}

// TestTopologyTabs: the Tab key leads from the drawing to its first service, and its
// neighbours show, with no stop on something that nobody can press.
func TestTopologyTabs(t *testing.T) {
	b := show(t, render(t, drilled(), HTML, options), 1400, 900)
	b.ready()
	run[bool](b, `document.getElementById("topology-drawing").focus() || true`)
	for i := range 2 {
		b.press(false, "Tab")
		if got := run[string](b, `document.activeElement.localName + " " + document.querySelector("svg.topology").classList.contains("dim")`); got != "a true" {
			t.Errorf("Tab %d leads to %q", i+1, got)
		}
	}
	b.quiet()
}
