"use strict";
// What of the page is shown: the picked range of time and the state of panels. It
// stands in the URL's fragment, so that a link names a view and Back works.
//
// A panel that follows the picked range:
//   kmonView.range                  {start, end} in Unix ms, or null: the whole recording
//   document.addEventListener("kmon:range", (e) => …)   e.detail is the new range
//   kmonView.pick(start, end)       picks one; pick() shows the whole recording
// and says so by the attribute data-narrow="" (on its .panel, figure or section);
// while a range is picked, everything without it is marked "whole recording".
//
// A panel with another state uses a key of its own, of small letters:
//   kmonView.get("service")         "" when it is not set
//   kmonView.set({service: "cart"}) a step that Back takes back; "" clears a key
//   kmonView.set({q: "json"}, false) no step of its own
//   document.addEventListener("kmon:view", () => …)     a key changed, by whatever
// Keys in use: t (the range), at (the section or element that was gone to), kind,
// service, edge, q, zoom (of the flame graph), find (of the topology).
const kmonView = (() => {
  let state = new Map(), range = null;

  // A moment stands as UTC, to the millisecond where it is no whole second.
  const word = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");

  // parse reads a fragment: key=value&…, or the id of an element alone.
  function parse(text) {
    const read = new Map();
    for (const part of text.replace(/^#/, "").split("&")) {
      const [key, value] = part.includes("=") ? [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)] : ["at", part];
      try {
        if (/^[a-z]{1,16}$/.test(key) && value) read.set(key, decodeURIComponent(value));
      } catch {
        // no text: as if it were not there
      }
    }
    return read;
  }

  // parseRange reads FROM..TO; null for what is no range.
  function parseRange(text) {
    const [start, end] = (text || "").split("..").map((t) => Date.parse(t));
    return end > start ? { start, end } : null;
  }

  function fragment(next) {
    const parts = [...next].filter(([, value]) => value).map(([key, value]) => key + "=" + encodeURIComponent(value).replace(/%3A/g, ":"));
    if (parts.length === 1 && next.get("at")) return "#" + encodeURIComponent(next.get("at"));
    return "#" + (parts.join("&") || "all=");
  }

  const same = (a, b) => (a && b ? a.start === b.start && a.end === b.end : a === b);

  // take makes a state the page's and tells of what changed.
  function take(next) {
    const before = range, changed = next.size !== state.size || [...next].some(([key, value]) => state.get(key) !== value);
    state = next;
    range = parseRange(state.get("t"));
    if (!same(before, range)) document.dispatchEvent(new CustomEvent("kmon:range", { detail: range }));
    if (changed) document.dispatchEvent(new CustomEvent("kmon:view"));
  }

  // set changes keys, as a step of the history or not.
  function set(keys, step = true) {
    const next = new Map(state);
    for (const [key, value] of Object.entries(keys)) {
      if (value) next.set(key, String(value));
      else next.delete(key);
    }
    const text = fragment(next);
    if (text !== fragment(state)) {
      if (step) location.hash = text;
      else location.replace(location.href.replace(/#.*/s, "") + text);
    }
    take(next);
  }

  // pick picks a range, or without one shows the whole recording.
  function pick(start, end, step = true) {
    set({ t: end > start ? word(Math.round(start)) + ".." + word(Math.round(end)) : "" }, step);
  }

  addEventListener("hashchange", () => {
    if (location.hash !== fragment(state)) take(parse(location.hash));
  });

  return {
    get range() { return range; },
    get: (key) => state.get(key) || "",
    set, pick,
    start: () => take(parse(location.hash)), // once all panels listen
  };
})();
