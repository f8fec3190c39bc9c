"""The training of the tiny policy: two real steps of each part, not compiled, which would take minutes."""

import pytest
import torch

from vrft_aug.tiny.model import CONSTANT, make_model
from vrft_aug.tiny.training import Course, Trainer

SHORT = dict(reading=2, seeing=2, rows=4, images=8)
HEAD = "lm_head.weight"  # the same matrix as the embedding until the training has ended


def trained(tokenizer, seed: int = 0) -> tuple[dict[str, torch.Tensor], Trainer]:
    """The weights after two reading and two seeing steps."""
    model = make_model(tokenizer, 0)
    with torch.compiler.set_stance("force_eager"):
        trainer = Trainer(model, tokenizer, Course(**SHORT, seed=seed), print)
        trainer.run()
    return model.state_dict(), trainer


@pytest.fixture(scope="module")
def short(processor):
    return trained(processor.tokenizer)


def test_two_steps_change_eyes_and_language(processor, short):
    weights, trainer = short
    before = make_model(processor.tokenizer, 0).state_dict()
    assert all(value.isfinite().all() for value in weights.values())
    changed = {name for name, value in weights.items() if not torch.equal(value, before[name])}
    for part in ("visual.patch_embed", "visual.blocks.1", "visual.merger", "embed_tokens", "layers.0", "layers.3"):
        assert any(part in name for name in changed), part
    losses = [trainer.history[f"{kind} loss"] for kind in ("read0", "read1", "see0", "see1")]
    assert [len(found) for found in losses] == [2, 2, 1, 1]
    assert all(0 < value < 20 for found in losses for value in found)


def test_the_first_dimension_stays_constant(short):
    weights, _ = short
    assert (weights[HEAD][:, 0] == CONSTANT).all()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(processor, short):
    again, other = trained(processor.tokenizer)[0], trained(processor.tokenizer, seed=1)[0]
    assert all(torch.equal(value, again[name]) for name, value in short[0].items())
    assert not torch.equal(other[HEAD], again[HEAD])
