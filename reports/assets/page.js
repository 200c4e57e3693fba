"use strict";
// Starts the page: shows what needs scripts in place of what does not, and
// lets a range of time, picked on a heat map, narrow the flame graph.
(() => {
  const mostColumns = 3000; // of a heat map
  const element = (id) => document.getElementById(id);

  // reveal shows the parts for scripts in a section and hides the others.
  function reveal(section) {
    for (const part of section.querySelectorAll("[data-live]")) part.hidden = false;
    for (const part of section.querySelectorAll("[data-still]")) part.hidden = true;
  }

  // fill makes the options of a list; what was chosen stays if it is there.
  function fill(list, items) {
    const chosen = list.value;
    list.replaceChildren(...items.map(([value, text]) => new Option(text, value)));
    list.value = items.some(([value]) => value === chosen) ? chosen : items[0][0];
  }

  class FlamePage {
    constructor(profile, latencies) {
      this.profile = profile;
      this.range = null; // [from, to) in buckets; null: all
      this.kind = element("flame-kind");
      this.service = element("flame-service");
      this.flame = new kmonFlame.Flame(element("flame-graph"), element("flame-details"), (value) => this.valueText(value));
      this.heat = new kmonHeat.Heat(element("flame-heat"), 200, (range) => this.pickPlaces(range));
      fill(this.kind, [["on", "on-CPU"], ["off", "off-CPU"]].filter(([kind]) => profile.has(kind)));
      this.fillServices();
      this.latencies = latencies;
      if (latencies.length) this.startLatencies();
      this.listen();
      this.showHeat();
      this.showCores();
      this.showFlame();
    }

    listen() {
      this.kind.addEventListener("change", () => {
        this.fillServices();
        this.showHeat();
        this.showCores();
        this.showFlame();
      });
      this.service.addEventListener("change", () => {
        this.showHeat();
        this.showCores();
        this.showFlame();
      });
      element("flame-search").addEventListener("input", (e) => this.flame.search(e.target.value));
      element("flame-reset").addEventListener("click", () => this.flame.reset());
      element("range-reset").addEventListener("click", () => this.pick(null));
    }

    startLatencies() {
      element("latency-live").hidden = false;
      this.latency = new kmonHeat.Heat(element("latency-heat"), 160, (range) => this.pickColumns(range));
      const edge = element("latency-edge");
      fill(edge, this.latencies.map((m, i) => [String(i), m.subject]));
      edge.addEventListener("change", () => this.showLatency());
      this.showLatency();
    }

    showLatency() {
      this.latency.show(this.latencies[Number(element("latency-edge").value)]);
      this.markAll();
    }

    get frame() {
      return Number(this.service.value);
    }

    fillServices() {
      const { profile } = this;
      const names = profile.services(this.kind.value).map((f) => [String(f), profile.frames[f].name]);
      fill(this.service, [["-1", "all services"], ...names]);
    }

    valueText(value) {
      if (this.kind.value === "off") return kmonNumber.duration(value);
      const text = kmonNumber.count(value) + (value === 1 ? " sample" : " samples");
      return this.profile.sampleNs ? text + ", about " + kmonNumber.duration(value * this.profile.sampleNs) : text;
    }

    clock(bucket) {
      const { startMs, bucketNs } = this.profile;
      return kmonNumber.clock(startMs + (bucket * bucketNs) / 1e6, 3);
    }

    // layout is how the heat map shows time: seconds to the right and the parts
    // of a second upwards. Time added up by interval has one row, an interval a
    // column; so has a recording with more seconds than fit, some a column.
    layout() {
      const { profile } = this, step = profile.step[this.kind.value];
      const rows = Math.max(1, Math.round(1e9 / profile.bucketNs));
      if (step === 1 && profile.buckets <= rows * mostColumns) return { rows, step };
      return { rows: 1, step: step * Math.ceil(profile.buckets / step / mostColumns) };
    }

    showHeat() {
      const { profile } = this, { rows, step } = this.layout();
      const [sums] = profile.byTime(this.kind.value, [this.frame], step);
      this.heat.show({
        rows, gamma: 1, columns: Math.ceil(sums.length / rows),
        count: (c, r) => sums[c * rows + r] || 0,
        rowText: (r) => (rows === 1 ? "" : r === 0 ? "0" : kmonNumber.duration(r * profile.bucketNs).replace(/\.0+ /, " ")),
        columnText: (c) => this.clock(c * rows * step).slice(0, 8),
        cellText: (c, r) => this.clock((c * rows + r) * step) + " UTC: " + this.valueText(sums[c * rows + r] || 0),
      });
      this.markAll();
    }

    // pickPlaces turns places of the heat map into buckets.
    pickPlaces(range) {
      const { step } = this.layout();
      this.pick(range && range.map((place) => place * step));
    }

    // shown is the picked range, or all, widened to whole places of the map.
    shown() {
      const { profile } = this, { step } = this.layout();
      const [from, to] = this.range || [0, profile.buckets];
      return [Math.floor(from / step) * step, Math.ceil(to / step) * step];
    }

    // pick narrows the flame graph to buckets [from, to), or to all.
    pick(range) {
      this.range = range && [Math.max(0, range[0]), Math.min(range[1], this.profile.buckets)];
      if (this.range && this.range[0] >= this.range[1]) this.range = null;
      this.markAll();
      this.showFlame();
    }

    // pickColumns turns columns of a latency map into buckets.
    pickColumns(range) {
      if (!range) return this.pick(null);
      const map = this.latency.model, { startMs, bucketNs } = this.profile;
      const bucket = (column) => Math.round(((map.startMs - startMs) * 1e6 + column * map.columnNs) / bucketNs);
      this.pick([bucket(range[0]), bucket(range[1])]);
    }

    // markAll shows the picked range on both maps.
    markAll() {
      const { step } = this.layout();
      this.heat.mark(this.range && this.shown().map((bucket) => bucket / step));
      if (!this.latency || !this.latency.model) return;
      const map = this.latency.model, { startMs, bucketNs } = this.profile;
      const column = (bucket) => (bucket * bucketNs + (startMs - map.startMs) * 1e6) / map.columnNs;
      const within = (n) => Math.min(Math.max(n, 0), map.columns);
      this.latency.mark(this.range && [within(Math.floor(column(this.range[0]) + 1e-6)), within(Math.ceil(column(this.range[1]) - 1e-6))]);
    }

    showFlame() {
      const [from, to] = this.shown();
      const tree = this.profile.tree(this.kind.value, this.frame, from, to);
      const time = this.range ? this.clock(from) + " to " + this.clock(to) + " UTC" : "the whole recording";
      element("range-text").textContent = time + ": " + this.valueText(tree.value);
      element("range-reset").disabled = !this.range;
      this.flame.show(tree);
      const off = this.kind.value === "off";
      element("flame-unit").textContent = off ? "time" : "samples";
      kmonTop.fill(element("flame-top"), tree, off ? kmonNumber.duration : kmonNumber.count);
    }

    // showCores draws the CPUs in use over time: of the chosen service, or of
    // all and the busiest.
    showCores() {
      const { profile } = this, chart = element("flame-cores");
      chart.hidden = !profile.sampleNs || !profile.has("on");
      if (chart.hidden) return;
      const per = Math.max(1, Math.round(1e9 / profile.bucketNs)), window = (per * profile.bucketNs) / 1e9;
      const frames = this.kind.value === "on" && this.frame >= 0 ? [this.frame] : [-1, ...profile.services("on").slice(0, 4)];
      const series = profile.byTime("on", frames, per).map((sums, i) => ({
        name: frames[i] < 0 ? "all services" : profile.frames[frames[i]].name,
        unit: "cores", values: Array.from(sums, (n) => (n * profile.sampleNs) / 1e9 / window),
      }));
      const times = series[0].values.map((_, i) => profile.startMs / 1e3 + (i + 0.5) * window);
      kmonCharts.draw(chart, { times, window, flags: [], marks: [], series });
    }

    redraw() {
      this.heat.draw();
      if (this.latency) this.latency.draw();
      this.showFlame();
    }
  }

  // readLatencies gives the models of the latency maps.
  function readLatencies(r) {
    return Array.from({ length: r ? r.number() : 0 }, () => {
      const subject = r.text(), startMs = r.number() * 1e3 + r.number() / 1e6, windowNs = r.number();
      const bounds = r.column(), gaps = r.column(), row = r.column(), count = r.column();
      const rows = bounds.length - 1, cells = new Map(), merged = Math.ceil((gaps.reduce((a, b) => a + b, 0) + 1) / mostColumns);
      let window = 0, column = 0;
      for (let i = 0; i < gaps.length; i++) {
        column = Math.floor((window += gaps[i]) / merged);
        cells.set(column * rows + row[i], (cells.get(column * rows + row[i]) || 0) + count[i]);
      }
      const columnNs = windowNs * merged;
      const clock = (c) => kmonNumber.clock(startMs + (c * columnNs) / 1e6);
      const at = (c, r) => cells.get(c * rows + r) || 0;
      return {
        subject, startMs, columnNs, rows, columns: column + 1, gamma: 0.5, whole: true, count: at,
        rowText: (r) => kmonNumber.duration(bounds[r]),
        columnText: clock,
        cellText: (c, r) => clock(c) + " UTC, " + kmonNumber.duration(bounds[r]) + " to " + kmonNumber.duration(bounds[r + 1]) + ": " + kmonNumber.count(at(c, r)),
      };
    });
  }

  async function startFlame() {
    const block = await kmonData.load("data-profile");
    if (!block) return null;
    const profile = new kmonProfile.Profile(block);
    const latencies = readLatencies(await kmonData.load("data-heats"));
    reveal(element("flame"));
    return new FlamePage(profile, latencies);
  }

  async function startCharts() {
    const block = await kmonData.load("data-series");
    if (!block) return;
    const list = kmonCharts.read(block);
    for (const part of document.querySelectorAll("#storage [data-live]")) part.hidden = false;
    for (const part of document.querySelectorAll("[data-chart]")) {
      part.hidden = false;
      kmonCharts.draw(part, list[Number(part.dataset.chart)]);
      part.parentElement.querySelector("[data-still]").hidden = true;
    }
  }

  // onChange redraws when the page gets another width, or turns light or dark.
  function onChange(redraw) {
    let wide = document.documentElement.clientWidth, waiting = 0;
    window.addEventListener("resize", () => {
      if (document.documentElement.clientWidth === wide) return;
      wide = document.documentElement.clientWidth;
      clearTimeout(waiting);
      waiting = setTimeout(redraw, 150);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  async function start() {
    let flames = null;
    onChange(() => {
      kmonCharts.redraw();
      if (flames) flames.redraw();
    });
    await startCharts();
    flames = await startFlame();
    performance.mark("kmon");
    document.documentElement.dataset.ready = "yes";
  }

  start();
})();
