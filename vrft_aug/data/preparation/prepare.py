"""Prepares a data set for training: draws images, writes parquet rows, looks for leaks, and writes the manifest.

The source is read twice, in its own order: first for labels, groups and boxes (no image is opened), then for the drawn
images, each opened once. So memory holds a few hundred bytes per image, never all images. Only `leakage=drop` may write
the rows twice. An interrupted preparation goes on where it was when it starts again (journal.py).
"""

import json
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vrft_aug.data.datasets.sample import SPLITS, DataWarning
from vrft_aug.data.knowledge import reading
from vrft_aug.data.preparation.journal import key_of
from vrft_aug.data.preparation.leak_free import write_without_leaks
from vrft_aug.data.preparation.manifest import count_splits, describe
from vrft_aug.data.preparation.prompt_budget import PromptBudget
from vrft_aug.data.preparation.selection import check_indexes, read_index, select, warn_of_missing_classes
from vrft_aug.data.preparation.staging import staged
from vrft_aug.data.preparation.writing import Account, Pass, Track
from vrft_aug.data.pretext.asking import asked
from vrft_aug.data.rows.composer import Composer
from vrft_aug.data.rows.exports import write_script
from vrft_aug.data.rows.parquet_files import sha256
from vrft_aug.data.settings import Dataset, Policy, PreparationRule, Prompt


def prepare(
    config: DictConfig,
    find_policy: Callable[[], str] | None = None,
    track: Track = lambda items, text, total: items,
) -> dict:
    """Write the parquet files and manifest.json of `config` (conf/prepare.yaml) to the folder `config.out`.

    find_policy: gives the folder or hub id with the policy's tokenizer. It is called after the settings and the tables
    are checked, because it may have to build the policy. None: the lengths of the prompts are not checked. track: shows
    the progress.

    Returns the manifest. Raises InputError for bad input, and then leaves `out` as it was. With `config.check` it only
    looks at everything and writes nothing.
    """
    dataset, prompt, policy = Dataset.of(config.dataset), Prompt.of(config.prompt), Policy.of(config.policy)
    rule, load = PreparationRule.of(config), dataset.load(config.data_root)
    as_asked = asked(dataset, prompt)
    bank = reading.read_for(dataset) if prompt.knowledge else None
    knowledge = reading.texts(bank, dataset.classes, prompt.attributes) if bank else []
    composer = Composer(as_asked, prompt, policy, rule, knowledge)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", DataWarning)
        indexes = {split: read_index(load(split), dataset, prompt.needs(dataset)) for split in SPLITS}
        check_indexes(indexes, load)
        chosen = select(rule, dataset, prompt.needs(dataset), indexes)
        limit = policy.max_prompt_length
        budget = PromptBudget(find_policy(), policy, limit) if find_policy and limit is not None else None
        facts = describe(dataset, composer, indexes, chosen, bank)
        drawn = [*chosen.values(), *(index.ids for index in indexes.values())]
        more = {"export": rule.export, "shard_mb": rule.shard_mb, "leakage": rule.leakage, "policy": asdict(policy)}
        key = key_of(facts | more, drawn)
        with nullcontext() if rule.check else staged(Path(rule.out)) as stage:
            one = Pass(load, chosen, composer, budget, track, None)
            account, remaining, leaks = write_without_leaks(one, stage, key)
            warn_of_missing_classes(dataset, indexes, remaining)
            warn_of_conversions(account)
            if stage and rule.export:
                objective: Any = OmegaConf.to_container(config.objective, resolve=True)
                script = write_script(rule.export, stage / "rows", dataset, policy, objective)
                account.files[script.name] = describe_file(script)
            tokens = account.counted("tokens")
            manifest = facts | {
                "splits": count_splits(dataset, composer, indexes, remaining),
                "labels": {split: len(remaining[split]) * (not prompt.pretext) for split in ("train", "val")},
                "image_tokens": {"least": min(tokens), "most": max(tokens)},
                "treatments": {text: number for text, number in sorted(account.counted("treatment").items()) if text},
                "leakage": leaks,
                "prompt_tokens": budget.check() if budget else None,
                "warnings": list(dict.fromkeys(str(w.message) for w in heard if w.category is DataWarning)),
                "files": account.files,
            }
            if stage:
                text = json.dumps(manifest, indent=2) + "\n"
                (stage / "rows" / "manifest.json").write_text(text, encoding="utf-8")
    return manifest


def describe_file(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def warn_of_conversions(account: Account) -> None:
    notes = account.counted("note")
    for text in sorted(filter(None, notes)):
        number = notes[text]
        warnings.warn(f"{number} image{'s' * (number > 1)}: {text}", DataWarning, stacklevel=2)
