"use strict";
// What the services and edges of the topology drawing did in a picked range, from the
// windows of their tables (reports/html_window.go).
const kmonWithin = (() => {
  const slow = 1.5, slowest = 3, failing = 0.01; // as reports/looks.go has them
  const unkept = "not by window", none = "no request";

  // of adds a row up; null: nothing of it is kept by window.
  function of(split) {
    if (!split) return null;
    const { inside, outside } = split, [requests, errors] = inside.sums;
    const p99 = inside.count ? inside.quantile(0.99) : null, least = kmonWindow.steady;
    const ratio = inside.count >= least && outside.count >= least ? p99 / Math.max(outside.quantile(0.99), 1) : null;
    const failed = errors > 0 && errors >= failing * requests;
    return { requests, errors, failed, p99, ratio, rate: inside.ns ? (requests * 1e9) / inside.ns : 0 };
  }

  function look(w) {
    if (w.failed) return 4;
    if (w.ratio === null) return 0;
    return w.ratio >= slowest ? 3 : w.ratio >= slow ? 2 : 1;
  }

  const requests = (n) => kmonNumber.count(n) + (n === 1 ? " request" : " requests");
  const p99 = (w) => (w.p99 === null ? "" : "p99 " + kmonNumber.duration(w.p99));

  // edge is what a line says of an edge: any, whether it had a request as far as is
  // known, kept, whether that is known.
  function edge(name, split) {
    const w = of(split);
    if (!w) return { kept: false, any: true, rate: 0, look: 0, first: unkept, second: "", title: name + ": nothing of it is kept by window" };
    const facts = [requests(w.requests) + " in the picked time", kmonNumber.rate(w.rate), p99(w)].filter(Boolean);
    if (w.ratio !== null) facts.push("p99 " + kmonWindow.fold(w.ratio) + " that of the rest of the recording");
    if (w.errors) facts.push(kmonNumber.count(w.errors) + " unanswered or reset");
    return {
      kept: true, any: w.requests + w.errors > 0, rate: w.rate, look: look(w),
      first: w.requests ? kmonNumber.rate(w.rate) : none, second: p99(w), title: name + ": " + facts.join(", "),
    };
  }

  // node is what a place says of a service. One without a row that served nothing in
  // the whole recording served nothing now.
  function node(n, split) {
    const w = of(split), serves = n.flags & 4;
    if (!w) return { kept: !serves, any: false, bad: false, rate: 0, detail: serves ? unkept : n.detail };
    const detail = [w.requests ? kmonNumber.rate(w.rate) : none, p99(w)].filter(Boolean).join(" · ");
    return { kept: true, any: w.requests > 0, bad: w.failed, rate: w.rate, detail };
  }

  // facts are those of all nodes and edges in windows [from, to).
  function facts(windows, range, { nodes, edges }) {
    const services = windows.splits("services", range), between = windows.splits("edges", range);
    const seen = edges.map((e) => edge(nodes[e.from].name + " → " + nodes[e.to].name, between[e.row - 1]));
    const now = nodes.map((n) => node(n, services[n.row - 1]));
    const busy = new Set();
    edges.forEach((e, i) => seen[i].any && busy.add(e.from).add(e.to));
    now.forEach((n, i) => (n.idle = !n.any && n.kept && !busy.has(i)));
    return { nodes: now, edges: seen };
  }

  // note says what the drawing is of, and what it cannot show.
  function note(windows, range, { edges }) {
    const idle = edges.filter((e) => !e.any).length, missing = edges.filter((e) => !e.kept).length;
    const texts = ["Drawn: " + (windows.table("edges") || windows).grid.text(range) + ". Rates, p99 and colours are of this time alone: a colour compares an edge's p99 with its own in the rest of the recording, where both have " +
      kmonWindow.steady + " latencies or more; ✕: 1% of the requests or more were unanswered or reset."];
    const of = kmonNumber.count(edges.length) + (edges.length === 1 ? " edge" : " edges");
    if (idle) texts.push(kmonNumber.count(idle) + " of " + of + " had no request: faded.");
    if (missing) texts.push("Nothing by window is kept of " + kmonNumber.count(missing) + " of " + of + ", which have no requests or are beyond the busiest: dotted, “" + unkept + "”.");
    return texts.join(" ");
  }

  return { facts, note, none, unkept };
})();
