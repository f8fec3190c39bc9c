// Shows rollouts, one step and prompt at a time, with filters, keys and an address per sample.
//
// source: { live, runs: [{ key, name }], index(key, newest) -> { steps: [{ step, split, stamp, error, groups: heads }], note },
//           groups(key, step, split) -> groups }; the last two may be promises. newest: only so many files, the last ones.
//           Data comes from the report itself (embedded.js) or from the server beside a training (watch.js).
const KEPT = 12; // steps whose answers stay in memory
const FIRST = 4; // files that are enough to begin with: a long run's index takes a moment

/** Build the view inside `place`; returns { choose(sample), refresh(), update(), chosen(), follows() }. keys: what listens to keys. */
function showRollouts(place, source, keys = place, onRun = () => {}) {
  const form = controlsOf(source), { run, split, filter, truth, step, follow, copy } = form.elements;
  const status = element("p", { class: "reading", role: "status" }), notes = element("ul", { class: "notes" });
  const list = element("ol", { class: "prompts", "aria-label": "Prompts of the step" }), bench = element("div", { class: "bench" });
  const help = keyHelp(keys === place);
  const strip = filmStrip(source);
  place.append(form, help, status, notes, element("div", { class: "reader" }, list, bench), strip.node);
  const kept = new Map();
  let current = null, steps = [], entries = [], at = -1, answer = null, asked = 0; // current: the run that is shown

  const same = (entry, other) => entry.step === other.step && entry.split === other.split;
  const groupsOf = (one) => {
    const name = `${run.value}/${one.step}/${one.split}/${one.stamp}`;
    if (!kept.has(name)) {
      kept.set(name, Promise.resolve(source.groups(run.value, one.step, one.split)));
      kept.get(name).catch(() => kept.delete(name)); // so that it is asked again
    }
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return kept.get(name);
  };
  const sample = (entry, number = null) => ({ run: run.value, step: entry.step, split: entry.split, row: entry.head.row, ...(number === null ? {} : { answer: number + 1 }) });

  function find() {
    const fits = FILTERS[filter.value][1];
    entries = steps.flatMap((one) => one.groups.map((head, place) => ({ step: one.step, split: one.split, stamp: one.stamp, head, place })))
      .filter((one) => (split.value === "all" || one.split === split.value) && (truth.value === "all" || one.head.class === truth.value) && fits(one.head));
    const names = [...new Set(entries.map((one) => `${one.step}/${one.split}`))];
    setOptions(step, names.map((name) => [name, `${name.split("/")[0]}, ${SPLITS[name.split("/")[1]]}`]));
  }
  /** The list of the step's prompts, and where in it we are. */
  function tell() {
    const entry = entries[at], here = entry ? entries.filter((one) => same(one, entry)) : [];
    list.replaceChildren(...here.map((one) => promptLink(one, one === entry)));
    if (entry) step.value = `${entry.step}/${entry.split}`;
    status.textContent = entry
      ? `Step ${entry.step}, ${SPLITS[entry.split]}: prompt ${here.indexOf(entry) + 1} of ${here.length}. ${entries.length} groups in ${step.options.length} steps.`
      : steps.length ? "No group is like that." : "No rollouts yet.";
  }
  async function show(position, number = null) {
    at = position, answer = number;
    const entry = entries[at], turn = ++asked;
    tell();
    if (!entry) return bench.replaceChildren();
    let shown;
    try {
      const group = (await groupsOf(entry))[entry.place];
      const heading = element("h3", {}, `Step ${entry.step}, ${SPLITS[entry.split]}: ${entry.head.id}`);
      shown = groupView(group, heading, (i) => addressOf(sample(entry, i)), answer !== null && answer < group.answers.length ? answer : null);
    } catch (error) {
      shown = element("p", { class: "fault" }, error.message);
    }
    if (turn === asked) bench.replaceChildren(shown);
  }
  function promptLink(entry, isShown) {
    const { head } = entry;
    const facts = `${head.class ? `${head.class}, ` : ""}${head.right} of ${head.answers} right${head.rejected ? `, ${head.rejected} rejected` : ""}`;
    return element("li", { class: head.mixed ? "mixed" : "equal" }, element("a", { href: addressOf(sample(entry)), ...(isShown ? { "aria-current": "true" } : {}) },
      head.id, element("span", {}, facts)));
  }
  /** Go somewhere by hand: the address follows, and the newest step is no longer waited for. */
  function go(position, number = null) {
    if (position < 0 || position >= entries.length) return;
    if (follow) follow.checked = same(entries[position], entries.at(-1));
    history.replaceState(null, "", addressOf(sample(entries[position], number)));
    show(position, number);
  }
  function stepBy(direction) {
    const entry = entries[at];
    let there = at;
    while (entries[there] && same(entries[there], entry)) there += direction;
    if (!entries[there]) return;
    const others = entries.filter((one) => same(one, entries[there]));
    go(entries.indexOf(others.find((one) => one.head.row === entry.head.row) ?? others[0]));
  }
  const newest = () => entries.findIndex((one) => same(one, entries.at(-1)));
  const placeOf = (wanted) => entries.findIndex((one) => same(one, wanted) && one.head.row === wanted.row);

  async function refresh(newestOnly) {
    const key = run.value;
    if (!key) return show(-1);
    let found;
    try {
      found = await source.index(key, newestOnly);
    } catch (error) {
      return notes.replaceChildren(element("li", {}, error.message));
    }
    if (key !== run.value) return;
    const before = entries[at] && sample(entries[at]), stamp = entries[at]?.stamp;
    steps = found.steps;
    notes.replaceChildren(...[found.note, ...steps.map((one) => one.error)].filter(Boolean).map((line) => element("li", {}, line)));
    const classes = [...new Set(steps.flatMap((one) => one.groups.map((head) => head.class)))].filter(Boolean).sort();
    setOptions(truth, [["all", "all"], ...classes.map((name) => [name, name])]);
    find();
    strip.update(key, steps);
    const there = before ? placeOf(before) : -1;
    const stays = there >= 0 && (!follow?.checked || same(entries[there], entries.at(-1)));
    if (!stays) return show(newest());
    if (entries[there].stamp !== stamp) return show(there, answer);
    at = there;
    tell(); // the same group among others
  }
  /** Show a run, and a sample of it if one is named. */
  async function choose(wanted) {
    if (wanted.run && ![...run.options].some((one) => one.value === wanted.run)) return;
    if ((wanted.run ?? run.value) !== current) {
      current = run.value = wanted.run ?? run.value;
      steps = [], entries = [], at = -1;
      onRun(run.value);
      if (source.live) await refresh(FIRST);
      await refresh();
    }
    if (wanted.row === undefined) return;
    if (placeOf(wanted) < 0) {
      [split.value, filter.value, truth.value] = ["all", "all", "all"];
      find();
    }
    if (follow) follow.checked = false;
    if (placeOf(wanted) >= 0) await show(placeOf(wanted), wanted.answer === null ? null : wanted.answer - 1);
    else status.textContent = `Step ${wanted.step} has no rollouts of this prompt (any more).`;
    place.scrollIntoView?.({ block: "nearest" });
  }
  async function copyLink() {
    if (!entries[at]) return;
    history.replaceState(null, "", addressOf(sample(entries[at], answer)));
    try {
      await navigator.clipboard.writeText(location.href);
      status.textContent = "The link is copied.";
    } catch {
      status.textContent = "The browser refuses to copy: the link is in its address bar.";
    }
  }
  const moves = {
    j: () => go(at + 1), k: () => go(at - 1), l: () => stepBy(1), h: () => stepBy(-1), ArrowRight: () => stepBy(1), ArrowLeft: () => stepBy(-1),
    "/": () => filter.focus(), c: copyLink,
  };
  keys.addEventListener("keydown", (event) => {
    const busy = event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !form.elements.keys.checked;
    if (busy || event.target.closest?.("input:not([type=checkbox]), select, textarea, .scroll, svg")) return;
    const move = /^[1-9]$/.test(event.key) ? () => go(at, Number(event.key) - 1) : moves[event.key];
    if (!move || !(entries[at] || event.key === "/")) return;
    event.preventDefault();
    move();
  });
  form.addEventListener("change", ({ target }) => {
    if (target === run) return choose({ run: run.value });
    if (target === step) return go(entries.findIndex((one) => `${one.step}/${one.split}` === step.value));
    if (target === follow && follow.checked) return show(newest());
    if (![split, filter, truth].includes(target)) return;
    const before = entries[at] && sample(entries[at]);
    find();
    const there = before ? placeOf(before) : -1;
    show(there >= 0 ? there : newest());
  });
  copy.addEventListener("click", copyLink);
  addEventListener("hashchange", () => sampleOf(location.hash) && choose(sampleOf(location.hash)));
  const update = () => {
    setOptions(run, source.runs.map((one) => [one.key, one.name]));
    run.closest("label").hidden = source.runs.length < 2;
    strip.runs();
  };
  update();
  if (source.runs.length) choose(sampleOf(location.hash) ?? { run: run.value });
  return { choose, refresh, update, chosen: () => run.value, follows: () => Boolean(follow?.checked) };
}
