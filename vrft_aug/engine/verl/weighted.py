"""Multiplies the advantages of a step by the weights of their groups (training/group_weights.py)."""

import torch
import transfer_queue as tq
from tensordict import TensorDict
from transfer_queue import KVBatchMeta

from vrft_aug.engine.training.group_weights import GroupWeights, measures

OF_ROWS = ["data_source", "reward_model", "extra_info"]
FIELDS = ["uid", "advantages", "extra_fields", *OF_ROWS]


def weigh_advantages(batch: KVBatchMeta, weights: GroupWeights, metrics: dict) -> KVBatchMeta:
    """Write the weighted advantages back to the queue, and `group_weight/*` to the metrics of the step.

    The samples by which verl fills an incomplete batch have no advantage, and belong to no group.
    """
    fields = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=FIELDS)
    column = {key: list(fields[key]) for key in FIELDS if key != "advantages"}
    groups: dict[str, list[int]] = {}
    for place, tag in enumerate(batch.tags):
        if not tag.get("is_padding", False):
            groups.setdefault(column["uid"][place], []).append(place)
    rows = [{key: column[key][first] for key in OF_ROWS} for first, *_ in groups.values()]
    answers = [[column["extra_fields"][place]["reward_extra_info"]["prediction"] for place in places]
               for places in groups.values()]  # fmt: skip
    found = weights.of_groups(rows, answers)
    metrics.update(measures(found))
    factors = torch.ones(len(batch))
    for weight, places in zip(found, groups.values(), strict=True):
        factors[places] = weight
    weighted = TensorDict({"advantages": times(fields["advantages"], factors)}, batch_size=len(batch))
    return tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=weighted)


def times(advantages: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """The advantages of each sample times its factor. advantages: nested (samples, its tokens); factors: (samples,)."""
    rows = [tokens * factor for tokens, factor in zip(advantages.unbind(), factors, strict=True)]
    return torch.nested.as_nested_tensor(rows, layout=torch.jagged)
