"use strict";
// Buttons that copy numbers, as text with tabs, for a spreadsheet or a ticket.
const kmonCopy = (() => {
  // put puts text on the clipboard: where the page may not use it, by a selection.
  async function put(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      area.setAttribute("aria-hidden", "true");
      area.className = "aside";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  const cell = (text) => String(text).replace(/[\t\r\n]+/g, " ").trim();
  const lines = (rows) => rows.map((row) => row.map(cell).join("\t")).join("\n") + "\n";

  // ofTables gives the rows that are shown of the tables in an element, folded ones
  // too; tables that go on share a head.
  function ofTables(panel) {
    const scope = panel.querySelector(":scope > .windowed") || panel;
    const tables = [...scope.querySelectorAll("table")], text = (row) => [...row.cells].map((c) => c.title && c.tagName !== "TH" ? c.title : c.textContent);
    if (!tables.length) return "";
    return lines([text(tables[0].tHead.rows[0]), ...tables.flatMap((t) => [...t.tBodies].flatMap((b) => [...b.rows])).filter((row) => !row.hidden).map(text)]);
  }

  // button makes a button that copies what text() gives.
  function button(label, text) {
    const b = document.createElement("button"), name = label.textContent || label;
    b.type = "button";
    b.className = "copy";
    b.textContent = "Copy numbers";
    b.setAttribute("aria-label", "Copy numbers: " + name);
    b.addEventListener("click", async () => {
      b.textContent = (await put(text())) ? "Copied" : "Could not copy";
      setTimeout(() => (b.textContent = "Copy numbers"), 1500);
    });
    return b;
  }

  return { put, button, ofTables, lines };
})();
