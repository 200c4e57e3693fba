"use strict";
// Makes what lies below the first screen, a part after another, so that a click or a
// key never waits for long. What is in view comes first, so what
// is scrolled or gone to does. An element whose part is not made yet is marked as
// busy, which the page says in words; until then it shows what it does without scripts.
const kmonWork = (() => {
  const sliceMs = 40; // input that waits for less is felt as immediate
  const parts = [], inView = new Set();
  let since = -sliceMs; // when the turn began
  const heading = (element) => element.querySelector(":scope > h2, :scope > h3");
  const watch = new IntersectionObserver((entries) => {
    for (const e of entries) e.isIntersecting ? inView.add(e.target) : inView.delete(e.target);
  });

  // turn waits until input and the screen had theirs. A timer would be slow, and once a
  // second in a tab that is not shown.
  function turn() {
    if (globalThis.scheduler && scheduler.yield) return scheduler.yield();
    return new Promise((done) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = done;
      port2.postMessage(null);
    });
  }

  // pause gives up its turn if it had it for sliceMs: at each, the screen costs as much
  // as a small part.
  async function pause() {
    if (performance.now() - since < sliceMs) return;
    await turn();
    since = performance.now();
  }

  // later makes a part of an element in its turn.
  function later(element, make) {
    parts.push({ element, make });
    element.setAttribute("aria-busy", "true");
    heading(element).classList.add("unmade");
    watch.observe(element);
  }

  // all makes every part; one that fails leaves the others.
  async function all() {
    while (parts.length) {
      await pause();
      const next = Math.max(parts.findIndex((p) => inView.has(p.element)), 0), [{ element, make }] = parts.splice(next, 1);
      try {
        await make();
      } catch (e) {
        reportError(e);
      }
      if (parts.some((p) => p.element === element)) continue;
      element.removeAttribute("aria-busy");
      heading(element).classList.remove("unmade");
      watch.unobserve(element);
    }
  }

  return { pause, later, all };
})();
