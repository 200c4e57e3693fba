"use strict";
// The topology drawing, live: groups open and close, a search narrows it to some
// services and their neighbours, a service that is pointed at shows its neighbours
// and leads to its details. Layers and their order are those of the drawing that is
// in the page without scripts; only rows are stacked anew. While a range is picked, it
// shows that (within.js) in the same places.
const kmonTopology = (() => {
  // Sizes are those of reports/topology.go and curve.go.
  const node = { w: 168, h: 44, gap: 30 }, bend = 28, layerGap = 180, denseGap = 130, margin = 16, arrow = 6;
  const label = { w: 88, h: 28 };
  const mostNarrowed = 60; // services that a search shows each for itself
  const looks = ["", "steady", "slow", "slowest", "bad"], marks = ["", "", "▲ ", "▲▲ ", "✕ "];
  const space = "http://www.w3.org/2000/svg";

  function read(r) {
    const list = (each) => Array.from({ length: r.number() }, (_, i) => each(i));
    const slots = list(() => ({ name: r.text(), detail: r.text(), why: r.text(), members: [] }));
    const nodes = list((i) => {
      const n = { name: r.text(), detail: r.text(), anchor: r.text(), flags: r.number(), slot: r.number(), row: r.number() };
      slots[n.slot].members.push(i);
      return n;
    });
    const layers = list(() => [...r.column()]);
    const lines = new Map(list(() => [r.number() + ">" + r.number(), [...r.column()]]));
    const edges = list((at) => ({ at, from: r.number(), to: r.number(), rate: r.number() / 1000, look: r.number(), first: r.text(), second: r.text(), title: r.text(), row: r.number() }));
    return { slots, nodes, layers, lines, edges };
  }

  const shorten = (s, n) => ([...s].length > n ? [...s].slice(0, n - 1).join("") + "…" : s);
  const number = (x) => String(Math.round(x * 10) / 10);

  function make(name, attributes, ...children) {
    const e = document.createElementNS(space, name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    e.append(...children);
    return e;
  }

  const text = (cls, x, y, s) => make("text", { class: cls, x: number(x), y: number(y), "text-anchor": "middle" }, s);

  class Topology {
    constructor(data, windows) {
      Object.assign(this, data, { windows, within: null });
      this.note = document.getElementById("topology-colours");
      this.compared = this.note.textContent;
      this.svg = document.querySelector("#topology-drawing svg");
      this.parts = document.getElementById("topology-parts");
      this.status = document.getElementById("topology-status");
      this.input = document.getElementById("topology-search");
      this.open = new Set();
      this.query = "";
      for (const part of document.querySelectorAll("#topology [data-live]")) part.hidden = false;
      this.listen();
      this.label();
      this.follow();
      if (!windows) return;
      document.getElementById("topology").removeAttribute("data-whole");
      document.addEventListener("kmon:range", () => this.followRange());
      if (kmonView.range) this.followRange();
    }

    // followRange shows what was in the picked range, or all.
    followRange() {
      const { range } = kmonView;
      this.within = range ? kmonWithin.facts(this.windows, range, this) : null;
      this.note.textContent = range ? kmonWithin.note(this.windows, range, this.within) : this.compared;
      this.draw();
    }

    // shown is what a line says of an edge, as things are.
    shown(e) {
      return this.within ? this.within.edges[e.at] : { ...e, kept: true, any: true };
    }

    listen() {
      const placeOf = (e) => (e.target.closest ? e.target.closest("[data-place]") : null);
      this.parts.addEventListener("click", (e) => {
        const at = placeOf(e);
        if (at && this.press(at.dataset.place)) e.preventDefault();
      });
      this.parts.addEventListener("keydown", (e) => {
        const at = placeOf(e);
        if (e.key === " " && at && this.press(at.dataset.place)) e.preventDefault();
        if (e.key === "Escape") this.narrow("");
      });
      // A part of an SVG that listens for the focus is a stop of the Tab key in Chromium.
      const outside = this.svg.parentElement;
      this.parts.addEventListener("mouseover", (e) => this.near(placeOf(e)));
      outside.addEventListener("focusin", (e) => this.near(placeOf(e)));
      this.parts.addEventListener("mouseleave", () => this.near(null));
      outside.addEventListener("focusout", () => this.near(null));
      this.input.addEventListener("input", () => this.narrow(this.input.value));
      this.input.addEventListener("keydown", (e) => e.key === "Escape" && this.narrow(""));
      document.getElementById("topology-all").addEventListener("click", () => {
        this.open.clear();
        this.narrow("");
      });
      document.addEventListener("kmon:view", () => this.follow());
    }

    // press opens or closes a group; false: it is a service, whose link leads on.
    press(place) {
      const at = Number(place.slice(1)), slot = this.slots[at];
      if (place[0] === "s" && slot.members.length > 1 || place[0] === "b") {
        if (!this.open.delete(at)) this.open.add(at);
        this.draw();
        const next = this.open.has(at) ? "b" + at : "s" + at;
        const again = this.parts.querySelector('[data-place="' + next + '"]');
        if (again) again.focus();
        return true;
      }
      return false;
    }

    // follow shows what the URL's fragment names.
    follow() {
      const q = kmonView.get("find");
      if (q !== this.query) this.narrow(q, false);
      this.mark();
    }

    // mark marks the service whose details are shown.
    mark() {
      const at = kmonView.get("at");
      for (const a of this.parts.querySelectorAll("[data-place]")) {
        const box = a.querySelector("rect"), on = a.getAttribute("href") === "#" + at;
        box.classList.toggle("chosen", on);
        if (on) a.setAttribute("aria-current", "true");
        else a.removeAttribute("aria-current");
      }
    }

    // narrow shows only services whose name holds a text, and their neighbours.
    narrow(query, set = true) {
      this.query = query;
      if (this.input.value !== query) this.input.value = query;
      if (set) kmonView.set({ find: query }, false);
      this.draw();
    }

    // found gives the services to show, null for all; hits are those named.
    found() {
      const q = this.query.trim().toLowerCase();
      if (!q) return { shown: null, hits: new Set() };
      const hits = new Set([...this.nodes.keys()].filter((i) => this.nodes[i].name.toLowerCase().includes(q)));
      const shown = new Set(hits);
      for (const e of this.edges) {
        if (hits.has(e.from)) shown.add(e.to);
        if (hits.has(e.to)) shown.add(e.from);
      }
      return { shown, hits };
    }

    // items are the places of the drawing, by layer: closed groups and services,
    // the bar and members of open groups, and bends of long lines.
    items() {
      const { shown, hits } = this.found();
      const each = shown && shown.size <= mostNarrowed, bends = new Set();
      for (const e of this.edges) {
        const way = this.lines.get(this.nodes[e.from].slot + ">" + this.nodes[e.to].slot);
        if (way && (!shown || hits.has(e.from) || hits.has(e.to))) for (const id of way) bends.add(id);
      }
      const layers = this.layers.map((ids) => ids.flatMap((id) => {
        if (id >= this.slots.length) return bends.has(id) ? [{ key: "x" + id, h: bend }] : [];
        const slot = this.slots[id], members = shown ? slot.members.filter((n) => shown.has(n)) : slot.members;
        const single = (n) => ({ key: "n" + n, node: this.nodes[n], hit: hits.has(n), h: node.h + node.gap, nodes: [n] });
        if (!members.length) return [];
        if (slot.members.length === 1) return [{ ...single(members[0]), key: "s" + id }];
        if (each) return members.map(single);
        const bar = { slot, id, h: node.h + node.gap, nodes: members, hit: members.some((n) => hits.has(n)) };
        if (!this.open.has(id)) return [{ ...bar, key: "s" + id }];
        return [{ ...bar, key: "b" + id, h: 34, nodes: [] }, ...members.map((n) => ({ ...single(n), h: node.h + 10 }))];
      }));
      return { layers: shown ? layers.filter((l) => l.length) : layers, shown, hits };
    }

    draw() {
      const { layers, shown, hits } = this.items();
      const gap = layers.length > 5 ? denseGap : layerGap, at = new Map(), of = new Map();
      const heights = layers.map((l) => l.reduce((sum, item) => sum + item.h, 0)), tall = Math.max(...heights, 1);
      layers.forEach((l, i) => {
        let y = margin + (tall - heights[i]) / 2;
        for (const item of l) {
          Object.assign(item, { x: margin + node.w / 2 + i * (node.w + gap), y: y + item.h / 2 });
          y += item.h;
          at.set(item.key, item);
          for (const n of item.nodes || []) of.set(n, item);
        }
      });
      const width = 2 * margin + layers.length * node.w + Math.max(layers.length - 1, 0) * gap + 30, height = 2 * margin + tall;
      const lines = this.join(of, shown, hits), most = Math.max(...lines.map((l) => l.now), 1e-9);
      const curves = lines.map((l) => this.route(l, at));
      this.parts.replaceChildren(
        ...lines.map((l, i) => this.path(l, curves[i], most)),
        ...[...at.values()].filter((item) => item.key[0] !== "x").map((item) => this.box(item)),
        ...this.labels(lines, curves, [...at.values()].filter((item) => item.key[0] !== "x")));
      for (const [k, v] of [["viewBox", "0 0 " + number(width) + " " + number(height)], ["width", number(width)], ["height", number(height)]]) this.svg.setAttribute(k, v);
      this.svg.classList.remove("dim");
      this.svg.classList.toggle("fit", width >= 760 && width <= 1900);
      this.status.textContent = shown ? hits.size + (hits.size === 1 ? " service" : " services") + " found, with neighbours " + shown.size : "";
      this.label();
      this.mark();
    }

    // join makes lines of the edges between what is drawn; without a search, or an
    // open group at an end, only those that the whole drawing has.
    join(of, shown, hits) {
      const lines = new Map();
      for (const e of this.edges) {
        const from = of.get(e.from), to = of.get(e.to);
        if (!from || !to || shown && !hits.has(e.from) && !hits.has(e.to)) continue;
        const way = this.nodes[e.from].slot + ">" + this.nodes[e.to].slot;
        if (!shown && !this.lines.has(way)) continue;
        const key = from.key + ">" + to.key, l = lines.get(key) || { from, to, way, rate: 0, now: 0, look: 0, any: false, kept: false, edges: [] };
        const now = this.shown(e);
        l.rate += e.rate; // of the whole: who has room for a label
        l.now += now.rate;
        l.look = Math.max(l.look, now.look);
        l.any = l.any || now.any;
        l.kept = l.kept || now.kept;
        l.edges.push(now);
        lines.set(key, l);
      }
      return [...lines.values()].sort((a, b) => b.rate - a.rate);
    }

    // route gives the control points of a line, as reports/curve.go does.
    route(l, at) {
      const path = [l.from, ...(this.lines.get(l.way) || []).map((id) => at.get("x" + id)).filter(Boolean), l.to];
      const [a, b] = path;
      if (l.from === l.to) return [[a.x + 84, a.y - 10], [a.x + 118, a.y - 26], [a.x + 118, a.y + 26], [a.x + 84 + arrow, a.y + 10]];
      if (a.x === b.x) {
        const x = a.x + node.w / 2;
        return [[x, a.y + 8], [x + 28, a.y + 8], [x + 28, b.y - 8], [x + arrow, b.y - 8]];
      }
      const side = a.x > b.x ? -1 : 1, curve = [[a.x + side * node.w / 2, a.y]];
      path.slice(1).forEach((p, i) => {
        const last = i === path.length - 2, x = p.x - side * (node.w / 2 + (last ? arrow : 0)), [fx, fy] = curve[curve.length - 1], half = (x - fx) / 2;
        curve.push([fx + half, fy], [x - half, p.y], [x, p.y]);
        if (!last) curve.push([x, p.y], [x + side * node.w, p.y], [x + side * node.w, p.y]);
      });
      return curve;
    }

    path(l, curve, most) {
      const d = curve.map(([x, y], i) => (i === 0 ? "M" : i % 3 === 1 ? " C" : " ") + number(x) + "," + number(y)).join("");
      const width = 1.25 + (l.now > 0 ? 4 * Math.max(0, 1 + Math.log10(l.now / most) / 3) : 0);
      const cls = ["edge", looks[l.look], l.from.x > l.to.x ? "back" : "", l.now ? "" : "quiet", l.any ? "" : "idle"].filter(Boolean).join(" ");
      const titles = l.edges.slice(0, 5).map((e) => e.title);
      if (l.edges.length > 5) titles.push("and " + kmonNumber.count(l.edges.length - 5) + " more edges");
      return make("path", { class: cls, d, "stroke-width": number(width), "marker-end": "url(#arrow" + (l.look ? "-" + looks[l.look] : "") + ")", "data-from": l.from.key, "data-to": l.to.key },
        make("title", {}, titles.join("\n")));
    }

    box(item) {
      const { x, y, slot } = item, bar = item.key[0] === "b", h = bar ? 24 : node.h;
      const name = slot ? slot.name : item.node.name, detail = this.detail(item);
      const cls = slot ? "group" + (slot.members.every((n) => this.nodes[n].flags & 1) ? " external" : "") : item.node.flags & 1 ? "external" : "";
      const members = slot ? slot.members : item.nodes, now = this.within && members.map((n) => this.within.nodes[n]);
      const bad = now ? now.some((n) => n.bad) : members.some((n) => this.nodes[n].flags & 2);
      const rect = make("rect", { class: bar ? "bar" : "node " + cls + (bad ? " bad" : "") + (item.hit ? " chosen" : ""), x: number(x - node.w / 2), y: number(y - h / 2), width: node.w, height: h, rx: cls.includes("external") ? 22 : 6 });
      const lines = bar ? [text("detail", x, y + 4, "▾ " + shorten(name, 20))] : [text("name", x, y - 4, shorten(name, 22)), text("detail", x, y + 13, detail)];
      const title = slot ? name + ": " + detail + ": " + slot.why : name + ": " + detail;
      return make("a", { href: slot ? "#groups" : "#" + item.node.anchor, "data-place": item.key, class: now && now.every((n) => n.idle) ? "idle" : "" }, make("title", {}, title), rect, ...lines);
    }

    // detail is the second line of a place: of a group what its members add up to.
    detail({ slot, node, nodes }) {
      if (!this.within) return slot ? slot.detail : node.detail;
      const now = (slot ? slot.members : nodes).map((n) => this.within.nodes[n]);
      if (!slot) return now[0].detail;
      const rate = now.reduce((sum, n) => sum + n.rate, 0), all = now.every((n) => n.kept);
      return slot.members.length + " services · " + (all ? "" : "≥ ") + kmonNumber.rate(rate);
    }

    // labels writes on lines where there is room, the busiest first.
    labels(lines, curves, items) {
      const taken = items.map((item) => [item.x - node.w / 2, item.y - node.h / 2, item.x + node.w / 2, item.y + node.h / 2]), list = [];
      lines.slice(0, 150).forEach((l, i) => {
        const c = curves[i];
        for (const t of [0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8]) {
          const u = 1 - t, [x, y] = [0, 1].map((k) => u * u * u * c[0][k] + 3 * u * u * t * c[1][k] + 3 * u * t * t * c[2][k] + t * t * t * c[3][k]);
          const r = [x - label.w / 2, y - label.h / 2, x + label.w / 2, y + label.h / 2];
          if (taken.some((o) => r[0] < o[2] && o[0] < r[2] && r[1] < o[3] && o[1] < r[3])) continue;
          taken.push(r);
          const many = l.edges.length > 1, first = many ? this.sum(l) : l.edges[0].first, second = many ? l.edges.length + " edges" : l.edges[0].second;
          list.push(make("g", { "data-from": l.from.key, "data-to": l.to.key, class: l.any ? "" : "idle" },
            make("rect", { class: "plate", x: number(r[0]), y: number(r[1]), width: label.w, height: label.h }),
            text("edge-label", x, second ? y - 3 : y + 4, marks[l.look] + first), ...(second ? [text("edge-label", x, y + 10, second)] : [])));
          break;
        }
      });
      return list;
    }

    // sum is what a line of several edges says first.
    sum(l) {
      if (!l.any) return kmonWithin.none;
      return l.kept || !this.within ? kmonNumber.rate(l.now) : kmonWithin.unkept;
    }

    // label tells assistive technology which places open.
    label() {
      for (const a of this.parts.querySelectorAll("[data-place]")) {
        const place = a.dataset.place, slot = this.slots[Number(place.slice(1))];
        if (place[0] !== "b" && (place[0] !== "s" || slot.members.length < 2)) continue;
        a.setAttribute("role", "button");
        a.setAttribute("aria-expanded", String(place[0] === "b"));
      }
    }

    // near shows what a place has to do with, and fades the rest.
    near(at) {
      if (at && at.dataset.place[0] === "b") at = null; // its members have the lines
      this.svg.classList.toggle("dim", Boolean(at));
      if (!at) return;
      const place = at.dataset.place, close = new Set([place]);
      for (const e of this.parts.querySelectorAll("[data-from]")) {
        const { from, to } = e.dataset, on = from === place || to === place;
        e.classList.toggle("near", on);
        if (on) close.add(from).add(to);
      }
      for (const a of this.parts.querySelectorAll("[data-place]")) a.classList.toggle("near", close.has(a.dataset.place));
    }
  }

  async function start() {
    const block = await kmonData.load("data-topology");
    if (block) new Topology(read(block), await kmonWindow.load());
  }

  return { start };
})();
