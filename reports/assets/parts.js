"use strict";
// The bars of where the time of requests went, of a picked range: drawn as
// reports/html_breakdown.go does, in the place of those of the whole recording.
const kmonParts = (() => {
  const wide = 960, left = 88, right = 96, thick = 22, step = 28, digit = 6.6;
  const classes = { "On CPU": "on-cpu", "Run queue": "run-queue", Lock: "lock", Disk: "disk", Sleep: "sleep", Callees: "callee", Network: "network", Other: "other-wait", "Not known": "unknown" };
  const space = "http://www.w3.org/2000/svg";

  function make(name, attributes, ...children) {
    const e = document.createElementNS(space, name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    e.append(...children);
    return e;
  }

  // callees names what of a row's time was whose, the longest first; what no row tells is
  // theirs together.
  function callees(asked, row, us) {
    const list = asked.filter((a) => a.row.names[0] === row.names[0] && a.row.names[1] === row.names[1]).map((a) => ({ name: a.row.names[2], us: a.inside.sums[0] }));
    const rest = us - list.reduce((sum, c) => sum + c.us, 0);
    if (rest > 0) list.push({ name: "Callees", us: rest });
    return list.filter((c) => c.us > 0).sort((a, b) => b.us - a.us).map((c) => ({ ...c, kind: "callee" }));
  }

  // bandsOf gives the rows of a service: {name, requests, us, parts}; us is of one request.
  function bandsOf(windows, range, service) {
    const { sums } = windows.table("breakdown"), asked = windows.splits("asked", range);
    return windows.splits("breakdown", range).filter((s) => s.row.names[0] === service).map(({ row, inside }) => {
      const requests = inside.sums[0], each = (us) => us / Math.max(requests, 1);
      const parts = sums.slice(2).flatMap((s, k) => {
        const us = inside.sums[2 + k] || 0;
        return s.head === "Callees" ? callees(asked, row, us) : us ? [{ name: s.head, us, kind: classes[s.head] }] : [];
      });
      return { name: row.names[1], requests, us: each(inside.sums[1]), parts: parts.map((p) => ({ ...p, us: each(p.us) })) };
    });
  }

  const shorten = (s, n) => ([...s].length > n ? [...s].slice(0, n - 1).join("") + "…" : s);

  // draw draws the rows; the longest has the whole width.
  function draw(bands, about) {
    const longest = Math.max(...bands.map((b) => b.us), 1e-3), scale = (wide - left - right) / longest;
    const svg = make("svg", { class: "parts windowed", role: "img", "aria-label": about, viewBox: "0 0 " + wide + " " + bands.length * step });
    const text = (x, y, anchor, cls, s) => svg.append(make("text", { class: cls, x: x.toFixed(1), y: y + 15, "text-anchor": anchor }, s));
    bands.forEach((b, i) => {
      const y = i * step;
      let x = left;
      text(left - 8, y, "end", "bar-name", b.name.split(":")[0]);
      for (const p of b.parts) {
        const w = p.us * scale, room = Math.floor(w / digit) - 1;
        const title = p.name + " " + kmonNumber.duration(p.us * 1e3) + ", " + kmonNumber.percent(p.us / Math.max(b.us, 1e-9));
        svg.append(make("rect", { class: "part part-" + p.kind, x: x.toFixed(1), y: y + 1, width: w.toFixed(1), height: thick }, make("title", {}, title)));
        if (room >= [...p.name].length || room >= 8) text(x + 5, y, "start", "part-name part-" + p.kind, shorten(p.name, room));
        x += w;
      }
      text(x + 6, y, "start", "bar-name", b.requests ? kmonNumber.duration(b.us * 1e3) : "no such request in this time");
    });
    return svg;
  }

  // follow shows a range, or null: the whole recording. The old drawings are gone: see
  // kmonWindow.show.
  function follow(windows, range) {
    const section = document.getElementById("slow-requests");
    if (!section || !windows.table("breakdown")) return;
    section.removeAttribute("data-whole");
    for (const figure of section.querySelectorAll("figure.parts")) {
      const name = figure.querySelector("h3").textContent, holder = figure.querySelector(".scroll");
      const kept = windows.table("breakdown").rows.some((row) => row.names[0] === name);
      if (!kept) continue; // it stays marked as of the whole
      figure.dataset.narrow = "";
      if (!range) continue;
      holder.append(draw(bandsOf(windows, range, name), "Parts of the requests of " + name + " in the picked time; the numbers are in the table below"));
      holder.classList.add("replaced");
    }
  }

  return { follow };
})();
