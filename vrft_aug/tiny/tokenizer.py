"""Trains the tiny policy's tokenizer: byte-level BPE on the prompts of this repository, in the form of Qwen2's.

It encodes any string, because bytes are the base alphabet. Each digit is a token of its own. The words of our prompts,
classes and knowledge are one token each, so that prompts stay short.

The corpus is frozen in corpus.json, so that a new data set or another prompt does not change the policy. Write it anew
where many words of the prompts have become several tokens; the next use then builds the policy anew, which takes a
minute:

    python -m vrft_aug.tiny.tokenizer
"""

import json
import re
from pathlib import Path

import yaml
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer

from vrft_aug.configs import CONF
from vrft_aug.data.knowledge import reading
from vrft_aug.data.prompts import rendering
from vrft_aug.files import write_whole

VOCABULARY = 2048  # upper bound, special tokens included
VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
SPECIAL_TOKENS = (  # Qwen2.5-VL's, in its order
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", *VISION_TOKENS,
)  # fmt: skip

# Qwen2.5-VL's chat format: a default system turn, and one placeholder per image, which the processor then repeats for
# each of the image's tokens.
CHAT_TEMPLATE = """\
{%- if messages[0].role != 'system' -%}
{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif -%}
{%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\\n' }}
{%- if message.content is string -%}{{ message.content }}
{%- else -%}{%- for part in message.content -%}
{%- if part.type in ('image', 'image_url') or 'image' in part or 'image_url' in part -%}
{{ '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- elif part.type == 'video' or 'video' in part -%}{{ '<|vision_start|><|video_pad|><|vision_end|>' }}
{%- elif 'text' in part -%}{{ part.text }}
{%- endif -%}
{%- endfor -%}{%- endif -%}
{{ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"""

FORMS = (  # texts of a conversation that are not in the prompts' templates
    "system\nYou are a helpful assistant.", "user\n", "assistant\n",
    "<think>The lesion stands out from its surroundings.</think> <answer>[12, 34, 56, 78]</answer>",
    '```json\n[{"bbox_2d": [12, 34, 56, 78], "label": "lesion"}]\n```',
)  # fmt: skip
TEMPLATES = rendering.FOLDER
FROZEN = Path(__file__).with_name("corpus.json")


def read_corpus() -> list[str]:
    """The frozen corpus: each text twice, because training merges no pair of tokens that occurs only once."""
    texts: list[str] = json.loads(FROZEN.read_text(encoding="utf-8"))
    return texts * 2


def collect_corpus() -> list[str]:
    """Today's own texts: prompt templates without their markup, data sets' words, classes and knowledge."""
    texts = list(FORMS)
    for path in sorted(TEMPLATES.glob("*.jinja")):
        texts.append(re.sub(r"\{[{%#].*?[}%#]\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL))
    for path in sorted(CONF.glob("dataset/*.yaml")):
        dataset = yaml.safe_load(path.read_text(encoding="utf-8"))
        texts += [f" {dataset[key]}" for key in ("modality", "organ", "target") if dataset.get(key)]
        texts += [f"- {name}\n \\boxed{{{name}}}" for name in dataset.get("classes") or ()]
    for path in sorted(reading.BANK.glob("*.yaml")):
        entries = reading.read(path)["classes"].values()
        texts += [f": {reading.entry_text(entry, part)}" for entry in entries for part in ("description", "attributes")]
    return texts


def train_tokenizer(corpus: list[str]) -> Qwen2Tokenizer:
    """Train a tokenizer of at most VOCABULARY tokens on `corpus`. The same corpus gives the same vocabulary."""
    trained = Tokenizer(models.BPE())
    reference = Qwen2Tokenizer().backend_tokenizer  # Qwen2's own normalisation and splitting rules
    trained.normalizer, trained.pre_tokenizer = normalizers.NFC(), reference.pre_tokenizer
    trained.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    size = VOCABULARY - len(SPECIAL_TOKENS)
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, initial_alphabet=alphabet, show_progress=False)
    trained.train_from_iterator(corpus, trainer)
    model = json.loads(trained.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]], eos_token="<|im_end|>",
        pad_token="<|endoftext|>", extra_special_tokens=list(SPECIAL_TOKENS), model_max_length=4096,
    )  # fmt: skip
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


if __name__ == "__main__":
    write_whole(FROZEN, json.dumps(collect_corpus(), indent=0, ensure_ascii=False) + "\n")
