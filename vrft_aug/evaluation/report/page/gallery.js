// Shows test images with the answers of one run, or of two runs side by side.
const NO_RUN = "";

function verdictFits(verdict, answer, other) {
  if (verdict === "all") return true;
  if (!answer) return false;
  if (verdict === "right" || verdict === "wrong") return answer.right === (verdict === "right");
  if (!other) return false;
  if (verdict === "apart") return answer.answer !== other.answer;
  return answer.right !== other.right && answer.right === (verdict === "better");
}

/** The images by the probability of the run's answer; images without one come last. */
function ordered(images, run, order) {
  if (order === "drawn") return images;
  const sign = order === "sure" ? -1 : 1;
  const sure = (image) => image.answers[run]?.sure ?? null;
  return [...images].sort((a, b) => (sure(a) === null) - (sure(b) === null) || sign * (sure(a) - sure(b)));
}

const rewardText = (answer) => [
  ...(answer.sure === null ? [] : [`probability ${answer.sure}`]),
  ...answer.rewards.map(([name, value]) => `${name} ${value}`),
  ...(answer.tokens === null ? [] : [`${answer.tokens} tokens`]),
].join(" · ");

const answerText = (answer) => (answer.rejected ? `${answer.answer || "no answer"} (${answer.rejected})` : answer.answer);

function verdictOf(answer) {
  return element("p", { class: "verdict" }, element("span", {}, answer.right ? "✓ right" : "✗ wrong"), `: ${answerText(answer)}`);
}

function thoughtVerdict(answer) {
  if (answer.thought_right === null) return null;
  const text = answer.thought_right ? "✓ thought names the findings" : "✗ thought does not name the findings";
  return element("p", { class: `named ${answer.thought_right ? "right" : "wrong"}` }, text);
}

function response(answer) {
  return element("details", {}, element("summary", {}, "Whole response"), element("pre", {}, answer.response));
}

function sampleList(samples) {
  if (!samples.length) return null;
  const summary = element("summary", {}, `Chosen by vote; ${samples.length} other samples`);
  return element("details", { class: "samples" }, summary, ...samples.map((one) => answerBlock(one, null)));
}

function answerBlock(answer, heading) {
  const title = heading === null ? null : element("h4", {}, heading);
  if (!answer) return element("section", { class: "answer" }, title, element("p", {}, "This run did not answer this image."));
  return element(
    "section", { class: `answer ${answer.right ? "right" : "wrong"}` }, title, verdictOf(answer), thoughtVerdict(answer),
    answer.thought ? element("p", { class: "thought", tabindex: 0 }, answer.thought) : element("p", { class: "rewards" }, "No reasoning."),
    element("p", { class: "rewards" }, rewardText(answer)), response(answer), sampleList(answer.samples ?? []),
  );
}

function card(image, runs) {
  const answers = runs.map((run) => image.answers[run]);
  const truth = element("p", { class: "truth" }, element("span", {}, "ground truth"), element("strong", {}, image.truth),
    image.question ? element("span", { class: "question" }, image.question) : null,
    image.findings ? element("span", { class: "findings" }, image.findings) : null, element("span", {}, image.id));
  const blocks = runs.map((run, i) => answerBlock(answers[i], runs.length > 1 ? run : null));
  return element("article", { class: "card" }, element("div", {}, picture(image, image, answers, "test image"), truth), element("div", { class: "answers" }, ...blocks));
}

function showGallery(form, gallery) {
  const { set, run, other, truth, verdict, order } = form.elements;
  const cards = document.getElementById("cards");
  setOptions(set, gallery.map((one, i) => [String(i), one.title]));
  const render = () => {
    const one = gallery[set.value];
    const runs = other.value === NO_RUN ? [run.value] : [run.value, other.value];
    const found = one.images.filter((image) =>
      (truth.value === "all" || image.truth === truth.value) &&
      verdictFits(verdict.value, image.answers[run.value], image.answers[other.value]));
    for (const option of verdict.options) option.disabled = other.value === NO_RUN && !["all", "right", "wrong"].includes(option.value);
    cards.className = runs.length > 1 ? "beside" : "";
    cards.replaceChildren(...ordered(found, run.value, order.value).map((image) => card(image, runs)));
    const boxed = one.images.some((image) => image.boxes) ? " White box: ground truth. Dashed box: answer." : "";
    document.getElementById("count").textContent =
      `${found.length} of ${one.images.length} images. This page has ${one.images.length} of the data set's ${one.total} images, ` +
      `drawn class by class, whatever the answers are.${boxed} ${one.notes.join(". ")}`;
  };
  const choose = () => {
    const one = gallery[set.value];
    const names = one.runs.map((name) => [name, name]);
    setOptions(run, names);
    setOptions(other, [[NO_RUN, "no other run"], ...names]);
    [run.value, other.value] = [one.runs[0], one.runs.length > 1 ? one.runs.at(-1) : NO_RUN]; // before and after
    const known = one.images.some((image) => Object.values(image.answers).some((answer) => answer.sure !== null));
    order.closest("label").hidden = !known;
    if (!known) order.value = "drawn";
    setOptions(truth, [["all", "all"], ...one.classes.map((name) => [name, name])]);
    render();
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => {
    if (event.target === other && other.value === NO_RUN && !["all", "right", "wrong"].includes(verdict.value)) verdict.value = "all";
    (event.target === set ? choose : render)();
  });
  choose();
}
