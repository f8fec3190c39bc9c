// The controls of rollouts: filters, keys, and the address of a sample.
const SPLITS = { train: "training", val: "validation" };
const FILTERS = {
  all: ["all", () => true],
  mixed: ["of mixed scores", (head) => head.mixed],
  wrong: ["with a wrong answer", (head) => head.right < head.answers],
  rejected: ["with the format lost", (head) => head.rejected > 0],
  followed: ["followed through the run", (head) => head.followed],
};

const choice = (name, label, options = []) => {
  const select = element("select", { name });
  setOptions(select, options);
  return element("label", {}, `${label} `, select);
};

const addressOf = (sample) => `#rollouts&${new URLSearchParams(sample)}`;

/** The sample that the address of the page names; null if it names none. */
function sampleOf(hash) {
  if (!hash.startsWith("#rollouts&")) return null;
  const { run, step, split, row, answer } = Object.fromEntries(new URLSearchParams(hash.slice("#rollouts&".length)));
  return { run, step: step && Number(step), split, row: row && Number(row), answer: answer ? Number(answer) : null };
}

function controlsOf(source) {
  const follow = source.live ? element("label", {}, element("input", { type: "checkbox", name: "follow", checked: "" }), "show the newest step") : null;
  const filters = Object.entries(FILTERS).map(([value, [text]]) => [value, text]);
  const form = element("form", { class: "controls" }, choice("run", "Run"), choice("split", "Prompts", [...Object.entries(SPLITS), ["all", "all"]]),
    choice("filter", "Groups", filters), choice("truth", "Class"), choice("step", "Step"), follow,
    element("label", {}, element("input", { type: "checkbox", name: "keys", checked: "" }), "keys"),
    element("button", { type: "button", name: "copy" }, "Copy link"));
  form.addEventListener("submit", (event) => event.preventDefault());
  return form;
}

/** Says which keys do what. inside: only while the focus is in this part of the page. */
function keyHelp(inside) {
  const keys = { "j k": "next and previous prompt", "l h → ←": "next and previous step", "1 … 9": "an answer", "/": "filters", c: "copy the link" };
  const lines = Object.entries(keys).flatMap(([names, meaning]) => [...names.split(" ").flatMap((name) => [element("kbd", {}, name), " "]), `${meaning}; `]);
  return element("p", { class: "reading" }, `Keys${inside ? ", while the focus is in this part" : ""}: `, ...lines,
    "marked words stand in the prompt's knowledge too, two or more in a row.");
}
