"use strict";
// Time charts with a shared cursor: uPlot over what reports/html_series.go wrote.
const kmonCharts = (() => {
  const key = "kmon";
  const charts = []; // on the page: {element, chart, plot}
  const widths = new Map(); // of the charts in a grid

  // formats word the values of a unit.
  const formats = { ns: kmonNumber.duration, rate: kmonNumber.rate, bytes: (n) => kmonNumber.bytes(n) + "/s", cores: (n) => n.toFixed(2) + (n === 1 ? " core" : " cores"), threads: (n) => n.toFixed(2) + (n === 1 ? " thread" : " threads"), faults: kmonNumber.rate };

  // read gives the charts: {times, window, flags, series: [{name, unit, values}]
  // and the marks of all}. Flags: 1 a partial window, 2 one with losses.
  function read(r) {
    const units = ["ns", "rate", "bytes", "cores", "threads", "faults"];
    const marks = Array.from({ length: r.number() }, () => r.number() + r.number() / 1e9);
    return Array.from({ length: r.number() }, () => {
      const start = r.number() + r.number() / 1e9, window = r.number() / 1e9;
      let at = 0;
      const times = Array.from(r.column(), (gap) => start + ((at += gap) + 0.5) * window); // the middle
      const flags = r.column();
      const series = Array.from({ length: r.number() }, () => {
        const name = r.text(), unit = units[r.number()];
        // 0 is "not measured", else the value and 1; rates are counts of a
        // window, cores and threads its nanoseconds.
        const scale = unit === "ns" ? 1 : unit === "cores" || unit === "threads" ? window * 1e9 : window;
        const values = Array.from(r.column(), (n) => (n === 0 ? null : (n - 1) / scale));
        return { name, unit, values };
      });
      return { times, window, flags, marks, series };
    });
  }

  // withGaps puts a missing value where windows are missing, so that lines stop.
  function withGaps(chart) {
    const times = [], columns = chart.series.map(() => []);
    chart.times.forEach((t, i) => {
      if (i > 0 && t - chart.times[i - 1] > 1.5 * chart.window) {
        times.push(chart.times[i - 1] + chart.window);
        for (const c of columns) c.push(null);
      }
      times.push(t);
      chart.series.forEach((s, j) => columns[j].push(s.values[i]));
    });
    return [times, ...columns];
  }

  // look is the colour and stroke of a series by its name; services have their
  // place instead.
  function look(name, place, unit, style) {
    const of = (v) => style.getPropertyValue(v).trim();
    const looks = {
      p50: { stroke: of("--p50"), width: 2 },
      p95: { stroke: of("--p95"), width: 1.5, dash: [5, 3] },
      p99: { stroke: of("--p99"), width: 1.75 },
      max: { stroke: of("--quiet"), width: 1, dash: [2, 2] },
      errors: { stroke: of("--error"), fill: of("--error") },
      written: { stroke: of("--mark"), width: 1.5 },
      read: { stroke: of("--good"), width: 1.5, dash: [4, 2] },
    };
    const cycle = [0, 1, 2, 3, 4, 5].map((n) => of("--n" + n));
    if (unit === "cores" || unit === "threads" || unit === "faults") return { stroke: cycle[place % cycle.length], width: 1.5 };
    return looks[name] || { stroke: of("--bar"), fill: of("--bar"), width: 1 };
  }

  // latencyRange leaves the lower third to the bars.
  function latencyRange(u, low, high) {
    if (low == null || high == null || high <= 0) [low, high] = [1e6, 1e7];
    low = Math.max(low, 1);
    high = Math.max(high, low * 2);
    return [low / Math.pow(high / low, 0.6), high * 1.05];
  }

  // latencySplits are the ticks of the latencies: 1, 2, 5 of each power of ten,
  // or the powers alone where those are enough, above what the bars have.
  function latencySplits(u, axis, min, max) {
    const low = Math.exp((Math.log(min) + 0.6 * Math.log(max)) / 1.6);
    const all = [];
    for (let power = Math.pow(10, Math.floor(Math.log10(low))); power <= max; power *= 10) {
      for (const m of [1, 2, 5]) if (m * power >= low * 0.99 && m * power <= max) all.push(Math.round(m * power));
    }
    const powers = all.filter((v) => String(v).match(/^10*$/));
    return powers.length > 2 ? powers : all;
  }

  // behind shades the windows that are not to be trusted fully.
  function behind(u, chart, style) {
    const colours = { 1: "--partial", 2: "--lossy", 3: "--lossy" };
    chart.times.forEach((t, i) => {
      if (!chart.flags[i]) return;
      u.ctx.fillStyle = style.getPropertyValue(colours[chart.flags[i]]).trim();
      bar(u, t - chart.window / 2, t + chart.window / 2, u.bbox.top, u.bbox.height);
    });
  }

  // over draws errors, so high that one shows, and the marks.
  function over(u, chart, style) {
    const ratio = window.devicePixelRatio || 1, foot = u.bbox.top + u.bbox.height;
    const errors = chart.series.find((s) => s.name === "errors");
    u.ctx.fillStyle = style.getPropertyValue("--error").trim();
    chart.times.forEach((t, i) => {
      if (!errors || !errors.values[i]) return;
      const y = Math.min(u.valToPos(errors.values[i], "rate", true), foot - 5 * ratio);
      bar(u, t - chart.window * 0.4, t + chart.window * 0.4, y, foot - y);
    });
    u.ctx.fillStyle = style.getPropertyValue("--mark").trim();
    for (const t of chart.marks) {
      const x = u.valToPos(t, "x", true);
      if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
      for (let y = u.bbox.top; y < foot; y += 5 * ratio) u.ctx.fillRect(x - ratio, y, 2 * ratio, 2.5 * ratio);
    }
  }

  // bar fills from one time to another, within the plot.
  function bar(u, from, to, y, height) {
    const left = Math.max(u.valToPos(from, "x", true), u.bbox.left);
    const right = Math.min(u.valToPos(to, "x", true), u.bbox.left + u.bbox.width);
    if (right > left) u.ctx.fillRect(left, y, right - left, height);
  }

  // alone gives the points that have no neighbour, which no line would show.
  function alone(u, place) {
    const values = u.data[place];
    return Array.from(values.keys()).filter((i) => values[i] != null && values[i - 1] == null && values[i + 1] == null);
  }

  // pick makes what was dragged over the range of the page.
  function pick(u) {
    const { left, width } = u.select;
    if (width < 3) return;
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    kmonView.pick(u.posToVal(left, "x") * 1e3, u.posToVal(left + width, "x") * 1e3);
  }

  // narrow shows the picked range, or all, and at least a window.
  function narrow(plot, chart, range) {
    const { times, window } = chart;
    if (!times.length) return;
    const half = window / 2;
    const [min, max] = range ? [range.start / 1e3, range.end / 1e3] : [times[0] - half, times[times.length - 1] + half];
    plot.setScale("x", { min, max: Math.max(max, min + window) });
  }

  // narrowAll follows the range of the page.
  function narrowAll(range) {
    for (const { plot, chart } of charts) narrow(plot, chart, range);
  }

  function options(chart, wide, style) {
    const ink = style.getPropertyValue("--quiet").trim(), line = style.getPropertyValue("--line").trim();
    const units = [...new Set(chart.series.map((s) => s.unit))];
    units.sort((a, b) => (b === "ns") - (a === "ns"));
    const shown = units.filter((unit) => unit !== "rate" || !units.includes("bytes")); // there is room for two axes
    const axis = (unit, i) => ({
      scale: unit, side: i === 0 ? 3 : 1, size: 68, stroke: ink, grid: { show: i === 0, stroke: line, width: 1 }, ticks: { show: false },
      ...(unit === "ns" ? { splits: latencySplits, filter: (u, splits) => splits } : {}),
      ...(unit === "bytes" ? { incrs: Array.from({ length: 50 }, (_, power) => Math.pow(2, power)) } : {}),
      font: "11px system-ui, sans-serif", values: (u, splits) => splits.map((v) => (v == null ? "" : tick(unit, v, u))),
    });
    const scales = { x: { time: true } };
    for (const unit of units) {
      if (unit === "ns") scales.ns = { distr: 3, log: 10, range: latencyRange };
      else scales[unit] = { range: (u, low, high) => [0, Math.max(high || 0, 1e-9) * (units.includes("ns") ? 3.2 : 1.1)] };
    }
    const bars = uPlot.paths.bars({ size: [0.85, 40] });
    return {
      width: wide, height: 230, scales,
      tzDate: (s) => uPlot.tzDate(new Date(s * 1e3), "Etc/UTC"),
      cursor: { sync: { key, setSeries: false }, y: false, drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => () => kmonView.pick() } },
      hooks: { drawAxes: [(u) => behind(u, chart, style)], draw: [(u) => over(u, chart, style)], setSelect: [pick] },
      axes: [{ stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 26, space: 72, font: "11px system-ui, sans-serif",
        values: (u, splits) => splits.map((s) => kmonNumber.clock(s * 1e3)) }, ...shown.map(axis)],
      series: [{ label: "UTC", value: (u, s) => (s == null ? "–" : kmonNumber.clock((s - chart.window / 2) * 1e3)) },
        ...chart.series.map((s, i) => ({ label: s.name, scale: s.unit, points: { show: false, size: 5, filter: s.unit === "rate" ? () => null : alone }, ...look(s.name, i, s.unit, style),
          ...(s.name === "errors" ? { paths: () => null } : s.unit === "rate" ? { paths: bars } : {}), value: (u, v) => (v == null ? "–" : formats[s.unit](v)) }))],
    };
  }

  // tick words a value of an axis shortly: of what stands below latencies only
  // what its bars reach.
  function tick(unit, v, u) {
    if (unit !== "ns" && u.scales.ns && v > u.scales[unit].max / 2.6) return "";
    if (unit === "threads") return String(+v.toPrecision(3));
    return formats[unit](v).replace(/(\.\d*?)0+(?=\D)/, "$1").replace(/\.(?=\D)/, "");
  }

  // width is that of an element. Charts of a grid are alike, and as wide inside as the
  // first but for their border: one layout tells it for all.
  function width(element) {
    const grid = element.closest(".charts");
    if (!grid) return element.clientWidth;
    if (!widths.has(grid)) widths.set(grid, grid.firstElementChild.clientWidth - 2);
    return widths.get(grid);
  }

  // draw puts a chart into element, in place of what is there.
  function draw(element, chart) {
    const style = getComputedStyle(document.documentElement);
    const old = charts.findIndex((c) => c.element === element);
    if (old >= 0) charts.splice(old, 1)[0].plot.destroy();
    const plot = new uPlot(options(chart, Math.max(300, width(element)), style), withGaps(chart), element);
    charts.push({ element, chart, plot });
    if (kmonView.range) narrow(plot, chart, kmonView.range);
  }

  // numbers gives the rows of a chart within the picked range, for a spreadsheet:
  // times in UTC, plain numbers, nothing where there was no sample.
  function numbers(chart) {
    const units = { ns: "ns", rate: "1/s", bytes: "bytes/s", cores: "CPUs", threads: "threads", faults: "1/s" }, { range } = kmonView;
    const head = ["UTC", ...chart.series.map((s) => s.name + " (" + units[s.unit] + ")"), "window"];
    const flags = ["", "partial", "losses", "partial, losses"];
    const rows = chart.times.map((t, i) => [new Date(Math.round((t - chart.window / 2) * 1e3)).toISOString(), ...chart.series.map((s) => s.values[i] ?? ""), flags[chart.flags[i] || 0]]);
    const within = (t) => !range || ((t + chart.window / 2) * 1e3 > range.start && (t - chart.window / 2) * 1e3 < range.end);
    return kmonCopy.lines([head, ...rows.filter((_, i) => within(chart.times[i]))]);
  }

  // of gives the chart that an element shows.
  const of = (element) => charts.find((c) => c.element === element).chart;

  // redraw fits all charts to the page anew: another width, light or dark.
  function redraw() {
    widths.clear();
    for (const { element, chart } of [...charts]) draw(element, chart);
  }

  return { read, draw, redraw, narrowAll, numbers, of };
})();
