// Draws the answers of one group side by side: what each was paid, and where it recites the prompt's knowledge.
const WORD = /\p{Script=Han}|(?:(?!\p{Script=Han})[\p{L}\p{N}])+/gu;

const wordsOf = (text) => [...text.matchAll(WORD)].map((match) => ({ word: match[0].toLowerCase(), start: match.index, end: match.index + match[0].length }));

/** All pairs of words that follow each other in an entry, and the entries of one word. */
function recitable(knowledge) {
  return new Set(knowledge.map(wordsOf).flatMap((words) =>
    words.length === 1 ? [words[0].word] : words.slice(1).map((next, i) => `${words[i].word} ${next.word}`)));
}

/** The text as nodes; words are marked that stand in the knowledge too, two or more in a row. */
function recited(text, knowledge) {
  const known = recitable(knowledge), words = wordsOf(text), nodes = [];
  const pair = (i) => words[i] && words[i + 1] && known.has(`${words[i].word} ${words[i + 1].word}`);
  let at = 0;
  for (let i = 0; i < words.length; i++) {
    if (!pair(i) && !known.has(words[i].word)) continue;
    const first = i;
    while (pair(i)) i++;
    nodes.push(text.slice(at, words[first].start), element("mark", {}, text.slice(words[first].start, words[i].end)));
    at = words[i].end;
  }
  return [...nodes, text.slice(at)];
}

/** A number to three decimals, with its sign. */
function signed(value) {
  const text = Math.abs(value).toFixed(3).replace(/\.?0+$/, "");
  return text === "0" ? text : `${value < 0 ? "−" : "+"}${text}`;
}

/** The lowest and the highest end of the bars of some answers, so that they can be compared. */
function reach(answers) {
  const sums = answers.flatMap((answer) => [Math.min, Math.max].map((side) =>
    answer.parts.reduce((sum, part) => sum + side(0, part.share ?? 0), 0)));
  return [Math.min(0, ...sums), Math.max(1, ...sums)];
}

/** The parts of a reward as one bar: what is paid goes right from zero, what is taken goes left. */
function rewardBar(parts, [low, high]) {
  const x = (value) => ((value - low) / (high - low)) * 200;
  const ends = { 1: 0, "-1": 0 };
  const pieces = parts.map((part, i) => {
    const side = (part.share ?? 0) < 0 ? -1 : 1, from = ends[side], to = from + (part.share ?? 0);
    ends[side] = to;
    return drawing("rect", { x: x(Math.min(from, to)), y: 1, width: Math.abs(x(to) - x(from)), height: 10, style: `fill: var(--c${i % 7})` });
  });
  const zero = drawing("line", { x1: x(0), x2: x(0), y1: 0, y2: 12 });
  return drawing("svg", { class: "bar", viewBox: "0 0 200 12", preserveAspectRatio: "none", "aria-hidden": "true" }, ...pieces, zero);
}

function partList(parts) {
  const item = (part, i) => {
    const swatch = drawing("svg", { viewBox: "0 0 8 8", "aria-hidden": "true" }, drawing("rect", { width: 8, height: 8, style: `fill: var(--c${i % 7})` }));
    return element("li", {}, swatch, `${part.name} ${part.share === null ? "not a number" : signed(part.share)}`);
  };
  return element("ul", { class: "parts" }, ...parts.map(item));
}

const factsOf = (answer) => [
  ...(answer.advantage === null ? [] : [`advantage ${signed(answer.advantage)}`]),
  `${answer.tokens} tokens`,
  ...(answer.kl === null ? [] : [`KL ${short(answer.kl)} nats per token`]),
].join(" · ");

/** A text that scrolls if it is long, so it takes the focus. */
const said = (label, nodes) => element("p", { class: "said", tabindex: 0, role: "group", "aria-label": label }, ...nodes);

/** One answer. link: its address. chosen: whether the address of the page names it. */
function answerCard(answer, number, knowledge, scale, link, chosen) {
  const heading = element("h4", {}, element("a", { href: link, ...(chosen ? { "aria-current": "true" } : {}) }, `Answer ${number + 1}`));
  const score = answer.score === null ? "not a number" : short(answer.score);
  return element(
    "li", { class: `answer ${answer.right ? "right" : "wrong"}${chosen ? " chosen" : ""}` }, heading, verdictOf(answer),
    element("p", { class: "score" }, `score ${score}`), rewardBar(answer.parts, scale), partList(answer.parts),
    element("p", { class: "rewards" }, factsOf(answer)),
    said(`Text of answer ${number + 1}`, recited(answer.response, knowledge)),
  );
}

/** A whole group. links: number of an answer -> its address. chosen: number of an answer or null. */
function groupView(group, heading, links, chosen) {
  const { text, knowledge } = group.asked, scale = reach(group.answers);
  const overlaid = chosen === null ? group.answers : [group.answers[chosen]];
  const truth = element("p", { class: "truth" }, element("span", {}, "ground truth"), element("strong", {}, group.truth), element("span", {}, group.id));
  const prompt = element("details", {}, element("summary", {}, "Prompt"), said("Text of the prompt", [text]));
  const cards = group.answers.map((answer, i) => answerCard(answer, i, knowledge, scale, links(i), i === chosen));
  return element("article", { class: "group" }, heading,
    element("div", { class: "shown" }, picture(group.image, group, overlaid, "image"), truth, prompt),
    element("ol", { class: "answers" }, ...cards));
}
