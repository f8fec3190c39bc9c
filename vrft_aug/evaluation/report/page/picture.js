// Draws an image with the boxes of the ground truth and of answers over it.
/** The boxes in one of an image's views. about: has the ground truth's. number: the view's, first in a box where there are several. */
function boxes(about, answers, view, number) {
  const rect = (box, style) => {
    const [x1, y1, x2, y2] = box.slice(-4);
    return drawing("rect", { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1), style });
  };
  const here = (found) => (found ?? []).filter((box) => box.length === 4 || box[0] === number);
  const found = answers.flatMap((answer, i) =>
    here(answer?.boxes).map((box) => rect(box, `stroke: var(--c${i ? 1 : 5}); stroke-dasharray: 5 3`)));
  const all = [...here(about.boxes).map((box) => rect(box, "stroke: #ffffff")), ...found];
  return drawing("svg", { viewBox: `0 0 ${view.width} ${view.height}`, "aria-hidden": "true" }, ...all);
}

/** An image, or all of a row's, with the boxes of ground truth and answers. about: its id, truth and boxes. */
function picture(image, about, answers, what) {
  if (!image?.uri) return element("figure", { class: "picture" }, element("p", {}, "image not found"));
  const frames = [image, ...(image.more ?? [])].map((view, at) => {
    const small = Math.max(view.width, view.height) <= 64, which = image.more ? ` (${at + 1} of ${image.more.length + 1})` : "";
    const img = element("img", { src: view.uri, alt: `${what} ${about.id}${which}, ground truth ${about.truth}`, class: small ? "pixels" : "smooth" });
    return element("div", { class: "frame" }, img, about.boxes ? boxes(about, answers, view, at + 1) : null);
  });
  return element("figure", { class: "picture" }, ...frames);
}
