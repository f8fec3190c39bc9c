"""Trains the tiny policy's tokenizer: byte-level BPE on the prompts of this repository, in the form of Qwen2's.

It encodes any string, because bytes are the base alphabet. Each digit is a token of its own. The words of our prompts,
classes and knowledge are one token each, so that prompts stay short. The parts of names (syllables, words of real
classes) are merged first, without a space or a brace before them: a name then has the same tokens in `- Name` and in
`\\boxed{Name}`, and the policy can copy it.

The corpus is frozen in corpus.json, so that a new data set or another prompt changes no token. Write it anew only
together with the policy's weights (`make policy`):

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
from vrft_aug.data.phantoms import findings, grades, names
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
    "<think> one bright lesion, which fits </think> \\boxed{ <answer>[12, 34, 56, 78]</answer>",
    '```json\n[{"bbox_2d": [12, 34, 56, 78], "label": "lesion"}]\n```',
)  # fmt: skip
TEMPLATES = rendering.FOLDER
FROZEN = Path(__file__).with_name("corpus.json")
FIRST = 500  # copies of each part of a name: what is frequent is merged first


def read_corpus() -> list[str]:
    """The frozen corpus: each text twice, because training merges no pair of tokens that occurs only once."""
    corpus: dict[str, list[str]] = json.loads(FROZEN.read_text(encoding="utf-8"))
    return corpus["names"] * FIRST + corpus["texts"] * 2


def collect_corpus() -> dict[str, list[str]]:
    """Today's own texts: `names` (parts of names) and `texts` (prompt templates without their markup, data sets' words,
    knowledge, and what phantoms can show)."""
    parts, texts = list(names.SYLLABLES), list(FORMS)
    parts += [part.capitalize() for part in names.SYLLABLES]
    for path in sorted(TEMPLATES.glob("*.jinja")):
        texts.append(re.sub(r"\{[{%#].*?[}%#]\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL))
    for path in sorted(CONF.glob("dataset/*.yaml")):
        dataset = yaml.safe_load(path.read_text(encoding="utf-8"))
        texts += [f" {dataset[key]}" for key in ("modality", "organ", "target") if dataset.get(key)]
    for path in sorted(reading.BANK.glob("*.yaml")):
        classes = reading.read(path)["classes"]
        parts += [word for name in classes for word in re.findall(r"[^\W\d_]+", name)]
        for entry in classes.values():
            texts += [f": {reading.entry_text(entry, part)}" for part in ("description", "attributes")]
    phantom_words = [word for values in findings.VALUES for name in values for word in name.split()]
    texts += [f" {word}" for word in (*phantom_words, *grades.EXTENTS, "lesion", "no", ", which fits")]
    plurals = re.compile(rf"\b({'|'.join(findings.SHAPES)})(e?s)\b")  # two tokens, so that a shape has one form
    return {"names": sorted(set(parts)), "texts": [plurals.sub(r"\1 \2", text) for text in texts]}


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
