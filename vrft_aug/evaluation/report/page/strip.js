// The film strip: one validation image's answer at every validated step, of one run or of two side by side.
const NOTHING = "";

const nameOf = ({ row, id }) => `${row}/${id}`; // of an image: a row of another run may have another

/** Returns { node, runs(), update(key, steps) }; the strip is read when it is opened. source: see rollouts.js. */
function filmStrip(source) {
  const form = element("form", { class: "controls" }, choice("image", "Validation image"), choice("left", "Run"), choice("right", "Beside"));
  const { image, left, right } = form.elements;
  const place = element("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": "Film strip" });
  const node = element("details", { class: "strip" }, element("summary", {}, "Film strip: a validation image at every validated step"), form, place);
  const frames = new Map(); // "run/step/stamp" -> Map of the image's name -> group
  const known = new Map(); // run -> its validated steps
  let asked = 0;

  const stepsOf = async (run) => {
    if (!known.has(run)) known.set(run, (await source.index(run)).steps.filter((one) => one.split === "val"));
    return known.get(run);
  };
  async function frame(run, one) {
    const name = `${run}/${one.step}/${one.stamp}`;
    if (!frames.has(name)) {
      const groups = one.error ? [] : await source.groups(run, one.step, "val");
      frames.set(name, new Map(groups.map((group) => [nameOf(group), { ...group, answers: group.answers.slice(0, 1) }])));
    }
    return frames.get(name);
  }
  async function row(run, wanted) {
    const found = new Map();
    for (const one of await stepsOf(run)) {
      const group = (await frame(run, one)).get(wanted);
      if (group) found.set(one.step, group);
    }
    const name = source.runs.find((one) => one.key === run)?.name ?? run;
    return { name, run, found };
  }
  function cell(run, step, group) {
    if (!group) return element("td", {}, "–");
    const [answer] = group.answers;
    return element("td", { class: `answer ${answer.right ? "right" : "wrong"}` },
      group.boxes && group.image ? picture(group.image, group, [answer], `step ${step}, image`) : null, verdictOf(answer),
      said(`Text of step ${step}`, recited(answer.response, group.asked.knowledge)),
      element("a", { href: addressOf({ run, step, split: "val", row: group.row }) }, "open"));
  }
  async function draw() {
    if (!node.open || !left.value) return;
    const turn = ++asked, wanted = image.value;
    try {
      const rows = await Promise.all([left.value, right.value].filter(Boolean).map((run) => row(run, wanted)));
      if (turn !== asked) return;
      const steps = [...new Set(rows.flatMap((one) => [...one.found.keys()]))].sort((a, b) => a - b);
      const any = rows.flatMap((one) => [...one.found.values()])[0];
      if (!any) return place.replaceChildren(element("p", {}, "No validation has kept this image."));
      const head = element("tr", {}, element("th", { scope: "col" }, "Run"), ...steps.map((step) => element("th", { scope: "col" }, `step ${step}`)));
      const body = rows.map((one) => element("tr", {}, element("th", { scope: "row" }, one.name), ...steps.map((step) => cell(one.run, step, one.found.get(step)))));
      const caption = element("caption", {}, `${any.id}, ground truth ${any.truth}`);
      place.replaceChildren(...(any.boxes ? [] : [picture(any.image, any, [], "validation image")]),
        element("table", {}, caption, element("thead", {}, head), element("tbody", {}, ...body)));
    } catch (error) {
      place.replaceChildren(element("p", { class: "fault" }, error.message));
    }
  }
  /** Offer the images that the left run follows. */
  async function images() {
    const heads = left.value ? (await stepsOf(left.value)).flatMap((one) => one.groups) : [];
    const named = new Map(heads.sort((a, b) => a.row - b.row).map((head) => [nameOf(head), head.id]));
    setOptions(image, [...named]);
    await draw();
  }
  function runs() {
    const names = source.runs.map((one) => [one.key, one.name]);
    setOptions(left, names);
    setOptions(right, [[NOTHING, "no other run"], ...names]);
    right.closest("label").hidden = names.length < 2;
  }
  /** New steps of a run, which is the left one until a person chooses another. */
  async function update(run, steps) {
    known.set(run, steps.filter((one) => one.split === "val"));
    if (!left.dataset.chosen) left.value = run;
    if (!left.dataset.chosen && !right.value && !source.live) right.value = source.runs.find((one) => one.key !== run)?.key ?? NOTHING;
    node.hidden = !known.get(run).length && !left.dataset.chosen;
    if ([left.value, right.value].includes(run)) await images();
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", ({ target }) => {
    if (target === left) left.dataset.chosen = "true";
    (target === left ? images : draw)();
  });
  node.addEventListener("toggle", draw);
  return { node, runs, update };
}
