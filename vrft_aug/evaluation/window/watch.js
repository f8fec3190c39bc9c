// Follows the runs: asks the server what has changed, and fetches only that. Every address is relative, below the token.
const EVERY = 2000; // milliseconds

async function get(path) {
  const response = await fetch(path, { cache: "no-store" });
  const found = await response.json().catch(() => ({ error: `the server has no ${path} (any more)` }));
  if (!response.ok) throw new Error(found.error ?? `the server answers ${response.status}`);
  return found;
}

const source = {
  live: true,
  runs: [],
  index: (key, newest) => get(`runs/${key}/index${newest ? `?newest=${newest}` : ""}`),
  groups: async (key, step, split) => {
    const { asked, groups } = await get(`runs/${key}/groups/${step}/${split}`);
    return groups.map((group) => ({ ...group, asked: asked[group.asked] }));
  },
};

function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 100) return `${Math.round(seconds)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };

/** The table of runs. Rows and cells stay where they are, so that the focus does too. */
function showRuns(body, runs, chosen) {
  const rows = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  runs.forEach((run, place) => {
    const row = rows.get(run.key) ?? emptyRow(run);
    rows.delete(run.key);
    if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null);
    if (run.key === chosen) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
    const steps = run.step === null ? "–" : `${run.step}${run.steps ? ` of ${run.steps}` : ""}`;
    [run.recipe, run.dataset, null, steps, duration(run.left), run.state === "running" || run.state === "silent" ? `${duration(run.quiet)} ago` : "–"].forEach((text, i) => text !== null && setText(row.cells[i + 1], text));
    const [state, why] = row.cells[3].children;
    setText(state, run.state);
    state.className = `state-${run.state.split(" ").at(-1)}`;
    setText(why, run.why);
  });
  for (const row of rows.values()) row.remove();
}

function emptyRow(run) {
  const name = run.training ? element("a", { href: `#rollouts&${new URLSearchParams({ run: run.key })}` }, run.name) : run.name;
  const state = element("td", {}, element("span"), element("span", { class: "why" }));
  const row = element("tr", {}, element("th", { scope: "row" }, name), element("td"), element("td"), state, element("td"), element("td"), element("td"));
  row.dataset.key = run.key;
  return row;
}

const byId = (id) => document.getElementById(id);
const seen = { metrics: null, rollouts: null }; // stamps of what is shown
let known = []; // the runs, as the server said last
const view = showRollouts(byId("rollouts"), source, document, (key) => showRuns(byId("states").tBodies[0], known, key));

async function showCurvesOf(run) {
  const place = byId("curves");
  if (seen.metrics === `${run.key} ${run.metrics}` || place.contains(document.activeElement)) return; // a reader of values is not disturbed
  seen.metrics = `${run.key} ${run.metrics}`;
  const { panels, warnings, step } = await get(`runs/${run.key}/curves`);
  const colours = new Map(panels.flatMap((one) => one.lines.map((line) => [line.name, 0])));
  place.replaceChildren(...panels.filter((one) => one.lines.some((line) => line.values.length)).map((one) => panel(one, colours)));
  byId("warnings").replaceChildren(...warnings.map((line) => element("li", { class: "fault" }, `Step ${step}: ${line}`)));
}

let last = {}, ended = null; // key -> state, as the server said before; the run that ended while it was shown

/** The training that runs when the one that was shown has ended: in a table the page moves on. Undefined: stay. */
function nextOf(run, trainings) {
  if (last[run.key] === "running" && run.state !== "running") ended = run.key;
  else if (run.key !== ended) ended = null;
  last = Object.fromEntries(trainings.map(({ key, state }) => [key, state]));
  const next = run.key === ended && view.follows() ? trainings.filter((one) => one.state === "running").at(-1) : undefined;
  if (next) ended = null; // who goes back by hand stays there
  return next;
}

/** The training to show first: the last one that runs, else the last one. */
const first = (trainings) => (trainings.filter((run) => run.state === "running").at(-1) ?? trainings.at(-1))?.key;

async function follow() {
  const state = await get("state"), trainings = state.runs.filter((run) => run.training);
  known = state.runs;
  setText(byId("folder"), state.folder);
  setText(byId("waiting"), state.runs.length ? "" : `Waiting for a training: ${state.exists ? "this folder has no run yet." : "this folder does not exist yet."}`);
  if (JSON.stringify(source.runs) !== JSON.stringify(trainings.map(({ key, name }) => ({ key, name })))) {
    const before = source.runs.length;
    source.runs = trainings.map(({ key, name }) => ({ key, name }));
    view.update();
    if (!before && trainings.length) {
      const wanted = sampleOf(location.hash);
      await view.choose(trainings.some((run) => run.key === wanted?.run) ? wanted : { run: first(trainings) });
    }
  }
  let run = trainings.find((one) => one.key === view.chosen());
  const next = run && nextOf(run, trainings);
  if (next) await view.choose({ run: (run = next).key });
  showRuns(byId("states").tBodies[0], state.runs, run?.key);
  if (!run) return;
  if (seen.rollouts !== `${run.key} ${run.rollouts}`) {
    seen.rollouts = `${run.key} ${run.rollouts}`;
    await view.refresh();
  }
  await showCurvesOf(run);
}

async function poll() {
  try {
    if (!document.hidden) await follow();
    setText(byId("fault"), "");
  } catch (error) {
    setText(byId("fault"), error instanceof TypeError ? "The server does not answer: start `make watch` again, and open the address that it prints." : error.message);
  }
  setTimeout(poll, EVERY);
}
poll();
