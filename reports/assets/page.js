"use strict";
// Starts the page: shows what needs scripts in place of what does not, and lets
// every panel follow the picked range.
(() => {
  const mostColumns = 3000; // of a heat map
  const mostPrinted = 60; // rows of what is unfolded on paper
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
      this.follow();
    }

    // make shows all for the first time, a task each.
    async make() {
      let tree;
      for (const show of [() => this.showHeat(), () => this.latency && this.showLatency(), () => this.showCores(), () => (tree = this.showGraph()), () => this.showFunctions(tree)]) {
        await kmonWork.pause();
        show();
      }
      this.made = true;
      await this.showLists();
    }

    listen() {
      this.kind.addEventListener("change", () => {
        this.fillServices();
        this.remember();
        this.showAll();
      });
      this.service.addEventListener("change", () => {
        this.remember();
        this.showAll();
      });
      element("flame-search").addEventListener("input", (e) => {
        kmonView.set({ q: e.target.value }, false);
        this.flame.search(e.target.value);
      });
      element("flame-reset").addEventListener("click", () => this.flame.reset());
      element("range-reset").addEventListener("click", () => this.pick(null));
      document.addEventListener("kmon:range", () => this.followRange());
      document.addEventListener("kmon:view", () => this.followView());
    }

    showAll() {
      this.showHeat();
      this.showCores();
      this.showFlame();
    }

    // remember puts what is chosen into the fragment.
    remember() {
      kmonView.set({ kind: this.kind.selectedIndex > 0 ? this.kind.value : "", service: this.service.selectedIndex > 0 ? this.service.selectedOptions[0].text : "" });
    }

    // follow takes the state of the page: the range, and what is chosen.
    follow() {
      const choose = (list, text) => {
        const found = [...list.options].findIndex((o) => o.text === text || o.value === text);
        list.selectedIndex = Math.max(found, 0);
      };
      choose(this.kind, kmonView.get("kind"));
      this.fillServices();
      choose(this.service, kmonView.get("service"));
      if (this.latency) choose(element("latency-edge"), kmonView.get("edge"));
      element("flame-search").value = kmonView.get("q");
      this.flame.term = kmonView.get("q").trim().toLowerCase();
      this.range = this.bucketsOf(kmonView.range);
    }

    followRange() {
      this.range = this.bucketsOf(kmonView.range);
      this.markAll();
      this.showFlame();
      this.showLists();
    }

    // followView shows another state; what this page itself changed is there already.
    followView() {
      const shown = () => [this.kind.value, this.service.value, element("latency-edge").value, element("flame-search").value].join();
      const before = shown();
      this.follow();
      if (shown() === before) return this.flame.restore();
      this.showAll();
      if (this.latency) this.showLatency();
    }

    // bucketsOf gives the buckets [from, to) of a range; null: all.
    bucketsOf(range) {
      if (!range) return null;
      const { startMs, bucketNs, buckets } = this.profile, within = (n) => Math.min(Math.max(n, 0), buckets);
      const bucket = (ms) => ((ms - startMs) * 1e6) / bucketNs;
      return [within(Math.floor(bucket(range.start) + 0.05)), within(Math.ceil(bucket(range.end) - 0.05))];
    }

    startLatencies() {
      element("latency-live").hidden = false;
      this.latency = new kmonHeat.Heat(element("latency-heat"), 160, (range) => this.pickColumns(range));
      const edge = element("latency-edge");
      fill(edge, this.latencies.map((m, i) => [String(i), m.subject]));
      edge.addEventListener("change", () => {
        kmonView.set({ edge: edge.selectedIndex > 0 ? edge.selectedOptions[0].text : "" });
        this.showLatency();
      });
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

    // pick narrows the page to buckets [from, to), or to all.
    pick(range) {
      const ms = (bucket) => this.profile.startMs + (bucket * this.profile.bucketNs) / 1e6;
      const [from, to] = range ? [Math.max(0, range[0]), Math.min(range[1], this.profile.buckets)] : [0, 0];
      if (from < to) kmonView.pick(ms(from), ms(to));
      else kmonView.pick();
      this.markAll();
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
      this.showFunctions(this.showGraph());
    }

    // showGraph draws the graph and gives its tree.
    showGraph() {
      const [from, to] = this.shown();
      const tree = this.profile.tree(this.kind.value, this.frame, from, to);
      const time = this.range ? this.clock(from) + " to " + this.clock(to) + " UTC" : "the whole recording";
      element("range-text").textContent = time + ": " + this.valueText(tree.value);
      element("range-reset").disabled = !this.range;
      this.flame.show(tree);
      return tree;
    }

    // showFunctions lists those of a tree.
    showFunctions(tree) {
      const off = this.kind.value === "off";
      element("flame-unit").textContent = off ? "time" : "samples";
      kmonTop.fill(element("flame-top"), tree, off ? kmonNumber.duration : kmonNumber.count);
    }

    // showLists lets the functions and paths of all services follow the range, a kind of
    // time a task.
    async showLists() {
      const { profile, range } = this, turn = (this.turn = (this.turn || 0) + 1);
      kmonTop.whole();
      if (!range || !this.made) return;
      for (const kind of ["on", "off"]) {
        await kmonWork.pause();
        if (this.turn !== turn) return; // another range is shown
        if (!profile.has(kind)) continue;
        const step = profile.step[kind], [from, to] = [Math.floor(range[0] / step) * step, Math.ceil(range[1] / step) * step];
        const timeText = kind === "off" ? kmonNumber.duration : (n) => (profile.sampleNs ? kmonNumber.duration(n * profile.sampleNs) : "–");
        kmonTop.replace(kind, profile.tree(kind, -1, from, to), timeText, this.clock(from) + " to " + this.clock(to) + " UTC");
      }
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
      if (!this.made) { // printed before its turn
        if (this.latency) this.showLatency();
        return this.showAll();
      }
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

  // startFlame makes the flame page; made takes it once there is something to see.
  async function startFlame(made) {
    const block = await kmonData.load("data-profile");
    if (!block) return;
    await kmonWork.pause();
    const profile = new kmonProfile.Profile(block), heats = await kmonData.load("data-heats");
    await kmonWork.pause();
    const latencies = readLatencies(heats);
    reveal(element("flame"));
    const flames = new FlamePage(profile, latencies);
    made(flames);
    await flames.make();
    startFlameCopies(flames);
  }

  // startCharts makes the charts in their turn.
  function startCharts() {
    if (!element("data-series")) return;
    let list = null;
    for (const plot of document.querySelectorAll("[data-chart]")) {
      kmonWork.later(plot.parentElement, async () => {
        list ||= kmonData.load("data-series").then((block) => block && kmonCharts.read(block));
        const charts = await list;
        if (charts) showChart(plot, charts[Number(plot.dataset.chart)]);
      });
    }
  }

  // showChart puts a chart in the place of its drawing.
  function showChart(plot, chart) {
    const panel = plot.parentElement;
    plot.hidden = false;
    kmonCharts.draw(plot, chart);
    plot.after(kmonCopy.button(panel.querySelector("h3"), () => kmonCharts.numbers(kmonCharts.of(plot))));
    panel.querySelector("[data-still]").hidden = true;
    if (panel.closest("#storage")) for (const part of document.querySelectorAll("#storage [data-live]")) part.hidden = false;
  }

  // startRange lets the timeline pick, and the tables and charts follow.
  async function startRange() {
    const windows = await kmonWindow.load();
    if (!windows) return;
    const shown = element("range-shown"), all = element("range-all");
    for (const part of [...document.querySelectorAll("#glance [data-live]"), element("range-bar")]) part.hidden = false;
    const tell = (text) => (shown.textContent = text);
    const timelines = [...document.querySelectorAll("[data-timeline]")].map((e) => new kmonTimeline.Timeline(e, tell));
    const { clock } = kmonWindow, length = (ms) => kmonNumber.duration(ms * 1e6);
    const follow = (range) => {
      for (const t of timelines) t.mark(range);
      document.documentElement.classList.toggle("picked", !!range);
      all.disabled = !range;
      tell(range ? "Shown: " + clock(range.start) + " to " + clock(range.end) + " UTC, " + length(range.end - range.start) + " of " + kmonNumber.duration(windows.ns.reduce((a, b) => a + b, 0)) + " recorded" : "Shown: the whole recording");
      kmonWindow.show(windows, range);
      kmonWindow.narrow(range);
      kmonParts.follow(windows, range);
      kmonDrill.follow(windows, range);
      kmonCharts.narrowAll(range);
    };
    document.addEventListener("kmon:range", (e) => follow(e.detail));
    all.addEventListener("click", () => kmonView.pick());
    element("range-link").addEventListener("click", async (e) => {
      const text = e.target.textContent;
      e.target.textContent = (await kmonCopy.put(location.href)) ? "Copied" : "Could not copy";
      setTimeout(() => (e.target.textContent = text), 1500);
    });
    for (const time of document.querySelectorAll("[data-pick]")) makePick(time);
    follow(kmonView.range);
  }

  // makePick turns the time of a finding into a button that picks it.
  function makePick(time) {
    const [start, end] = kmonWindow.times(time.closest("[data-t]")), button = document.createElement("button");
    button.type = "button";
    button.className = "pick";
    button.textContent = time.textContent;
    button.title = "narrow the page to this time";
    button.addEventListener("click", () => kmonView.pick(start, end));
    time.replaceWith(button);
  }

  // startCopies puts a button to every table.
  function startCopies() {
    for (const panel of document.querySelectorAll(".panel")) {
      panel.prepend(kmonCopy.button(panel.querySelector("caption"), () => kmonCopy.ofTables(panel)));
    }
  }

  // startFlameCopies puts them to what the flame page draws.
  function startFlameCopies(flames) {
    const after = (id, label, text) => element(id).after(kmonCopy.button(label, text));
    after("flame-cores", "CPUs in use", () => kmonCharts.numbers(kmonCharts.of(element("flame-cores"))));
    after("flame-heat", "heat map of time", () => flames.heat.numbers());
    after("flame-graph", "flame graph, a path a line", () => flames.flame.numbers());
    if (flames.latency) after("latency-heat", "heat map of latency", () => flames.latency.numbers());
  }

  // startLinks follows links within the page without losing the rest of the view. It
  // gives what shows the target again, unless the reader went elsewhere meanwhile.
  function startLinks() {
    let moved = false;
    const show = () => {
      const target = element(kmonView.get("at"));
      if (!target) return;
      for (let e = target; e; e = e.parentElement) if (e.localName === "details") e.open = true;
      target.scrollIntoView();
      for (const old of document.querySelectorAll(".target")) old.classList.remove("target");
      target.classList.add("target");
    };
    document.addEventListener("click", (e) => {
      const link = e.target.closest("a[href^='#']");
      if (!link || e.defaultPrevented || e.ctrlKey || e.metaKey || e.shiftKey) return;
      const to = element(link.getAttribute("href").slice(1));
      if (!to) return;
      e.preventDefault();
      kmonView.set({ at: to.id });
      show();
      to.tabIndex = -1;
      to.focus({ preventScroll: true });
    });
    let at = kmonView.get("at");
    if (at) show();
    document.addEventListener("kmon:view", () => {
      if (kmonView.get("at") !== at) show();
      at = kmonView.get("at");
    });
    for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"]) addEventListener(kind, () => (moved = true), { once: true, passive: true });
    return () => at && !moved && show();
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
    // Paper: light colours, and what is folded open, but for long lists of numbers.
    let opened = [];
    addEventListener("beforeprint", () => {
      document.documentElement.classList.add("paper");
      opened = [...document.querySelectorAll("details:not([open])")].filter((d) => d.querySelectorAll("tr").length <= mostPrinted);
      for (const d of opened) d.open = true;
      redraw();
    });
    addEventListener("afterprint", () => {
      document.documentElement.classList.remove("paper");
      for (const d of opened) d.open = false;
      redraw();
    });
  }

  // layOut lays out all that is not near the screen, a section at a time: for a picture
  // of the whole page, and because what is not slows all changes down.
  async function layOut() {
    for (const section of document.querySelectorAll("main > section")) {
      await kmonWork.pause();
      for (const e of [section, ...section.querySelectorAll(".chart")]) e.classList.add("laid-out");
      section.getBoundingClientRect();
    }
  }

  // start lets the first screen act, then makes the rest.
  async function start() {
    let flames = null;
    onChange(() => {
      kmonCharts.redraw();
      if (flames) flames.redraw();
    });
    kmonView.start();
    await startRange();
    startCopies();
    const showTarget = startLinks();
    performance.mark("kmon-acts");
    document.documentElement.dataset.ready = "acts";
    if (element("data-topology")) kmonWork.later(element("topology"), kmonTopology.start);
    startCharts();
    if (element("data-profile")) kmonWork.later(element("flame"), () => startFlame((page) => (flames = page)));
    await layOut();
    await kmonWork.all();
    document.body.getBoundingClientRect(); // the last part's layout counts
    showTarget(); // what was made above it moved it
    performance.mark("kmon");
    document.documentElement.dataset.ready = "yes";
  }

  start();
})();
