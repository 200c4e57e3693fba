"use strict";
// What is known of each window of time, as reports/html_window.go wrote it: adds up
// those of a picked range and shows them in the place of the tables of the whole
// recording; narrows rows that have a time of their own.
const kmonWindow = (() => {
  // Kinds of sums: 0 a count, 1 one that should be 0, 2 bytes, 3 busy time, 4 the same in
  // µs with the rest of the recording in brackets, 5 µs by the first sum, 6 a count that has
  // a rate; 7 to 9 are the largest values, and 1: a count, bytes, ns.
  const busy = 3, beside = 4, rated = 6, largest = 7;
  const mostRows = 100, steady = 50; // least latencies that make a p99 worth comparing
  const absent = "–";

  function readRow(r, t) {
    const names = t.names.map(() => r.text());
    let at = 0;
    const windows = Array.from(r.column(), (gap) => (at += gap));
    const sums = t.sums.map(() => r.column()), longest = r.column(), sizes = r.column();
    let all = 0;
    for (const n of sizes) all += n;
    const classes = new Int32Array(all), counts = new Float64Array(all), pairs = r.numbers(2 * all), first = [0];
    for (let i = 0, j = 0; i < sizes.length; i++) {
      for (let place = 0, end = j + sizes[i]; j < end; j++) {
        classes[j] = place += pairs[2 * j];
        counts[j] = pairs[2 * j + 1];
      }
      first.push(j);
    }
    return { names, windows, sums, kinds: t.sums.map((s) => s.kind), longest, classes, counts, first };
  }

  // readGrid reads windows: of a table its own, where it is kept in wider ones than the
  // page.
  function readGrid(r) {
    const startMs = r.number() * 1e3 + r.number() / 1e6;
    return new Grid(startMs, r.number() / 1e6, r.column());
  }

  function readTable(r, page) {
    const t = { id: r.text(), title: r.text(), note: r.text() };
    t.names = Array.from({ length: r.number() }, () => r.text());
    t.sums = Array.from({ length: r.number() }, () => ({ head: r.text(), hint: r.text(), kind: r.number() }));
    const flags = r.number();
    t.latency = (flags & 1) > 0;
    t.ordered = (flags & 2) > 0; // its rows stay in their order
    t.grid = flags & 4 ? readGrid(r) : page;
    t.unkept = r.number(); // rows of the whole recording that are not kept by window
    t.rows = Array.from({ length: r.number() }, () => readRow(r, t));
    return t;
  }

  // A class of latencies, as analyze/stat/class.go has them: its middle.
  function middle(c) {
    if (c < 32) return c;
    const wide = Math.pow(2, (c >> 4) - 1);
    return ((c & 15) | 16) * wide + Math.floor(wide / 2);
  }

  // part is what a row adds up to; quantile reads its latencies.
  class Part {
    constructor(row) {
      Object.assign(this, { ns: 0, sums: row.sums.map((s) => (s.length ? 0 : null)), longest: 0, count: 0, classes: row.first.length > 1 ? new Float64Array(1024) : [] });
    }

    add(row, i, ns) {
      this.ns += ns;
      row.sums.forEach((s, k) => {
        if (s.length) this.sums[k] = row.kinds[k] < largest ? this.sums[k] + s[i] : Math.max(this.sums[k], s[i]);
      });
      this.longest = Math.max(this.longest, row.longest.length ? row.longest[i] : 0);
      if (row.first.length === 1) return;
      for (let j = row.first[i]; j < row.first[i + 1]; j++) {
        this.classes[row.classes[j]] += row.counts[j];
        this.count += row.counts[j];
      }
    }

    quantile(q) {
      let seen = 0;
      const rank = Math.ceil(q * this.count);
      for (let c = 0; c < this.classes.length; c++) {
        seen += this.classes[c];
        if (seen >= rank && seen > 0) return Math.min(middle(c), this.longest - 1);
      }
      return 0;
    }
  }

  // Grid is a time divided into windows, of each of which ns were recorded.
  class Grid {
    constructor(startMs, stepMs, ns) {
      Object.assign(this, { startMs, stepMs, ns });
    }

    // places gives the windows [from, to) that have a part of a range.
    places(range) {
      const place = (ms) => (ms - this.startMs) / this.stepMs, within = (n) => Math.min(Math.max(n, 0), this.ns.length);
      return [within(Math.floor(place(range.start) + 1e-6)), within(Math.ceil(place(range.end) - 1e-6))];
    }

    // text names the whole windows of a range.
    text(range) {
      const [from, to] = this.places(range).map((place) => clock(this.startMs + place * this.stepMs));
      return from + " to " + to + " UTC";
    }
  }

  class Windows {
    constructor(r) {
      this.grid = readGrid(r);
      this.ns = this.grid.ns;
      this.lost = r.column();
      this.tables = Array.from({ length: r.number() }, () => readTable(r, this.grid));
      this.known = new Map(); // the splits of the last range, by table
    }

    table(id) { return this.tables.find((t) => t.id === id); }

    // splits gives of each row of a table what its windows of a range add up to, and all
    // others; no rows where there is no such table.
    splits(id, range) {
      const t = this.table(id), key = range.start + " " + range.end;
      if (!t) return [];
      if (this.key !== key) this.known.clear();
      this.key = key;
      if (!this.known.has(id)) {
        const [from, to] = t.grid.places(range);
        this.known.set(id, t.rows.map((row) => split(row, t.grid, from, to)));
      }
      return this.known.get(id);
    }
  }

  function split(row, grid, from, to) {
    const inside = new Part(row), outside = new Part(row);
    row.windows.forEach((w, i) => (w >= from && w < to ? inside : outside).add(row, i, grid.ns[w]));
    return { row, inside, outside };
  }

  // load gives the windows of the page, null when it has none.
  let loading = null;
  function load() {
    loading = loading || kmonData.load("data-windows").then((block) => block && new Windows(block));
    return loading;
  }

  // settle says of tables that have no windows that they are of the whole recording. An
  // only instance did what its service did.
  function settle(windows) {
    const services = windows.table("services");
    for (const panel of document.querySelectorAll(".panel[data-narrow][data-panel]")) {
      const id = panel.dataset.panel, rows = panel.querySelectorAll("tbody tr");
      if (windows.table(id)) panel.dataset.narrow = ""; // its numbers, too
      if (windows.table(id) || rows[0].dataset.t) continue;
      const only = services && id.endsWith("-instances") && rows.length === 1 ? onlyInstance(services, panel, rows[0].cells) : null;
      if (only) windows.tables.push({ ...services, id, title: "Instances", names: ["Instance", "Host"], unkept: 0, rows: [only] });
      else panel.removeAttribute("data-narrow");
    }
  }

  // onlyInstance is the row of a service for its instance, if that has all its requests.
  function onlyInstance(services, panel, cells) {
    const name = panel.closest("details.service").querySelector("strong").textContent, row = services.rows.find((r) => r.names[0] === name);
    const names = [cells[0].textContent, cells[1].textContent];
    return row && counted(row.sums[0].reduce((a, b) => a + b, 0)) === cells[2].textContent ? { ...row, names } : null;
  }

  const counted = (n) => kmonNumber.count(n);
  const mean = (n, part) => (!part.ns ? absent : n / part.ns > 0.995 || n === 0 ? (n / part.ns).toFixed(2) : (n / part.ns).toPrecision(2));
  // briefly is mean where many numbers stand close.
  function briefly(n, part) {
    const x = part.ns ? n / part.ns : 0;
    if (!x) return part.ns ? "0" : absent;
    return x < 0.0005 ? "≤0.001" : mean(n, part);
  }

  const worded = [
    counted, counted, (n) => kmonNumber.bytes(n), mean, (n, part) => briefly(n * 1e3, part),
    (n, part) => (!part.sums[0] ? absent : n ? kmonNumber.duration((n * 1e3) / part.sums[0]) : "0"), counted,
    ...[counted, kmonNumber.bytes, kmonNumber.duration].map((text) => (n) => (n ? text(n - 1) : absent)),
  ];

  const fold = (ratio) => (ratio < 9.95 ? ratio.toPrecision(2) : kmonNumber.count(ratio)) + "×";

  // columns of a table: {head, hint, className, text(split), sum}.
  function columns(t) {
    const number = (head, hint, text) => ({ head, hint, className: "num", text });
    const sum = (s, k, of) => (split) => (split[of].sums[k] === null ? absent : worded[s.kind](split[of].sums[k], split[of]));
    const rate = (k, of) => (split) => (split[of].ns ? kmonNumber.rate((split[of].sums[k] * 1e9) / split[of].ns) : absent);
    const quantile = (q, of) => (split) => (split[of].count ? kmonNumber.duration(split[of].quantile(q)) : absent);
    const list = t.names.map((head, i) => ({ head, hint: "", className: "name", text: (split) => split.row.names[i] }));
    t.sums.forEach((s, k) => {
      const inside = sum(s, k, "inside"), outside = sum(s, k, "outside");
      list.push(number(s.head, s.hint, s.kind === beside ? (x) => (inside(x) === absent ? absent : inside(x) + " (" + outside(x) + ")") : inside));
      if (s.kind === rated) list.push(number("Rate", "a second of what was recorded of it", rate(k, "inside")), number("Rate outside", "in the rest of the recording", rate(k, "outside")));
      if (s.kind === busy) list.push(number(s.head + " outside", "in the rest of the recording", outside));
    });
    if (!t.latency) return list;
    for (const q of [50, 95, 99]) list.push(number("p" + q, "of all in this time", quantile(q / 100, "inside")));
    list.push(number("p99 outside", "in the rest of the recording", quantile(0.99, "outside")));
    list.push(number("p99 against outside", "where both have " + steady + " latencies or more", ({ inside, outside }) =>
      inside.count >= steady && outside.count >= steady ? fold(inside.quantile(0.99) / Math.max(outside.quantile(0.99), 1)) : absent));
    list.push(number("max", "", ({ inside }) => (inside.longest ? kmonNumber.duration(inside.longest - 1) : absent)));
    return list;
  }

  function element(kind, className, text) {
    const e = document.createElement(kind);
    if (className) e.className = className;
    if (text !== undefined) e.textContent = text;
    return e;
  }

  // inOrder gives the rows that have most of the first sum first; those that wait, of all
  // but waits for work.
  function inOrder(t, splits) {
    if (t.ordered) return splits;
    const all = t.id === "waits";
    const much = ({ inside }) => t.sums.reduce((sum, s, k) => sum + ((all ? s.head !== "Idle" : k === 0) ? inside.sums[k] || 0 : 0), 0);
    return [...splits].sort((a, b) => much(b) - much(a));
  }

  // put shows a table in the place of that of the whole recording.
  function put(panel, title, cols, rows, text) {
    const table = element("table"), head = element("tr"), body = element("tbody");
    table.append(element("caption", "", title));
    for (const c of cols) {
      const th = element("th", c.className, c.head);
      th.scope = "col";
      if (c.hint) th.title = c.hint;
      head.append(th);
    }
    const thead = element("thead");
    thead.append(head);
    for (const row of rows) {
      const tr = element("tr");
      cols.forEach((c, i) => {
        const cell = element(i === 0 ? "th" : "td", c.className);
        if (i === 0) cell.scope = "row";
        if (c.className === "name") cell.append(element("span", "", c.text(row)));
        else cell.textContent = c.text(row);
        tr.append(cell);
      });
      body.append(tr);
    }
    table.append(thead, body);
    const made = element("div", "windowed"), scroll = element("div", "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", title);
    scroll.append(table);
    made.append(scroll, element("p", "quiet", text));
    panel.append(made);
    panel.classList.add("replaced");
  }

  const clock = (ms) => kmonNumber.clock(ms, ms % 1000 ? 3 : 0);

  // note says what a table of windows is of, and what it lacks.
  function note(windows, t, range, more) {
    const texts = [], { grid } = t, [from, to] = grid.places(range);
    const ns = grid.ns.slice(from, to).reduce((a, b) => a + b, 0), missing = (to - from) * grid.stepMs * 1e6 - ns;
    if (t.note) texts.push(t.note);
    if (grid.stepMs !== windows.grid.stepMs) texts.push("It is kept in steps of " + kmonNumber.duration(grid.stepMs * 1e6).replace(/\.0+ /, " ") + ".");
    if (t.latency) texts.push("Quantiles are of all latencies of these windows together, within 3.2%; “" + absent + "”: none, or not kept by window, which is for the busiest only.");
    if (missing > 1e6) texts.push(kmonNumber.duration(missing) + " of it was not recorded; rates leave it out.");
    const [first, last] = windows.grid.places(range), lost = windows.lost.slice(first, last).reduce((a, b) => a + b, 0);
    if (lost && ["services", "edges", "breakdown"].includes(t.id)) texts.push(kmonNumber.count(lost) + " exchanges were lost in this time, all services.");
    if (more > 0) texts.push("And " + kmonNumber.count(more) + " more with less.");
    if (t.unkept) texts.push(kmonNumber.count(t.unkept) + " more of the whole recording " + (t.unkept === 1 ? "is" : "are") + " not kept by window.");
    if (!t.note) texts.push("The table of the whole recording has more columns.");
    return texts.join(" ");
  }

  // show puts tables of the range in the place of those of the whole recording.
  function show(windows, range) {
    for (const old of document.querySelectorAll(".windowed")) old.remove();
    for (const panel of document.querySelectorAll(".replaced")) panel.classList.remove("replaced");
    if (!range) return;
    if (!windows.settled) settle(windows);
    windows.settled = true;
    for (const t of windows.tables) {
      const panel = document.querySelector('[data-panel="' + t.id + '"]');
      if (!panel) continue;
      const rows = inOrder(t, windows.splits(t.id, range));
      put(panel, t.title + ", " + t.grid.text(range), columns(t), rows.slice(0, mostRows), note(windows, t, range, rows.length - mostRows));
    }
  }

  // times reads the attribute of what has a time of its own: Unix ms, base 36.
  const times = (e) => e.dataset.t.split(" ").map((t) => parseInt(t, 36));

  function overlaps(e, range) {
    const [from, to] = times(e);
    return !range || (from === to ? from >= range.start && from < range.end : from < range.end && to > range.start);
  }

  let narrowed = false;

  // narrow hides the rows of tables, and the findings, that have no part in the
  // range, and says how many are left.
  function narrow(range) {
    if (!range && !narrowed) return;
    narrowed = Boolean(range);
    for (const old of document.querySelectorAll(".narrowed")) old.remove();
    const hide = (list, into, what) => {
      let left = 0;
      for (const e of list) {
        e.hidden = !overlaps(e, range);
        left += !e.hidden;
      }
      if (range && list.length) into.append(element("p", "quiet narrowed", kmonNumber.count(left) + " of " + kmonNumber.count(list.length) + " " + what + (left === 1 ? " is" : " are") + " within the picked time."));
    };
    for (const panel of document.querySelectorAll(".panel[data-narrow]")) hide([...panel.querySelectorAll("tr[data-t]")], panel, "rows");
    const findings = document.getElementById("findings");
    const heading = findings.querySelector("h2"), holder = element("div", "narrowed");
    hide([...findings.querySelectorAll(".finding[data-t]")], holder, "findings");
    if (holder.firstChild) heading.after(holder);
  }

  return { load, Windows, Part, middle, show, put, narrow, times, clock, steady, fold };
})();
