// Draws training curves in SVG: one panel per metric, one line per training, and the values at the pointer.
const WIDTH = 340, HEIGHT = 190, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 22;
const SMOOTH_FROM = 20, REACH = 2;
const DASHES = ["none", "6 3", "6 2 1 2", "1 2"];

const look = (position) => `stroke: var(--c${position % 7}); stroke-dasharray: ${DASHES[position % 4]}; stroke-linecap: butt`;

/** About `count` round numbers from low to high. */
function ticks(low, high, count) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= raw);
  const found = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) found.push(tick);
  return found;
}

function spanOf(values, margin) {
  const low = Math.min(...values), high = Math.max(...values);
  const room = (high - low || Math.abs(high) || 1) * margin;
  return [low - room, high + room];
}

const short = (value) =>
  value && Math.abs(value) < 0.001 ? value.toExponential(1).replace(".0e", "e") : String(Number(value.toPrecision(3)));

/** Centred mean over 5 values, fewer at the ends. */
const smooth = (values) => values.map((_, i) => {
  const near = values.slice(Math.max(0, i - REACH), i + REACH + 1);
  return near.reduce((sum, value) => sum + value, 0) / near.length;
});

function panel(one, colours) {
  const lines = one.lines.filter((line) => line.values.length);
  const [left, right] = spanOf(lines.flatMap((line) => line.steps), 0);
  const [low, high] = spanOf(lines.flatMap((line) => line.values), 0.06);
  const x = (step) => LEFT + ((step - left) / (right - left || 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const svg = drawing("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: 0, "aria-label": `${one.title}, ${one.unit}` });
  for (const tick of ticks(low, high, 5)) {
    svg.append(drawing("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }));
    svg.append(drawing("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, short(tick)));
  }
  for (const tick of ticks(left, right, 5).filter(Number.isInteger)) {
    svg.append(drawing("text", { x: x(tick), y: HEIGHT - 6, "text-anchor": "middle" }, String(tick)));
  }
  for (const bound of one.bounds.filter((value) => value !== null && value > low && value < high)) {
    svg.append(drawing("line", { class: "bound", x1: LEFT, x2: WIDTH - RIGHT, y1: y(bound), y2: y(bound) }));
  }
  for (const line of lines) {
    const path = (values, kind) => drawing("path", {
      class: kind, style: look(colours.get(line.name)),
      d: values.map((value, i) => `${i ? "L" : "M"}${x(line.steps[i]).toFixed(1)} ${y(value).toFixed(1)}`).join(""),
    });
    const many = line.values.length >= SMOOTH_FROM;
    svg.append(path(line.values, many ? "every" : "line"));
    if (many) svg.append(path(smooth(line.values), "line"));
    if (line.values.length === 1) svg.append(drawing("circle", { cx: x(line.steps[0]), cy: y(line.values[0]), r: 2.5, style: `fill: var(--c${colours.get(line.name) % 7})` }));
  }
  const cursor = svg.appendChild(drawing("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM }));
  const values = element("p", { class: "values", "aria-live": "polite" }, one.unit);
  const about = one.meaning ? element("p", { class: "meaning" }, `Outside its bound: ${one.meaning}`) : null;
  readable(svg, cursor, values, lines, x);
  return element("div", { class: "panel" }, element("h3", {}, one.title), about, svg, values);
}

/** Show every line's value at the step under the pointer or chosen with the arrow keys. */
function readable(svg, cursor, values, lines, x) {
  const unit = values.textContent;
  const steps = [...new Set(lines.flatMap((line) => line.steps))].sort((a, b) => a - b);
  let at = steps.length - 1;
  const show = () => {
    const found = lines.filter((line) => line.steps.includes(steps[at]));
    const texts = found.map((line) => `${line.name} ${short(line.values[line.steps.indexOf(steps[at])])}`);
    fill(cursor, { x1: x(steps[at]), x2: x(steps[at]), style: "visibility: visible" }, []);
    values.textContent = `step ${steps[at]}: ${texts.join(" · ")}`;
  };
  const hide = () => {
    cursor.removeAttribute("style");
    values.textContent = unit;
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * WIDTH;
    at = steps.reduce((best, step, i) => (Math.abs(x(step) - place) < Math.abs(x(steps[best]) - place) ? i : best), 0);
    show();
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    at = Math.min(steps.length - 1, Math.max(0, at + move));
    show();
  });
}

/** Let the reader choose data set and trainings; a training has the same colour in all panels of its data set. */
function showCurves(controls, place, groups) {
  const select = element("select", { "aria-label": "Data set of the curves" });
  setOptions(select, groups.map((group, i) => [String(i), group.dataset || "data set not recorded"]));
  const legend = element("div", { class: "controls" });
  if (groups.length > 1) controls.append(element("label", {}, "Data set ", select));
  controls.append(legend);
  const draw = (group, colours) => {
    const shown = new Set([...legend.querySelectorAll("input:checked")].map((box) => box.value));
    const panels = group.panels
      .map((one) => ({ ...one, lines: one.lines.filter((line) => shown.has(line.name)) }))
      .filter((one) => one.lines.some((line) => line.values.length));
    place.replaceChildren(element("div", { class: "panels" }, ...panels.map((one) => panel(one, colours))));
  };
  const choose = () => {
    const group = groups[select.value];
    const names = [...new Set(group.panels.flatMap((one) => one.lines.map((line) => line.name)))];
    const colours = new Map(names.map((name, i) => [name, i]));
    legend.replaceChildren(...names.map((name, i) => {
      const box = element("input", { type: "checkbox", value: name, checked: "" });
      box.addEventListener("change", () => draw(group, colours));
      const line = drawing("line", { x1: 0, x2: 24, y1: 5, y2: 5, "stroke-width": 3, style: look(i) });
      return element("label", {}, box, drawing("svg", { class: "swatch", viewBox: "0 0 24 10" }, line), name);
    }));
    draw(group, colours);
  };
  select.addEventListener("change", choose);
  choose();
}
