// Rollouts that a report contains, as rollouts.js takes them.
function embedded(data) {
  const runOf = (key) => data.runs.find((run) => run.key === key);
  return {
    live: false,
    runs: data.runs,
    index: (key) => runOf(key),
    groups: (key, step, split) => {
      const { asked, groups } = runOf(key);
      return groups[`${step}/${split}`].map((group) => ({ ...group, asked: asked[group.asked], image: data.images[group.image] ?? null }));
    },
  };
}
