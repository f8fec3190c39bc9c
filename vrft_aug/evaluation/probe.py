"""Asks a policy, as it is, each of some training prompts several times, and says whether reinforcement will help it.

It writes into the run's folder:
    predictions.parquet  every answer: see vrft_aug.evaluation.metrics.measure; column score has the objective's scores
    difficulty.parquet   one row per prompt: see vrft_aug.evaluation.metrics.headroom.by_prompt
    probe.json           what vrft_aug.evaluation.metrics.headroom.headroom returns
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from vrft_aug.data.preparation.strata import draw, even_out, per_class
from vrft_aug.data.seeding import generator
from vrft_aug.data.setting_checks import check_number
from vrft_aug.data.settings import Policy
from vrft_aug.engine.run import facts, preflight, profile_checks
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.engine.training.policy import resolve
from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers.predict import predict, read_rows
from vrft_aug.evaluation.checks import check_sampling
from vrft_aug.evaluation.earlier import stands, weights_of
from vrft_aug.evaluation.report.text_table import interval
from vrft_aug.files import replacing, write_whole
from vrft_aug.rewards import compose

OWN = ("out", "split", "images", "group", "sampling")  # keys of conf/probe.yaml that prepare.py does not have
FILES = ("predictions.parquet", "difficulty.parquet", "probe.json")
MOST_SAMPLES = 64  # beyond it, pass@k says what luck can do, not what a training with groups of 8 finds


def check_probe(config: DictConfig) -> None:
    """Raise InputError for a setting that is not allowed. The rows need not exist yet."""
    check_sampling(config.sampling)
    check_number("group", config.group, 2)
    check_number("images", config.images, 1, optional=True)
    if not config.group <= config.sampling.n <= MOST_SAMPLES:
        raise InputError(f"sampling.n={config.sampling.n}: must be from group={config.group} to {MOST_SAMPLES}")


def to_prepare(config: DictConfig, overrides: Sequence[str]) -> list[str] | None:
    """The overrides for prepare.py, or None if the rows exist or the command line names their folder."""
    keys = [item.lstrip("+~").partition("=")[0].partition(".")[0] for item in overrides]
    if "parquet" in keys or (Path(config.parquet) / "manifest.json").is_file():
        return None
    return [item for item, key in zip(overrides, keys, strict=True) if key not in OWN]


def probe(config: DictConfig, run: Run) -> None:
    """Ask, measure, write and print. config: it has passed `check_probe` and `check_answers`.

    A finished probe with the same settings, rows and weights stands. Raises InputError, before the policy is loaded, if
    rows or policy cannot work, and for a folder that holds another probe.
    """
    folder = Path(config.parquet)
    now = {"sha256": facts.checksums(folder, config.split), "weights": weights_of(config.policy.path)}
    if stands(config, run, now, FILES):
        run.stand("probed before with the same settings, rows and policy: nothing to do")
        show(json.loads((run.folder / "probe.json").read_text()), run)
        return
    rows = drawn(read_rows(folder, config.split), config.images, config.seed)
    preflight.prepare_environment(config.hardware)
    profile_checks.check_machine(config.hardware)
    policy = Policy.of(config.policy)
    path = resolve(policy, run.folder / "policy")
    preflight.check_memory(path, config.hardware, "evaluate")
    for name in FILES:
        (run.folder / name).unlink(missing_ok=True)
    about = {"policy": path, "split": config.split, "sampling": OmegaConf.to_container(config.sampling)}
    run.record(**facts.of_config(config, folder), **about, **now)
    run.say(f"{len(rows)} prompts of {config.split}, {config.sampling.n} answers each, by {path}; log: {run.log}")
    write(answered(config, path, policy, rows, run), config, run)


def drawn(rows: pd.DataFrame, images: int | None, seed: int) -> pd.DataFrame:
    """`images` rows, of each class as many as of any other where there are enough; None: all. In the rows' order.

    Images without a label are a class of their own. A smaller draw is part of a larger one.
    """
    if images is None:
        return rows
    labels = rows["extra_info"].map(lambda info: info["label"]).to_numpy() + 1
    wanted = even_out(per_class(labels, labels.max() + 1), images)
    return rows.iloc[draw(labels, wanted, generator(seed, "probe"))].reset_index(drop=True)


def answered(config: DictConfig, path: str, policy: Policy, rows: pd.DataFrame, run: Run) -> pd.DataFrame:
    """Every answer of the policy, scored by the config's objective."""
    from vrft_aug.evaluation.answers import shards

    most = int(rows["images"].map(len).max())
    with shards.generator(path, policy, config.hardware, config.sampling, config.seed, images=most) as answering:
        return predict(rows, compose(config.objective), partial(answering.answer, say=run.say))


def write(predictions: pd.DataFrame, config: DictConfig, run: Run) -> None:
    """Measure, write the three files and print what they say."""
    from vrft_aug.evaluation.metrics.headroom import by_prompt, headroom

    main = compose(config.objective).main(predictions["task"].iloc[0])
    table = by_prompt(predictions, config.group, main)
    found = headroom(table, config.group, config.seed)
    for name, content in (("predictions.parquet", predictions), ("difficulty.parquet", table)):
        with replacing(run.folder / name) as part:
            content.to_parquet(part, index=False)
    write_whole(run.folder / "probe.json", json.dumps(found, indent=2) + "\n")
    show(found, run)


def show(found: dict[str, Any], run: Run) -> None:
    """Print pass@k, the groups and the classes, and the verdict last. found: the content of probe.json."""
    run.say("in per cent, with 95 % intervals:")
    for k, quantity in found["pass_at"].items():
        run.say(f"pass@{k:<3} {interval(quantity, 100)}")
    groups = {"mixed": "of mixed scores", "all_right": "all right", "all_wrong": "all wrong"}
    for key, text in groups.items():
        run.say(f"groups of {found['group']} {text}: {interval(found[key], 100)}")
    for name, one in found["per_class"].items():
        best = f"pass@{found['group']} {interval(one['pass_at'][str(found['group'])], 100)}"
        run.say(f"{name} ({one['images']} images): pass@1 {interval(one['pass_at']['1'], 100)}, {best}, "
                f"mixed groups {interval(one['mixed'], 100)}")  # fmt: skip
    run.say(f"written to {run.folder}: {', '.join(FILES)}")
    run.say(found["verdict"]["text"])
