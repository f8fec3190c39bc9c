"""Finds the policy that the GPU check starts from: the one of the config, or one with random weights of its shapes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vrft_aug.data.settings import Policy
from vrft_aug.engine.training.policy import resolve
from vrft_aug.errors import InputError
from vrft_aug.experiments.model_size import PUBLISHED
from vrft_aug.tiny import shipped
from vrft_aug.tiny import tokenizer as words
from vrft_aug.tiny.architectures import find as architecture

WEIGHTS = "model.safetensors"


def find_start(policy: Policy, work: Path, say: Callable[[str], None]) -> tuple[str, str]:
    """(the policy's folder or hub id, what it is). Where the hub is out of reach, random weights of the same shapes
    replace a policy of `PUBLISHED`: they cost the same time and memory, and only their answers mean nothing.

    Raises InputError where the policy is neither to be had nor known.
    """
    if policy.build is not None and policy.path is None:
        return str(tied_tiny(work, Path(resolve(policy)))), "the tiny policy, its embedding also its output head"
    try:
        return resolve(policy, work), policy.path or policy.name
    except InputError as error:
        if not (PUBLISHED / f"{policy.name}.json").is_file():
            raise
        say(f"{error}; in its place: random weights of the same shapes")
        return str(random_twin(policy.name, work)), f"random weights with the shapes of {policy.name}"


def tied_tiny(folder: Path, source: Path = shipped.FOLDER) -> Path:
    """Write the tiny policy `source` with its embedding as its output head, as Qwen2.5-VL-3B has it; returns `folder`.

    verl's fused kernels need it. A tiny policy has a head of its own, from which no vision token can be
    sampled.
    """
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(WEIGHTS, shipped.RECORD))
    config = json.loads((folder / "config.json").read_text())
    config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"] = True
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(source / WEIGHTS)
    save_file({name: value for name, value in weights.items() if name != "lm_head.weight"}, folder / WEIGHTS,
              metadata={"format": "pt"})  # fmt: skip
    return folder


def random_twin(name: str, folder: Path, layers: int | None = None) -> Path:
    """Write a policy with its published widths and vocabulary and random weights (bfloat16).

    Its tokenizer is the tiny one, with tokens that no text contains up to the size of the vocabulary. name: a file of
    `PUBLISHED`. layers: of text and vision each; None: all.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    config = AutoConfig.from_pretrained(PUBLISHED / f"{name}.json")
    tokenizer = _padded_tokenizer(config.text_config.vocab_size)
    _name_tokens(config, tokenizer.convert_tokens_to_ids)
    if layers is not None:
        _cut(config, layers)
    torch.manual_seed(0)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    model = model.to(torch.bfloat16).to_empty(device="cpu")
    for one, parameter in model.named_parameters():
        is_norm = parameter.ndim == 1 and one.endswith("weight")
        torch.nn.init.ones_(parameter) if is_norm else torch.nn.init.normal_(parameter, std=0.02)
    model.tie_weights()
    model.save_pretrained(folder)
    architecture(config.model_type).make_processor(tokenizer).save_pretrained(folder)
    return folder


def _cut(config: Any, layers: int) -> None:
    """Leave only the first layers of text and vision."""
    text, vision = config.text_config, config.vision_config
    text.num_hidden_layers = vision.depth = layers
    if config.model_type == "qwen3_vl":
        vision.deepstack_visual_indexes = [layers - 1]
    else:
        text.max_window_layers, text.layer_types = layers, text.layer_types[:layers]
        vision.fullatt_block_indexes = [layers - 1]


def _name_tokens(config: Any, token: Callable[[str], int]) -> None:
    """Put the tokenizer's own numbers into the config."""
    for part in (config, config.text_config):
        part.bos_token_id = part.pad_token_id = token("<|endoftext|>")
        part.eos_token_id = token("<|im_end|>")
    for name in ("image", "video"):
        setattr(config, f"{name}_token_id", token(f"<|{name}_pad|>"))
    config.vision_start_token_id = token("<|vision_start|>")


def _padded_tokenizer(size: int) -> words.Qwen2Tokenizer:
    trained = words.train_tokenizer(words.read_corpus())
    model = json.loads(trained.backend_tokenizer.to_str())["model"]
    known = [name for name in sorted(model["vocab"], key=model["vocab"].get) if name not in words.SPECIAL_TOKENS]
    unused = [f"<unused{number}>" for number in range(size - len(known) - len(words.SPECIAL_TOKENS))]
    tokenizer = words.Qwen2Tokenizer(
        vocab={name: number for number, name in enumerate([*known, *unused])},
        merges=[tuple(pair) for pair in model["merges"]], eos_token="<|im_end|>", pad_token="<|endoftext|>",
        extra_special_tokens=list(words.SPECIAL_TOKENS), model_max_length=4096,
    )  # fmt: skip
    tokenizer.chat_template = trained.chat_template
    return tokenizer
