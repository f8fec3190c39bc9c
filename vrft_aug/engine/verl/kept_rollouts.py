"""Keeps some prompts of each step with all their answers: reads verl's queue, writes to the run's folder.

The trainer calls it between the advantages and the update. Only the chosen samples are read from the queue; texts are
decoded and written in verl's own thread for such files, while the policy is updated (benchmarks/rollouts.py).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transfer_queue as tq
from tensordict import TensorDict
from transfer_queue import KVBatchMeta

from vrft_aug.engine.run import rollouts_file
from vrft_aug.engine.run.rollouts_file import Answer, Group
from vrft_aug.engine.training.rollout_rule import RolloutRule
from vrft_aug.engine.verl import scored_samples
from vrft_aug.rewards import Objective

FIELDS = ["responses", "advantages", "old_log_probs", "rollout_log_probs", "ref_log_prob", "data_source",
          "reward_model", "extra_info"]  # fmt: skip

Results = Mapping[str, Mapping[str, Any]]  # a sample's key in the queue -> its result of `compute_score`


@dataclass
class RolloutKeeper:
    """Keeps some groups of each step of one training. followed: split -> `index` of the rows that are followed.

    names: the prompts of the current step that are followed; the trainer adds to it as it draws them. written: the
    groups of the file that was written last.
    """

    rule: RolloutRule
    run: Path
    objective: Objective
    tokenizer: Any
    followed: Mapping[str, set[int]]
    names: set[str] = field(default_factory=set)
    written: list[Group] = field(default_factory=list)

    @classmethod
    def of(cls, rule: RolloutRule, run: Path, objective: Objective, tokenizer: Any, datasets: Mapping[str, Any]
           ) -> "RolloutKeeper":  # fmt: skip
        """datasets: split -> verl's data set (datasets.py), of which the followed rows are read."""
        followed = {split: {info["index"] for info in rows.dataframe.select(rule.places(len(rows)))["extra_info"]}
                    for split, rows in datasets.items()}  # fmt: skip
        return cls(rule, run, objective, tokenizer, followed)

    def name(self, prompts: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        """Remember which of the prompts that are drawn now are followed. rows: their `extra_info`."""
        pairs = zip(prompts, rows, strict=True)
        self.names |= {prompt for prompt, row in pairs if row["index"] in self.followed["train"]}

    def choose(self, split: str, results: Results) -> KVBatchMeta:
        """The samples to keep of those with these results, group by group."""
        return self._trained(results) if split == "train" else self._validated(results)

    def _trained(self, results: Results) -> KVBatchMeta:
        groups = _by_prompt(results)
        here = self.names & groups.keys()
        scores = {prompt: [results[key]["score"] for key in keys] for prompt, keys in groups.items()}
        self.names.clear()
        return _of_prompts([*sorted(here), *self.rule.most_mixed(scores, without=here)], groups, "train")

    def _validated(self, results: Results) -> KVBatchMeta:
        """Those of the followed rows: verl gives the prompts of a validation random names."""
        fields = tq.kv_batch_get(keys=list(results), partition_id="val", select_fields=["extra_info"])
        rows = zip(results, fields["extra_info"], strict=True)
        kept = {key: results[key] for key, info in rows if info["index"] in self.followed["val"]}
        groups = _by_prompt(kept)
        return _of_prompts(list(groups), groups, "val")

    def fields(self, batch: KVBatchMeta) -> TensorDict:
        """What the queue has of these samples now. It forgets them at the end of the step."""
        return tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=FIELDS)

    def write(self, step: int, batch: KVBatchMeta, fields: TensorDict, results: Results) -> list[Group]:
        """Write the groups to the run's folder, with those of the validation's batches before this one; return them
        without those.

        A disk that is full does not end the training here.
        """
        before = [one for one in self.written if (one["step"], one["split"]) == (step, batch.partition_id)]
        groups = self.groups(step, batch, fields, results)
        self.written = before + groups
        with suppress(OSError):
            rollouts_file.write(self.run, self.written, self.rule.megabytes)
        return groups

    def groups(self, step: int, batch: KVBatchMeta, fields: TensorDict, results: Results) -> list[Group]:
        """The groups in the order of `batch`, whose samples lie together."""
        split, columns = batch.partition_id, {name: _samples(fields[name]) for name in sorted(fields.keys())}
        found: dict[str, Group] = {}
        for place, key in enumerate(batch.keys):
            prompt, row = scored_samples.prompts([key])[0], columns["extra_info"][place]
            group = found.setdefault(prompt, {
                "step": step, "split": split, "prompt": prompt, "followed": row["index"] in self.followed[split],
                "index": row["index"], "source_id": row["source_id"], "data_source": columns["data_source"][place],
                "task": row["task"], "truth": columns["reward_model"][place]["ground_truth"],
                "classes": list(row["classes"]), "text": row["prompt"], "knowledge": list(row["knowledge"]),
                "answers": [],
            })  # fmt: skip
            sample = {name: column[place] for name, column in columns.items()}
            group["answers"].append(self._answer(sample, results[key]))
        return list(found.values())

    def _answer(self, sample: Mapping[str, Any], result: Mapping[str, Any]) -> Answer:
        """sample: the fields of one sample. result: its result of `compute_score`."""
        log_probs = sample.get("old_log_probs", sample.get("rollout_log_probs"))
        terms = self.objective.terms[result["task"]]
        return {
            "response": self.tokenizer.decode(sample["responses"], skip_special_tokens=True),
            "prediction": result["prediction"], "rejected": result["rejected"], "acc": result["acc"],
            "score": result["score"], "tokens": len(sample["responses"]),
            "parts": [{"name": term.name, "value": result[term.name], "share": term.share(result[term.name])}
                      for term in terms],
            "advantage": float(sample["advantages"].mean()) if "advantages" in sample else None,
            "kl": k3(log_probs, sample["ref_log_prob"]) if "ref_log_prob" in sample else None,
        }  # fmt: skip


def _samples(column: Any) -> list:
    """One item per sample of a field of the queue: a tensor of its tokens, or what verl's row has."""
    return list(column.unbind() if isinstance(column, torch.Tensor) else column)


def k3(log_probs: torch.Tensor, reference: torch.Tensor) -> float:
    """KL divergence to the reference policy of one sample's tokens, (tokens,) each: verl's `low_var_kl`, unclipped."""
    apart = reference.float() - log_probs.float()
    return float((apart.exp() - apart - 1).mean())


def _by_prompt(keys: Results) -> dict[str, list[str]]:
    """prompt -> the keys of its samples."""
    groups = defaultdict(list)
    for key, prompt in zip(keys, scored_samples.prompts(list(keys)), strict=True):
        groups[prompt].append(key)
    return groups


def _of_prompts(prompts: Sequence[str], groups: Mapping[str, list[str]], split: str) -> KVBatchMeta:
    keys = [key for prompt in prompts for key in groups[prompt]]
    return KVBatchMeta(partition_id=split, keys=keys, tags=[{} for _ in keys])
