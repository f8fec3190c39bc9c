"""The files of conf/policy say of a model what its published config says, and the processor resizes as they say."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from repository import choices, composed

from vrft_aug.data.rows.frame import frame_size, image_tokens, resized
from vrft_aug.data.settings import Policy
from vrft_aug.experiments.model_size import PUBLISHED

LARGE = [name for name in choices("policy") if not name.startswith("tiny")]
SIZES = [(28, 28), (224, 224), (600, 450), (450, 600), (1023, 767), (3000, 40)]


def policy(name: str) -> Policy:
    return Policy.of(composed("grpo", f"policy={name}").policy)


@pytest.mark.parametrize("name", [*LARGE, "tiny_qwen3_vl"])
def test_patches_and_frame_are_the_architectures(name):
    said, found = json.loads((PUBLISHED / f"{name}.json").read_text()), policy(name)
    vision = said["vision_config"]
    assert (found.patch, found.merge) == (vision["patch_size"], vision["spatial_merge_size"])
    assert found.box_frame == ("thousand" if said["model_type"] == "qwen3_vl" else "resized")
    size = (600, 450)
    assert frame_size(size, found) == ((1000, 1000) if found.box_frame == "thousand" else resized(size, found))


@pytest.mark.parametrize("name", LARGE)
def test_the_hub_id_is_that_of_the_published_config(name):
    """A model that was trained further has the config of the model that it comes from."""
    link = PUBLISHED / f"{name}.json"
    assert link.is_symlink() or json.loads(link.read_text())["_name_or_path"] == policy(name).path
    assert policy(name).build is None


@pytest.mark.parametrize("name", choices("policy"))
def test_images_are_resized_as_the_processor_does(name):
    processing = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    found = policy(name)
    processor = processing.Qwen2VLImageProcessorPil(
        min_pixels=found.min_pixels, max_pixels=found.max_pixels, patch_size=found.patch, merge_size=found.merge
    )
    for size in SIZES:
        image = Image.fromarray(np.zeros((*size[::-1], 3), np.uint8))
        _, rows, columns = processor(image, return_tensors="np")["image_grid_thw"][0].tolist()
        assert resized(size, found) == (columns * found.patch, rows * found.patch), size
        assert image_tokens(size, found) == rows * columns // found.merge**2


@pytest.mark.parametrize("name", choices("policy"))
def test_the_largest_image_fits_into_a_prompt(name):
    found = policy(name)
    largest = found.max_pixels // (found.patch * found.merge) ** 2
    assert largest < found.max_prompt_length
    assert found.max_prompt_length + found.max_response_length <= found.max_length


def test_as_many_visual_tokens_at_most_whatever_the_patch():
    most = {name: policy(name).max_pixels // (policy(name).patch * policy(name).merge) ** 2 for name in LARGE}
    assert set(most.values()) == {1280}
    assert image_tokens((28, 28), replace(policy("qwen3_vl_2b"))) == 256


def test_random_weights_of_the_same_shapes_replace_a_qwen3_vl(tmp_path):
    """What the GPU check starts from where the hub is out of reach."""
    transformers = pytest.importorskip("transformers", reason="the training stack is not installed (make setup)")
    from vrft_aug.experiments.gpu_check.start import random_twin

    folder = random_twin("tiny_qwen3_vl", tmp_path, layers=1)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder)
    processor = transformers.AutoProcessor.from_pretrained(folder)
    assert type(model).__name__ == "Qwen3VLForConditionalGeneration" and type(processor).__name__ == "Qwen3VLProcessor"
    assert (model.config.text_config.num_hidden_layers, len(model.model.visual.blocks)) == (1, 1)
    assert len(model.model.visual.deepstack_merger_list) == 1
    assert len(processor.tokenizer) == model.config.text_config.vocab_size
    assert processor.image_processor.patch_size == 16 and model.config.image_token_id == processor.image_token_id
