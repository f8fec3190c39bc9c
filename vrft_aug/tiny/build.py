"""Builds the tiny policy, a Qwen2.5-VL small enough for a laptop's CPU, and keeps it in a cache.

Architecture, chat format, image processor and file layout are Qwen2.5-VL's, so every stage (vLLM, FSDP, `vllm serve`,
`AutoModelForImageTextToText`) runs unchanged. The language model has random weights. The vision tower is pre-trained
on phantoms, because reinforcement learning alone does not teach it to see. Weights are float32, safe on any CPU.

    python -m vrft_aug.tiny.build --cache outputs/policies --seed 0
"""

import argparse
import fcntl
import hashlib
import inspect
import json
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from vrft_aug.data.datasets import phantom
from vrft_aug.tiny import eyes
from vrft_aug.tiny import tokenizer as words

PIXELS = 112 * 112  # every square image becomes 16 visual tokens
HIDDEN = 128
TEXT = dict(hidden_size=HIDDEN, intermediate_size=2 * HIDDEN, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=4096, tie_word_embeddings=False,
            rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=[4, 6, 6]))  # fmt: skip
VISION = dict(hidden_size=64, intermediate_size=128, depth=2, num_heads=4, out_hidden_size=HIDDEN, patch_size=14,
              spatial_merge_size=2, temporal_patch_size=2, window_size=112, fullatt_block_indexes=[1])  # fmt: skip
EMBEDDING_SCALE = 0.5  # root mean square of a token that enters the language model, word or image


def build(cache: Path, seed: int = 0, report: Callable[[str], None] = print) -> Path:
    """Folder of the tiny policy in Hugging Face form. It is built on first use, and again when something in it changes.

    The same seed and corpus give the same bytes on the same machine. `report` receives one line at a time.
    """
    corpus = words.read_corpus()
    folder = Path(cache) / f"tiny-qwen2_5_vl-{_key(corpus, seed)}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder, report):
            if not folder.is_dir():
                _build(folder, corpus, seed, report)
                return folder
    report(f"tiny policy: found {folder}")
    return folder


@contextmanager
def _alone(folder: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Wait while another process builds `folder`. The lock is a file beside it, which the first one removes again."""
    path = folder.with_name(f".{folder.name}.lock")
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"tiny policy: another process builds {folder}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _build(folder: Path, corpus: list[str], seed: int, report: Callable[[str], None]) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with one_thread():
            _make(scratch, corpus, seed, report)
        scratch.chmod(0o755)
        scratch.rename(folder)
    except OSError:
        if not folder.is_dir():  # if it is there, a process without our lock has written the same content
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    report(f"tiny policy: wrote {folder}")


def _key(corpus: list[str], seed: int) -> str:
    """Hash of everything that determines the policy, the source code included."""
    sources = [*map(inspect.getsource, (phantom, words, eyes)), Path(__file__).read_text()]
    parts = [seed, corpus, *sources, torch.__version__, transformers.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _make(folder: Path, corpus: list[str], seed: int, report: Callable[[str], None]) -> None:
    start = time.monotonic()
    processor = make_processor(words.train_tokenizer(corpus))
    model = make_model(processor.tokenizer, seed)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    report(f"tiny policy: {millions:.2f} M parameters, {len(processor.tokenizer)} tokens in the vocabulary")
    probes = eyes.pretrain(model.model.visual, processor.image_processor, seed, report)
    _match_scale(model, processor)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "tiny_policy.json").write_text(json.dumps({"seed": seed, "probe_accuracy": probes}, indent=2) + "\n")
    report(f"tiny policy: built in {time.monotonic() - start:.0f} s")


def make_processor(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLProcessor:
    size = {"shortest_edge": PIXELS, "longest_edge": PIXELS}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size), tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size=size), chat_template=tokenizer.chat_template,
    )  # fmt: skip


def make_model(tokenizer: Qwen2Tokenizer, seed: int) -> Qwen2_5_VLForConditionalGeneration:
    """A model with random weights. Each parameter has its own random stream: a longer vocabulary changes no other."""
    token = tokenizer.convert_tokens_to_ids
    special = dict(bos_token_id=token("<|endoftext|>"), eos_token_id=token("<|im_end|>"),
                   pad_token_id=token("<|endoftext|>"))  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config=dict(vocab_size=len(tokenizer), **TEXT, **special), vision_config=VISION, dtype="float32",
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"), tie_word_embeddings=False,
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"), **special,
    )  # fmt: skip
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(**special)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            scale = EMBEDDING_SCALE if "embed_tokens" in name else parameter[0].numel() ** -0.5
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
            torch.nn.init.normal_(parameter, std=scale, generator=generator)
    _silence(model, [token(name) for name in words.VISION_TOKENS])
    return model


@torch.no_grad()
def _silence(model: Qwen2_5_VLForConditionalGeneration, tokens: list[int]) -> None:
    """Make sure that the policy never samples `tokens`: for an image placeholder, vLLM would look for a missing image.

    A large model has learnt never to write them. Here the first hidden dimension is one large constant for every word.
    No layer reads or writes it at the start, so the head's weight there works as a bias, thousands below on the logit.
    """
    text = model.model.language_model
    text.embed_tokens.weight[:, 0] = 10 * EMBEDDING_SCALE
    for layer in text.layers:
        layer.input_layernorm.weight[0] = layer.post_attention_layernorm.weight[0] = 0
        layer.self_attn.o_proj.weight[0] = layer.mlp.down_proj.weight[0] = 0
    model.lm_head.weight[:, 0] = 0
    model.lm_head.weight[tokens, 0] = -1000


@torch.no_grad()
def _match_scale(model: Qwen2_5_VLForConditionalGeneration, processor: Qwen2_5_VLProcessor) -> None:
    """Scale the merger's last layer so that visual tokens are as large as words when they enter the language model."""
    batch, _, _ = eyes.phantom_batch(0, eyes.STEPS, processor.image_processor)
    tokens = model.model.visual(batch["pixel_values"], grid_thw=batch["image_grid_thw"]).pooler_output
    last = model.model.visual.merger.mlp[-1]
    for parameter in last.parameters():
        parameter *= EMBEDDING_SCALE / tokens.square().mean().sqrt()


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread: sums then have one order and every run gives the same bytes. More threads would not be faster."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the tiny policy and print its folder.")
    parser.add_argument("--cache", type=Path, default=Path("outputs/policies"), help="folder of built policies")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(build(arguments.cache, arguments.seed, report=lambda line: print(line, flush=True)))


if __name__ == "__main__":
    main()
