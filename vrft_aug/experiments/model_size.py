"""Builds a policy from its config.json alone, on torch's meta device, where modules have sizes but use no memory."""

import functools
from pathlib import Path
from typing import Any

from hydra.utils import instantiate

from vrft_aug.data.settings import Policy
from vrft_aug.engine.run.freezing import is_frozen

PUBLISHED = Path(__file__).with_name("model_configs")  # config.json of known policies
Model = Any  # transformers' PreTrainedModel, which is imported late


def find(policy: Policy) -> Model | None:
    """The model of the config.json in the folder `path`, else of the published one with its name, else the built one.

    Returns None where there is none of these, or transformers does not know the architecture.
    """
    files = [Path(policy.path).expanduser() / "config.json"] if policy.path else []
    files.append(PUBLISHED / f"{policy.name}.json")
    if policy.build is not None and not any(map(Path.is_file, files)):
        files.append(Path(instantiate(policy.build)) / "config.json")
    return next((read(file) for file in files if file.is_file()), None)


@functools.cache
def read(file: Path) -> Model | None:
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    try:
        with torch.device("meta"):
            return AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(file, trust_remote_code=False))
    except ValueError:  # an architecture that transformers does not know
        return None


def count(module: Any) -> int:
    """Parameters of a module."""
    return sum(weight.numel() for weight in module.parameters())


def count_frozen(model: Model, freeze: str) -> int:
    """Parameters that `freeze` holds (engine/run/freezing.py)."""
    return sum(weight.numel() for name, weight in model.named_parameters() if is_frozen(name, freeze))


def count_adapters(model: Model, rank: int) -> int:
    """Parameters of LoRA adapters on every linear map of the decoder layers, and on nothing else."""
    parts = model.get_decoder().modules()
    return rank * sum(getattr(part, "in_features", 0) + getattr(part, "out_features", 0) for part in parts)


def is_tied(model: Model) -> bool:
    """Whether the embedding is also the output head, as verl's fused kernels need it (training/verl_settings.py)."""
    return bool(model.config.tie_word_embeddings)


def cached_numbers(model: Model) -> int:
    """Numbers per token in vLLM's cache: the keys and values of all attention layers."""
    text = model.config.get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    kinds = getattr(text, "layer_types", None) or ["full_attention"] * text.num_hidden_layers
    return 2 * head * text.num_key_value_heads * sum(kind != "linear_attention" for kind in kinds)
