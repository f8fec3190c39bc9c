"""Teaches the eyes: linear probes read the visual tokens, and their losses train the vision tower.

The text alone would teach it too, but much later: what a word of a thought has to do with the image is not clear to a
language model that cannot read yet. The probes are thrown away.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vrft_aug.data.phantoms.drawing import SIDE
from vrft_aug.data.phantoms.findings import ATTRIBUTES, VALUES, Finding
from vrft_aug.data.phantoms.grades import GRADES, MEASURES, Graded
from vrft_aug.tiny.model import HIDDEN, IMAGE_TOKENS

Shown = Finding | Graded


class Eyes(nn.Module):
    """Probes for the four attributes of a finding, for the grade, and for the box.

    All but the last one read the mean of the tokens. So each token must say where its lesion is, and the text need not
    find that out from the token's position.
    """

    def __init__(self) -> None:
        super().__init__()
        self.attributes = nn.ModuleDict({name: nn.Linear(HIDDEN, len(values))
                                         for name, values in zip(ATTRIBUTES, VALUES, strict=True)})  # fmt: skip
        self.grade = nn.Linear(HIDDEN, len(MEASURES) * len(GRADES))
        self.box = nn.Linear(IMAGE_TOKENS * HIDDEN, 4)

    def forward(self, tokens: Tensor, shown: Sequence[Shown], boxes: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Sum of the probes' losses, and the accuracy of each.

        tokens (images, IMAGE_TOKENS, hidden); boxes (images, 4) in pixels, NaN where there is none.
        """
        tokens = functional.rms_norm(tokens.float(), tokens.shape[-1:])
        mean = tokens.mean(1)
        seen = ~boxes[:, 0].isnan()
        loss = functional.smooth_l1_loss(self.box(tokens.flatten(1)[seen]), boxes[seen] / SIDE, beta=0.1)
        accuracies = {}
        found = [at for at, one in enumerate(shown) if isinstance(one, Finding)]
        for name, probe in self.attributes.items():
            target = torch.tensor([getattr(shown[at], name) for at in found])
            part, accuracies[name] = _ask(probe, mean[found], target)
            loss = loss + part
        graded = {at: one for at, one in enumerate(shown) if isinstance(one, Graded)}
        if graded:
            target = torch.tensor([one.measure * len(GRADES) + one.grade for one in graded.values()])
            part, accuracies["grade"] = _ask(self.grade, mean[list(graded)], target)
            loss = loss + 0.5 * part
        return loss, accuracies


def _ask(probe: nn.Module, tokens: Tensor, target: Tensor) -> tuple[Tensor, float]:
    logits = probe(tokens)
    return functional.cross_entropy(logits, target), (logits.argmax(-1) == target).float().mean().item()
