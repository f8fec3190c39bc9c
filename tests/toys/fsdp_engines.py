"""Builds verl's FSDP engine on a CPU as GRPO has it on two GPUs, with rows of the tiny policy to compute on.

Import it in a subprocess only: an engine patches transformers' classes in the whole process, and needs a process group.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tensordict import TensorDict
from tensordict.tensorclass import NonTensorData, NonTensorStack
from transformers import ProcessorMixin
from verl.utils import hf_processor, omega_conf_to_dataclass
from verl.utils import tensordict_utils as tu
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from vrft_aug.configs import compose
from vrft_aug.data.phantoms.drawing import draw
from vrft_aug.data.phantoms.findings import Finding
from vrft_aug.engine.cpu.fsdp import CpuFSDPEngine
from vrft_aug.tiny.lessons import MARK, START, TURN
from vrft_aug.tiny.tokenizer import VISION_TOKENS

QUESTION = "Categories are as follows:\n- Brinsol\n- Drexnur.\n"
ANSWER = "<think> two dark rings in the upper left, which fits Brinsol </think> \\boxed{Brinsol}<|im_end|>"
# (width and height in pixels, question, response) of each row; other shapes give other numbers of visual tokens
ROWS = [
    ((112, 112), QUESTION, ANSWER),
    ((112, 112), QUESTION, "\\boxed{Drexnur}<|im_end|>"),
    ((224, 56), QUESTION * 3, ANSWER),
    ((84, 168), "Is it Brinsol?\n", ANSWER + ANSWER),
    ((112, 112), QUESTION, ANSWER),
]
TOKENS = 256  # per micro-batch, so that there are several


def engine(policy: Path, *overrides: str) -> FSDPEngineWithLMHead:
    """The actor's engine of `grpo.py hardware=gpu_2x80g`, on the CPU and without torch.compile."""
    on_cpu = ["hardware=gpu_2x80g", "hardware.device=cpu", "hardware.compile=false", "policy=tiny"]
    roles = compose("grpo", [*on_cpu, f"policy.path={policy}", *overrides]).actor_rollout_ref
    model, actor = omega_conf_to_dataclass(roles.model), omega_conf_to_dataclass(roles.actor)
    model.model_type = "language_model"  # as verl's TrainingWorker sets it, and the next line
    actor.engine.use_remove_padding = model.use_remove_padding
    built = CpuFSDPEngine(model, actor.engine, actor.optim, actor.checkpoint)
    built.initialize()
    return built


def rows(policy: Path, which: Sequence[int] = range(len(ROWS))) -> TensorDict:
    """Some of ROWS as verl's workers get them: ids, positions (4 x tokens), images; and weights for the loss.

    The weight is 0 where no log-probability is meant: of an image's placeholder, and after the last token.
    """
    processor, ids, positions, images = hf_processor(str(policy)), [], [], []
    for size, question, response in (ROWS[number] for number in which):
        drawn = draw(np.random.default_rng(sum(size)), Finding(1, 1, 1, 1)).image
        image = Image.fromarray(drawn).convert("RGB").resize(size)
        row = processor(text=[START + MARK + question + TURN + response], images=[image], return_tensors="pt")
        grid, is_image = row["image_grid_thw"], row["input_ids"] == processor.image_token_id
        seen, _ = processor.get_rope_index(row["input_ids"], mm_token_type_ids=is_image.int(), image_grid_thw=grid)
        ids.append(row["input_ids"][0])
        positions.append(torch.cat([torch.arange(len(ids[-1]))[None], seen[:, 0]]))
        images.append(NonTensorData({"pixel_values": row["pixel_values"], "image_grid_thw": grid}))
    weights = [torch.linspace(0.5, 1.5, len(row)) * (-1) ** number for number, row in zip(which, ids, strict=True)]
    for weight, row in zip(weights, ids, strict=True):
        weight[torch.isin(row.roll(-1), vision_tokens(processor))] = weight[-1] = 0
    batch = {"input_ids": nested(ids), "weights": nested(weights),
             "loss_mask": nested([torch.ones_like(row) for row in ids]),
             "position_ids": nested([row.T for row in positions]).transpose(1, 2)}  # fmt: skip
    data = TensorDict(batch, batch_size=len(ids))
    data["multi_modal_inputs"] = NonTensorStack(*images)
    return data


def vision_tokens(processor: ProcessorMixin) -> torch.Tensor:
    return torch.tensor(processor.tokenizer.convert_tokens_to_ids(list(VISION_TOKENS)))


def nested(rows: list[torch.Tensor]) -> torch.Tensor:
    return torch.nested.as_nested_tensor(rows, layout=torch.jagged)


def weighted_sum(model_output: dict, data: TensorDict, dp_group: object) -> tuple[torch.Tensor, dict]:
    """verl's form of a loss function: minus the weighted sum of the log-probabilities."""
    return -(model_output["log_probs"].values().float() * data["weights"].values()).sum(), {}


def compute(
    engine: FSDPEngineWithLMHead, data: TensorDict, *, update: bool = False
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """verl's two passes over micro-batches: the log-probabilities that have a weight, and each gradient, in float32.

    update: also let the optimizer take its step.
    """
    data = data.clone()
    config = engine.model_config
    tu.assign_non_tensor(
        data, use_remove_padding=config.use_remove_padding, use_fused_kernels=config.use_fused_kernels, temperature=0.9,
        use_dynamic_bsz=True, max_token_len_per_gpu=TOKENS, return_model_output=True,
    )  # fmt: skip
    with engine.train_mode():
        output = engine.forward_backward_batch(data, weighted_sum)
        gradients = {name: whole(parameter.grad).float().clone() for name, parameter in engine.module.named_parameters()
                     if parameter.grad is not None}  # fmt: skip
        if update:
            engine.optimizer_step()
    log_probs = output["model_output"]["log_probs"]
    return log_probs.values().float()[data["weights"].values() != 0], gradients


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor of all ranks."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
