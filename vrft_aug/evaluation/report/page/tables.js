// Sorts a table by a column when its heading is clicked; the first line of each cell counts. Says which tables scroll.
const ABSENT = new Set(["", "–", "no run", "baseline"]);

/** The number in a cell, as in "75.0 (71.1–78.6)", "< 0.001 (+40 −0)" or "nodule: 35.4", or else its text. */
function sortKey(row, column) {
  const text = (row.cells[column].querySelector(".value")?.textContent ?? "").trim();
  if (ABSENT.has(text)) return null;
  const number = text.match(/: ([\d.]+)$/) ?? text.match(/^[<(]?\s*([-+−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)/);
  return number ? Number(number[1].replace("−", "-")) : text.toLowerCase();
}

function sortTable(table, column, heading) {
  const body = table.tBodies[0];
  const rows = [];
  for (const row of body.rows) { // a Δ row stays below its method
    if (rows.length && row.cells[0].textContent.startsWith("Δ")) rows.at(-1)[1].push(row);
    else rows.push([sortKey(row, column), [row]]);
  }
  const numeric = rows.every(([key]) => key === null || typeof key === "number");
  const before = heading.getAttribute("aria-sort");
  const direction = before === null ? (numeric ? "descending" : "ascending") : before === "ascending" ? "descending" : "ascending";
  const sign = direction === "ascending" ? 1 : -1;
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null); // cells without a value stay last
    return sign * (numeric ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  body.append(...rows.flatMap(([, together]) => together));
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => sortTable(table, column, heading));
  });
}

/** Mark the boxes that are narrower than their tables: the style sheet writes a hint into them. */
function markCut() {
  for (const box of document.querySelectorAll(".scroll")) box.classList.toggle("cut", box.scrollWidth > box.clientWidth + 1);
}
addEventListener("resize", markCut);
for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", markCut);
markCut();
