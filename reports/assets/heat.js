"use strict";
// A heat map on a canvas, on which a range is picked by pointer or keyboard.
const kmonHeat = (() => {
  const left = 64, foot = 18, top = 4;

  // Heat shows model: {columns, rows, count(column, row), rowText(row),
  // columnText(column), cellText(column, row), gamma: below 1 brings out rare
  // cells, whole: picks whole columns}.
  // A cell's place in time is column * rows + row, or column when whole.
  class Heat {
    constructor(canvas, height, onPick) {
      this.canvas = canvas;
      this.height = height;
      this.onPick = onPick;
      this.cursor = 0;
      this.anchor = -1;
      this.range = null;
      this.listen();
    }

    show(model) {
      this.model = model;
      this.most = 0;
      for (let c = 0; c < model.columns; c++) {
        for (let r = 0; r < model.rows; r++) this.most = Math.max(this.most, model.count(c, r));
      }
      this.cursor = Math.min(this.cursor, this.places - 1);
      this.draw();
    }

    get places() {
      return this.model.whole ? this.model.columns : this.model.columns * this.model.rows;
    }

    // mark draws a range [from, to) of places as picked; null clears it.
    mark(range) {
      this.range = range;
      this.draw();
    }

    draw() {
      const { canvas, model } = this;
      if (!model) return;
      const style = getComputedStyle(canvas), ratio = window.devicePixelRatio || 1;
      const wide = Math.max(canvas.parentElement.clientWidth, 320, left + model.columns);
      canvas.style.width = wide + "px";
      canvas.style.height = this.height + "px";
      canvas.width = Math.round(wide * ratio);
      canvas.height = Math.round(this.height * ratio);
      this.cellWidth = (wide - left - 4) / model.columns;
      this.cellHeight = (this.height - foot - top) / model.rows;
      const g = canvas.getContext("2d");
      g.scale(ratio, ratio);
      g.font = "10.5px " + style.fontFamily;
      this.drawCells(g, style);
      this.drawRange(g, style);
      this.drawAxes(g, style);
    }

    // numbers gives the cells that are not empty, within the picked range.
    numbers() {
      const { model, range } = this, rows = [["cell", "count"]];
      for (let c = 0; c < model.columns; c++) {
        for (let r = 0; r < model.rows; r++) {
          const place = model.whole ? c : c * model.rows + r;
          if (model.count(c, r) && (!range || (place >= range[0] && place < range[1]))) rows.push([model.cellText(c, r).replace(/: [^:]*$/, ""), model.count(c, r)]);
        }
      }
      return kmonCopy.lines(rows);
    }

    // y is the upper edge of a row; row 0 lies lowest.
    y(row) {
      return this.height - foot - (row + 1) * this.cellHeight;
    }

    drawCells(g, style) {
      const shades = Array.from({ length: 9 }, (_, i) => style.getPropertyValue("--heat" + i).trim());
      g.fillStyle = shades[0];
      g.fillRect(left, top, this.cellWidth * this.model.columns, this.height - foot - top);
      // Edges on whole pixels: shared ones leave no seam.
      const gap = this.cellWidth > 5 && this.cellHeight > 5 ? 1 : 0;
      for (let c = 0; c < this.model.columns; c++) {
        for (let r = 0; r < this.model.rows; r++) {
          const n = this.model.count(c, r);
          if (!n) continue;
          g.fillStyle = shades[1 + Math.floor(Math.pow(n / this.most, this.model.gamma) * 7 + 0.5)];
          const x = Math.round(left + c * this.cellWidth), y = Math.round(this.y(r));
          g.fillRect(x, y, Math.round(left + (c + 1) * this.cellWidth) - x - gap, Math.round(this.y(r - 1)) - y - gap);
        }
      }
    }

    // drawRange outlines the picked range and the cursor of the keyboard.
    drawRange(g, style) {
      const picked = style.getPropertyValue("--pick").trim();
      if (this.range) {
        g.fillStyle = picked;
        g.globalAlpha = 0.35;
        this.eachPart(this.range, (x, y, w, h) => g.fillRect(x, y, w, h));
        g.globalAlpha = 1;
        g.strokeStyle = picked;
        g.lineWidth = 1.5;
        this.eachPart(this.range, (x, y, w, h) => g.strokeRect(x, y, w, h));
      }
      if (document.activeElement === this.canvas) {
        g.strokeStyle = style.color;
        g.lineWidth = 2;
        this.eachPart([this.cursor, this.cursor + 1], (x, y, w, h) => g.strokeRect(x - 1, y - 1, w + 2, h + 2));
      }
    }

    // eachPart gives the rectangles of a range: at most three, as a range of
    // cells can begin and end within a column.
    eachPart([from, to], draw) {
      const { rows, whole } = this.model;
      const part = (c0, c1, r0, r1) => {
        if (c1 > c0 && r1 > r0) {
          draw(left + c0 * this.cellWidth, this.y(r1 - 1), (c1 - c0) * this.cellWidth, (r1 - r0) * this.cellHeight);
        }
      };
      if (whole) return part(from, to, 0, rows);
      const c0 = Math.floor(from / rows), c1 = Math.floor((to - 1) / rows);
      if (c0 === c1) return part(c0, c0 + 1, from - c0 * rows, to - c0 * rows);
      const full0 = from % rows === 0 ? c0 : c0 + 1, full1 = to % rows === 0 ? c1 + 1 : c1;
      if (full0 > c0) part(c0, c0 + 1, from - c0 * rows, rows);
      part(full0, full1, 0, rows);
      if (full1 === c1) part(c1, c1 + 1, 0, to - c1 * rows);
    }

    drawAxes(g, style) {
      const { columns, rows } = this.model;
      g.fillStyle = style.getPropertyValue("--quiet").trim();
      g.textAlign = "right";
      for (let i = 0; i <= 4; i++) {
        const row = Math.round((rows * i) / 4);
        if (i > 0 && row === Math.round((rows * (i - 1)) / 4)) continue;
        g.fillText(this.model.rowText(row), left - 6, Math.min(Math.max(this.y(row - 1) + 4, 10), this.height - foot));
      }
      const step = Math.max(1, Math.ceil(columns / Math.max(1, Math.floor((columns * this.cellWidth) / 90))));
      for (let c = 0; c < columns; c += step) {
        g.textAlign = c === 0 ? "left" : "center";
        g.fillText(this.model.columnText(c), left + c * this.cellWidth, this.height - 4);
      }
    }

    // placeAt is the place under a pointer.
    placeAt(event) {
      const box = this.canvas.getBoundingClientRect();
      const { columns, rows, whole } = this.model;
      const within = (n, limit) => Math.min(Math.max(Math.floor(n), 0), limit - 1);
      const c = within((event.clientX - box.left - left) / this.cellWidth, columns);
      const r = within((this.height - foot - (event.clientY - box.top)) / this.cellHeight, rows);
      this.hovered = [c, r];
      return whole ? c : c * rows + r;
    }

    listen() {
      const { canvas } = this;
      let start = -1;
      canvas.addEventListener("pointerdown", (e) => {
        if (e.button !== 0 || !this.model) return;
        canvas.setPointerCapture(e.pointerId);
        start = this.cursor = this.placeAt(e);
        this.mark([start, start + 1]);
      });
      canvas.addEventListener("pointermove", (e) => {
        if (!this.model) return;
        const place = this.placeAt(e);
        canvas.title = this.model.cellText(...this.hovered);
        if (start >= 0) this.mark([Math.min(start, place), Math.max(start, place) + 1]);
      });
      canvas.addEventListener("pointerup", () => {
        if (start < 0) return;
        start = -1;
        this.onPick(this.range);
      });
      canvas.addEventListener("pointercancel", () => {
        start = -1;
      });
      canvas.addEventListener("keydown", (e) => this.key(e));
      canvas.addEventListener("focus", () => this.draw());
      canvas.addEventListener("blur", () => this.draw());
    }

    // key moves the cursor; with shift it stretches a range, Enter picks.
    key(e) {
      if (!this.model) return;
      const column = this.model.whole ? 1 : this.model.rows, row = this.model.whole ? 0 : 1;
      const moves = { ArrowRight: column, ArrowLeft: -column, ArrowUp: row, ArrowDown: -row, Home: -this.places, End: this.places };
      if (e.key === "Escape") {
        this.anchor = -1;
        this.onPick(null);
      } else if (e.key === "Enter" || e.key === " ") {
        const from = this.anchor < 0 ? this.cursor : this.anchor;
        this.anchor = -1;
        this.onPick([Math.min(from, this.cursor), Math.max(from, this.cursor) + 1]);
      } else if (e.key in moves) {
        if (e.shiftKey && this.anchor < 0) this.anchor = this.cursor;
        if (!e.shiftKey) this.anchor = -1;
        this.cursor = Math.min(Math.max(this.cursor + moves[e.key], 0), this.places - 1);
        if (this.anchor >= 0) this.range = [Math.min(this.anchor, this.cursor), Math.max(this.anchor, this.cursor) + 1];
        this.draw();
        const at = this.model.whole ? [this.cursor, 0] : [Math.floor(this.cursor / this.model.rows), this.cursor % this.model.rows];
        this.canvas.setAttribute("aria-label", this.model.cellText(...at));
      } else {
        return;
      }
      e.preventDefault();
    }
  }

  return { Heat };
})();
