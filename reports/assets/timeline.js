"use strict";
// The timeline: a range is picked on it by pointer or keyboard, and shown.
const kmonTimeline = (() => {
  const svg = "http://www.w3.org/2000/svg";

  class Timeline {
    constructor(element, tell) {
      this.element = element;
      this.tell = tell;
      for (const name of ["from", "to", "step", "left", "right", "top", "bottom"]) this[name] = Number(element.dataset[name]);
      this.steps = Math.round((this.to - this.from) / this.step);
      this.cursor = 0;
      this.anchor = -1;
      this.parts = ["outside", "outside", "picked", "cursor"].map((name) => {
        const rect = document.createElementNS(svg, "rect");
        rect.setAttribute("class", name);
        rect.setAttribute("y", this.top);
        rect.setAttribute("height", this.bottom - this.top);
        element.insertBefore(rect, element.querySelector("a"));
        return rect;
      });
      element.tabIndex = 0;
      element.setAttribute("role", "application");
      element.setAttribute("aria-roledescription", "timeline");
      this.listen();
      this.mark(null);
    }

    x(ms) {
      const share = (ms - this.from) / (this.to - this.from);
      return this.left + (this.right - this.left) * Math.min(Math.max(share, 0), 1);
    }

    at(step) {
      return this.from + Math.min(Math.max(step, 0), this.steps) * this.step;
    }

    // mark shows a range as picked; null: none is.
    mark(range) {
      this.range = range;
      const place = (rect, from, to, shown) => {
        rect.setAttribute("x", from);
        rect.setAttribute("width", Math.max(to - from, 0));
        rect.setAttribute("visibility", shown ? "visible" : "hidden");
      };
      const [a, b] = range ? [this.x(range.start), this.x(range.end)] : [this.left, this.right];
      place(this.parts[0], this.left, a, range);
      place(this.parts[1], b, this.right, range);
      place(this.parts[2], a, Math.max(b, a + 2), range);
      place(this.parts[3], this.x(this.at(this.cursor)), this.x(this.at(this.cursor + 1)), document.activeElement === this.element);
    }

    // between is the range of windows from one to another, whichever is first.
    between(a, b) {
      return { start: this.at(Math.min(a, b)), end: this.at(Math.max(a, b) + 1) };
    }

    pick(range) {
      this.anchor = -1;
      if (range) kmonView.pick(range.start, range.end);
      else kmonView.pick();
      this.mark(kmonView.range);
    }

    stepUnder(event) {
      const box = this.element.getBoundingClientRect(), wide = this.element.viewBox.baseVal.width;
      const x = ((event.clientX - box.left) / box.width) * wide;
      return Math.min(Math.max(Math.floor(((x - this.left) / (this.right - this.left)) * this.steps), 0), this.steps - 1);
    }

    listen() {
      const { element } = this;
      let start = -1;
      element.addEventListener("pointerdown", (e) => {
        if (e.button !== 0 || e.target.closest("a")) return;
        e.preventDefault(); // no text is selected
        element.focus({ preventScroll: true });
        element.setPointerCapture(e.pointerId);
        start = this.cursor = this.stepUnder(e);
        this.mark(this.between(start, start));
      });
      element.addEventListener("pointermove", (e) => {
        if (start >= 0) this.mark(this.between(start, this.stepUnder(e)));
      });
      element.addEventListener("pointerup", () => {
        if (start < 0) return;
        start = -1;
        this.pick(this.range);
      });
      element.addEventListener("pointercancel", () => {
        start = -1;
        this.mark(kmonView.range);
      });
      element.addEventListener("click", (e) => {
        const band = e.target.closest("a[data-t]");
        if (!band) return;
        e.preventDefault();
        const [from, to] = kmonWindow.times(band);
        this.pick({ start: from, end: to });
      });
      element.addEventListener("keydown", (e) => this.key(e));
      element.addEventListener("focus", () => this.mark(this.range));
      element.addEventListener("blur", () => this.mark(this.range));
    }

    // key moves the cursor; with shift it stretches a range, Enter picks it.
    key(e) {
      if (e.target !== this.element) return;
      const moves = { ArrowRight: 1, ArrowLeft: -1, PageUp: Math.ceil(this.steps / 10), PageDown: -Math.ceil(this.steps / 10), Home: -this.steps, End: this.steps };
      if (e.key === "Escape") this.pick(null);
      else if (e.key === "Enter" || e.key === " ") this.pick(this.between(this.anchor < 0 ? this.cursor : this.anchor, this.cursor));
      else if (e.key in moves) this.move(moves[e.key], e.shiftKey);
      else return;
      e.preventDefault();
    }

    move(by, stretch) {
      if (stretch && this.anchor < 0) this.anchor = this.cursor;
      if (!stretch) this.anchor = -1;
      this.cursor = Math.min(Math.max(this.cursor + by, 0), this.steps - 1);
      this.mark(this.anchor < 0 ? kmonView.range : this.between(this.anchor, this.cursor));
      this.tell(this.words());
    }

    // words tells what stands under the cursor: the tooltip of its point.
    words() {
      const x = (this.x(this.at(this.cursor)) + this.x(this.at(this.cursor + 1))) / 2;
      const point = [...this.element.querySelectorAll("rect.hover")].find((r) => x >= r.x.baseVal.value && x < r.x.baseVal.value + r.width.baseVal.value);
      const text = point ? point.textContent : kmonWindow.clock(this.at(this.cursor)) + " UTC: no requests were recorded";
      return this.anchor < 0 ? text : kmonWindow.clock(this.range.start) + " to " + kmonWindow.clock(this.range.end) + " UTC: Enter picks it";
    }
  }

  return { Timeline };
})();
