"use strict";
// The functions of a tree as a table: where time ended, and what led there.
const kmonTop = (() => {
  const most = 30, mostFunctions = 25, mostPaths = 20, pathFrames = 12;

  // functions gives {frame, self, total}; total counts a path once, however
  // often the function is on it.
  function functions(tree) {
    const found = new Map(), open = new Map();
    const walk = (n) => {
      if (n.kind === "all" || n.kind === "service" || n.kind === "state") return n.children.forEach(walk);
      const key = n.name + "\0" + (n.module || "");
      const f = found.get(key) || { frame: n, self: 0, total: 0 };
      found.set(key, f);
      f.self += n.children.reduce((rest, c) => rest - c.value, n.value);
      if (!open.get(key)) f.total += n.value;
      open.set(key, (open.get(key) || 0) + 1);
      n.children.forEach(walk);
      open.set(key, open.get(key) - 1);
    };
    walk(tree);
    return [...found.values()].sort((a, b) => b.self - a.self || b.total - a.total || (a.frame.name < b.frame.name ? -1 : 1));
  }

  function cell(kind, className, text) {
    const c = document.createElement(kind);
    c.className = className;
    c.textContent = text;
    return c;
  }

  // fill shows the functions of a tree in the body of a table.
  function fill(body, tree, valueText) {
    body.replaceChildren(...functions(tree).slice(0, most).map(({ frame, self, total }) => {
      const row = document.createElement("tr");
      const name = cell("th", "name", "");
      name.scope = "row";
      name.append(cell("span", "", frame.name + (frame.approximate ? " (nearest exported name)" : "")));
      row.append(name, cell("td", "name", frame.module || "–"), cell("td", "num", valueText(self)), cell("td", "num", kmonNumber.percent(self / tree.value)),
        cell("td", "num", valueText(total)), cell("td", "num", kmonNumber.percent(total / tree.value)));
      return row;
    }));
  }

  // paths gives those that value ended in, {frames, value}: names from the root.
  function paths(tree) {
    const found = [];
    const walk = (n, frames) => {
      const own = n.children.reduce((rest, c) => rest - c.value, n.value);
      if (own > 0) found.push({ frames, value: own });
      for (const c of n.children) walk(c, [...frames, c.name]);
    };
    walk(tree, []);
    return found.sort((a, b) => b.value - a.value);
  }

  // pathText writes a path from its leaf, as reports/tables_flame.go does.
  function pathText(frames) {
    const names = frames.slice(1).reverse();
    return names.slice(0, pathFrames).join(" ← ") + (names.length > pathFrames ? " ← …" : "");
  }

  // replace shows the functions and paths of a tree of all services in the place of
  // those of the whole recording; timeText words a value as time, the tree is of a kind
  // of time and of what text names.
  function replace(kind, tree, timeText, text) {
    const share = (value) => (tree.value ? kmonNumber.percent(value / tree.value) : "–");
    const name = (head, of) => ({ head, className: "name", text: of }), number = (head, of) => ({ head, className: "num", text: of });
    const note = "Of the flame graph, whose rarer paths are added up as “(other)”. The table of the whole recording is of all.";
    const put = (id, cols, rows) => {
      const panel = document.querySelector('[data-panel="' + id + "-" + kind + '-cpu"]');
      if (!panel) return;
      panel.dataset.narrow = "";
      kmonWindow.put(panel, panel.querySelector("caption").textContent + ", " + text, cols, rows, note);
    };
    put("functions", [
      name("Function", (f) => (f.frame.approximate ? "≈ " : "") + f.frame.name), number("Self", (f) => share(f.self)), number("Self time", (f) => timeText(f.self)),
      number("Total", (f) => share(f.total)), number("Total time", (f) => timeText(f.total)), name("In", (f) => (f.frame.module || "–").split("/").pop()),
    ], functions(tree).slice(0, mostFunctions));
    put("paths", [
      number("Share", (p) => share(p.value)), number("Time", (p) => timeText(p.value)), name("Service", (p) => p.frames[0] || "–"),
      { head: "Path", hint: "from where it was running or waiting to its callers", className: "prose", text: (p) => pathText(p.frames) },
    ], paths(tree).slice(0, mostPaths));
  }

  // whole marks the tables of a kind of time as of the whole recording.
  function whole() {
    for (const id of ["functions", "paths"]) {
      for (const panel of document.querySelectorAll('[data-panel^="' + id + '-o"]')) panel.removeAttribute("data-narrow");
    }
  }

  return { functions, fill, replace, whole };
})();
