"use strict";
// The functions of a tree as a table: where time ended, and what led there.
const kmonTop = (() => {
  const most = 30;

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

  return { functions, fill };
})();
