"""Pre-trains the tiny policy's vision tower on phantoms: three linear heads read its visual tokens.

A language model with random weights cannot teach a random vision tower: reinforcement learning would then ignore the
image. Two heads predict the lesion's class and the number of nodules from the mean token; the third predicts the box
from all tokens. Only the vision tower is kept.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import Qwen2VLImageProcessor

from vrft_aug.data.datasets import phantom

STEPS = 300
BATCH = 32  # images per task
LEARNING_RATE = 2e-3
STREAM = 7919  # gives other phantoms than those of the data sets, whose seeds are small


def pretrain(
    visual: nn.Module, image_processor: Qwen2VLImageProcessor, seed: int, report: Callable[[str], None]
) -> dict[str, float]:
    """Train `visual` in place. Returns each task's mean accuracy over the last tenth of the steps, on new images."""
    torch.manual_seed(seed)
    tokens, width = image_processor.size["shortest_edge"] // 28**2, visual.config.out_hidden_size
    heads = nn.ModuleDict({"classification": nn.Linear(width, 4), "grading": nn.Linear(width, 4),
                           "box": nn.Linear(tokens * width, 4)})  # fmt: skip
    parameters = [*visual.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=STEPS, pct_start=0.1)
    history = []
    for step in range(STEPS):
        loss, accuracies = probe_loss(visual, heads, *phantom_batch(seed, step, image_processor))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        history.append(accuracies)
        if (step + 1) % 50 == 0:
            means = np.mean(history[-50:], axis=0)
            report(f"vision tower: step {step + 1}/{STEPS}, loss {loss.item():.2f}, probe accuracy: "
                   f"class {means[0]:.2f}, number {means[1]:.2f}")  # fmt: skip
    return dict(zip(phantom.CLASSES, np.mean(history[-STEPS // 10 :], axis=0).tolist(), strict=True))


def phantom_batch(
    seed: int, step: int, image_processor: Qwen2VLImageProcessor
) -> tuple[dict, torch.Tensor, torch.Tensor]:
    """BATCH phantoms per task: the processor's output, labels (2 * BATCH), boxes (2 * BATCH, 4) in [0, 1] or NaN."""
    images, labels, boxes = [], [], []
    for number, task in enumerate(phantom.CLASSES):
        for index in range(BATCH):
            rng = np.random.default_rng((STREAM, seed, number, step, index))
            label = int(rng.integers(4))
            image, box = phantom.draw(rng, task, label, size=56)
            images.append(image)
            labels.append(label)
            boxes.append([np.nan] * 4 if box is None else [side / 56 for side in box])
    return image_processor(images, return_tensors="pt"), torch.tensor(labels), torch.tensor(boxes)


def probe_loss(
    visual: nn.Module, heads: nn.ModuleDict, batch: dict, labels: torch.Tensor, boxes: torch.Tensor
) -> tuple[torch.Tensor, list[float]]:
    """Sum of the three heads' losses, and two accuracies. Tokens are normalised as in the language model."""
    tokens = visual(batch["pixel_values"], grid_thw=batch["image_grid_thw"]).pooler_output
    tokens = functional.rms_norm(tokens, tokens.shape[-1:]).view(len(labels), -1, tokens.shape[-1])
    loss, accuracies = 0.0, []
    for task, mean, target in zip(phantom.CLASSES, tokens.mean(1).chunk(2), labels.chunk(2), strict=True):
        logits = heads[task](mean)
        loss = loss + functional.cross_entropy(logits, target)
        accuracies.append((logits.argmax(-1) == target).float().mean().item())
    seen = ~boxes[:, 0].isnan()
    return loss + functional.smooth_l1_loss(heads["box"](tokens.flatten(1))[seen], boxes[seen], beta=0.1), accuracies
