"""The tiny policy's network: its weights at the start, and the batched computation that its training uses."""

import numpy as np
import pytest
import torch
from PIL import Image

from vrft_aug.data.phantoms.drawing import draw
from vrft_aug.data.phantoms.findings import SEEN
from vrft_aug.tiny import batched, lessons
from vrft_aug.tiny.model import CONSTANT, IMAGE_TOKENS, hold_constant, make_model, silence
from vrft_aug.tiny.tokenizer import VISION_TOKENS

QUESTION = "Categories are as follows:\n- Brinsol\n- Drexnur.\n"
TEXT = lessons.START + lessons.MARK + QUESTION + lessons.TURN + "<think> two"


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    return [draw(rng, SEEN[at]).image for at in (3, 70, 121)]


@pytest.fixture(scope="module")
def inputs(processor, drawn):
    return processor(text=[TEXT] * len(drawn), images=[Image.fromarray(one) for one in drawn], return_tensors="pt")


@pytest.fixture(scope="module")
def grey(drawn):
    return torch.from_numpy(np.stack([one[:, :, 0] for one in drawn])).float()


def test_pixel_values_are_the_image_processors(grey, inputs):
    found = batched.patches(grey).flatten(0, 1)
    assert torch.allclose(found, inputs["pixel_values"], atol=1e-5)


@torch.no_grad()
def test_seen_together_as_by_transformers(model, grey, inputs):
    wanted = model.model.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"]).pooler_output
    found = batched.see(model, grey, batched.vision_rotary(model))
    assert found.std() > 0.1 and torch.allclose(found.flatten(0, 1), wanted, atol=1e-4)


@torch.no_grad()
def test_read_together_as_by_transformers_with_an_image(model, processor, grey, inputs):
    image_at = inputs["input_ids"][0].tolist().index(processor.image_token_id)
    embedded = model.model.language_model.embed_tokens(inputs["input_ids"])
    embedded[:, image_at : image_at + IMAGE_TOKENS] = batched.see(model, grey, batched.vision_rotary(model))
    found = batched.read(model, embedded, batched.text_rotary(model, embedded.shape[1], image_at))
    assert torch.allclose(found, model.model(**inputs).last_hidden_state, atol=1e-4)


@torch.no_grad()
def test_read_together_as_by_transformers_without_an_image(model):
    tokens = torch.randint(20, 900, (2, 50), generator=torch.Generator().manual_seed(0))
    embedded = model.model.language_model.embed_tokens(tokens)
    found = batched.read(model, embedded, batched.text_rotary(model, 50, None))
    assert torch.allclose(found, model.model(input_ids=tokens).last_hidden_state, atol=1e-4)


@torch.no_grad()
def test_the_constant_adds_the_same_to_each_logit(processor):
    model = make_model(processor.tokenizer, 0)
    for parameter in model.parameters():
        parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
    hold_constant(model)
    tokens = torch.randint(20, 900, (2, 30), generator=torch.Generator().manual_seed(0))
    embedded = model.model.language_model.embed_tokens(tokens)
    states = model.model(inputs_embeds=embedded, output_hidden_states=True).hidden_states
    assert all((state[..., 0] == CONSTANT).all() for state in states[:-1]), "a layer writes into it"
    logits, weight = model(input_ids=tokens).logits, model.model.language_model.embed_tokens.weight
    added = logits - states[-1][..., 1:] @ weight[:, 1:].T
    assert added.abs().min() > 0.01 and (added - added[..., :1]).abs().max() < 1e-4


@torch.no_grad()
def test_silence_changes_the_logits_of_vision_tokens_alone(processor):
    model = make_model(processor.tokenizer, 0)
    tokens = torch.randint(20, 900, (1, 30), generator=torch.Generator().manual_seed(0))
    before = model(input_ids=tokens).logits
    silence(model, processor.tokenizer)
    after = model(input_ids=tokens).logits
    silent = processor.tokenizer.convert_tokens_to_ids(list(VISION_TOKENS))
    others = [token for token in range(len(processor.tokenizer)) if token not in silent]
    shift = (after - before)[..., others]
    assert (shift - shift[..., :1]).abs().max() < 1e-4 and after.log_softmax(-1)[..., silent].max() < -100


def test_each_seed_gives_its_own_weights(processor):
    one, same, other = (make_model(processor.tokenizer, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["lm_head.weight"], other["lm_head.weight"])
