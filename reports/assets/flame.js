"use strict";
// The flame graph: d3-flame-graph with our colours, search and keyboard.
const kmonFlame = (() => {
  // Light colours in both modes: the names on them are dark.
  const hues = { all: [210, 8, 80], service: [215, 25, 78], state: [275, 30, 80], kernel: [28, 85, 70], user: [46, 85, 68], "": [46, 30, 75] };

  // shade varies the hue of a kind by the name, so that neighbours differ.
  function colour(frame) {
    const [hue, saturation, light] = frame.name === "(other)" ? hues.all : hues[frame.kind] || hues[""];
    let hash = 0;
    for (let i = 0; i < frame.name.length && i < 64; i++) hash = (hash * 31 + frame.name.charCodeAt(i)) | 0;
    const swing = saturation < 10 ? 0 : (hash >>> 4) % 13;
    return "hsl(" + (hue + (frame.kind === "user" ? swing * 2 - 16 : swing - 6)) + " " + saturation + "% " + (light - 4 + (swing % 7)) + "%)";
  }

  class Flame {
    // valueText words a value of the tree.
    constructor(element, details, valueText) {
      this.element = element;
      this.details = details;
      this.valueText = valueText;
      this.term = "";
      this.cursor = null;
      this.zoomed = null;
      this.listen();
    }

    // show draws a tree, at the width of the page.
    show(tree) {
      this.tree = tree;
      this.cursor = this.zoomed = null;
      this.element.textContent = "";
      this.element.dataset.total = String(tree.value);
      this.matched = null;
      this.marked = false; // what was searched for, in this tree
      if (!tree.value) {
        this.tell("Nothing was recorded here.");
        return;
      }
      this.chart = this.makeChart();
      this.selection = d3.select(this.element).datum(tree);
      this.selection.call(this.chart);
      this.search(this.term);
      this.restore();
      this.tellTotal();
    }

    // place names a frame by its path, shortly.
    place(d) {
      let hash = 0;
      for (const at of d.ancestors().reverse().slice(1)) {
        for (const c of at.data.name + "\0") hash = (Math.imul(hash, 31) + c.codePointAt(0)) | 0;
      }
      return (hash >>> 0).toString(36);
    }

    // restore zooms to the frame that the page's view names, if it is drawn.
    restore() {
      const zoom = kmonView.get("zoom"), zoomed = this.zoomed && this.zoomed.parent ? this.place(this.zoomed) : "";
      if (!this.tree || !this.tree.value || zoom === zoomed) return;
      const found = zoom && this.drawn().find((d) => d.parent && this.place(d) === zoom);
      if (found) this.chart.zoomTo(found);
      else if (zoomed) this.chart.resetZoom();
    }

    makeChart() {
      return flamegraph()
        .width(Math.max(300, this.element.clientWidth))
        .cellHeight(18)
        .inverted(true)
        .minFrameSize(2.5) // as the drawing: what is narrower can neither be read nor hit
        .transitionDuration(0)
        .resetHeightOnZoom(true)
        .sort((a, b) => (a.data.name < b.data.name ? -1 : a.data.name > b.data.name ? 1 : 0))
        .setColorMapper((d) => (d.highlight ? "#ff5fd2" : colour(d.data)))
        .label((d) => this.words(d))
        .setDetailsHandler((text) => (text ? this.tell(text) : this.cursor ? this.tell(this.words(this.cursor)) : this.tellTotal()))
        .setSearchMatch((d, term) => d.data.kind !== "all" && (d.data.name + " " + (d.data.module || "")).toLowerCase().includes(term))
        .setSearchHandler((results, sum) => {
          this.matched = { frames: results.length, sum };
        })
        .onClick((d) => this.afterZoom(d));
    }

    words(d) {
      const f = d.data;
      return f.name + (f.module ? " [" + f.module + "]" : "") + (f.approximate ? " (nearest exported name)" : "") +
        ": " + this.valueText(f.value) + ", " + kmonNumber.percent(f.value / this.tree.value);
    }

    tell(text) {
      this.details.textContent = text;
    }

    tellTotal() {
      const shown = this.zoomed && this.zoomed.parent ? this.words(this.zoomed) : "All: " + this.valueText(this.tree.value);
      const found = this.matched ? " Found in " + this.valueText(this.matched.sum) + ", " + kmonNumber.percent(this.matched.sum / this.tree.value) + "." : "";
      this.tell(shown + "." + found);
    }

    search(term) {
      this.term = term.trim().toLowerCase();
      this.matched = null;
      if (!this.tree || !this.tree.value) return;
      if (this.term) this.chart.search(this.term);
      else if (this.marked) this.chart.clear();
      this.marked = Boolean(this.term);
      this.element.dataset.matched = this.matched ? String(this.matched.sum) : "";
      this.tellTotal();
      this.outline();
    }

    reset() {
      if (this.tree && this.tree.value) this.chart.resetZoom();
    }

    afterZoom(d) {
      this.zoomed = d;
      this.element.dataset.zoomed = d.parent ? d.data.name : "";
      kmonView.set({ zoom: d.parent ? this.place(d) : "" });
      if (this.cursor) this.cursor = d;
      this.tellTotal();
      this.outline();
    }

    // numbers gives the tree, as folded stacks: a path and what ended in it.
    numbers() {
      const rows = [];
      const walk = (n, path) => {
        const own = n.children.reduce((rest, c) => rest - c.value, n.value), here = [...path, n.name];
        if (own > 0) rows.push([here.slice(1).join(";") || n.name, own]);
        n.children.forEach((c) => walk(c, here));
      };
      if (this.tree) walk(this.tree, []);
      return kmonCopy.lines([["path", "value"], ...rows]);
    }

    // drawn are the frames on the screen.
    drawn() {
      return this.selection.selectAll("g").data();
    }

    outline() {
      if (!this.selection) return;
      this.selection.selectAll("g").classed("cursor", (d) => d === this.cursor);
    }

    listen() {
      this.element.addEventListener("keydown", (e) => this.key(e));
      this.element.addEventListener("focus", () => {
        if (this.cursor || !this.tree || !this.tree.value) return;
        this.move(this.zoomed || this.selection.datum());
      });
      this.element.addEventListener("blur", () => {
        this.cursor = null;
        this.outline();
      });
    }

    move(d) {
      if (!d) return;
      this.cursor = d;
      this.tell(this.words(d));
      this.outline();
    }

    // key walks: down to the widest called frame, up to the caller, left and
    // right along the level; Enter zooms, Escape shows all.
    key(e) {
      const at = this.cursor;
      if (!at || !this.tree.value) return;
      const widest = (list) => list.reduce((a, b) => (b.x1 - b.x0 > a.x1 - a.x0 ? b : a));
      const level = () => this.drawn().filter((d) => d.depth === at.depth).sort((a, b) => a.x0 - b.x0);
      if (e.key === "ArrowUp") this.move(at.parent);
      else if (e.key === "ArrowDown") {
        const below = this.drawn().filter((d) => d.parent === at);
        if (below.length) this.move(widest(below));
      } else if (e.key === "ArrowRight" || e.key === "ArrowLeft") {
        const row = level();
        this.move(row[row.indexOf(at) + (e.key === "ArrowRight" ? 1 : -1)]);
      } else if (e.key === "Enter" || e.key === " ") this.chart.zoomTo(at);
      else if (e.key === "Escape" || e.key === "Home") this.reset();
      else return;
      e.preventDefault();
    }
  }

  return { Flame };
})();
