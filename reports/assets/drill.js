"use strict";
// What the heads of services say of a picked range; their tables follow by themselves
// (window.js).
const kmonDrill = (() => {
  let picked = false;

  // follow shows a range, or null: the whole recording.
  function follow(windows, range) {
    const section = document.getElementById("drill");
    if (!section) return;
    section.removeAttribute("data-whole");
    if (!range && !picked) return;
    picked = Boolean(range);
    const byName = new Map(range ? windows.splits("services", range).map((s) => [s.row.names[0], s.inside]) : []);
    for (const summary of section.querySelectorAll("details.service > summary")) {
      const about = summary.querySelector("span");
      about.dataset.whole = about.dataset.whole || about.textContent;
      about.textContent = (range ? said(byName.get(summary.querySelector("strong").textContent)) : "") + about.dataset.whole;
    }
  }

  // said words what a service did in the range.
  function said(inside) {
    if (!inside) return "not kept by window; in the whole recording: ";
    const [requests, errors] = inside.sums, words = [kmonNumber.count(requests) + (requests === 1 ? " request" : " requests") + " in this time"];
    if (inside.count) words.push("p99 " + kmonNumber.duration(inside.quantile(0.99)));
    if (errors) words.push(kmonNumber.count(errors) + " unanswered or reset");
    return words.join(", ") + "; in the whole recording: ";
  }

  return { follow };
})();
