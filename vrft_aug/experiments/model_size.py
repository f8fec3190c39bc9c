"""The sizes of a Qwen2.5-VL, counted from its config.json alone; the tests compare with the modules themselves."""

import json
from dataclasses import dataclass
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

PUBLISHED = Path(__file__).with_name("model_configs")


@dataclass(frozen=True)
class Shape:
    """text: the language model's sizes; vision: the tower's; both as config.json names them."""

    text: dict
    vision: dict
    tied: bool

    @property
    def kv_width(self) -> int:
        """Numbers in one token's keys of one layer; the values are as many."""
        return self.text["hidden_size"] // self.text["num_attention_heads"] * self.text["num_key_value_heads"]

    @property
    def linear(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of a decoder layer's linear maps: q, k, v, o, gate, up, down."""
        hidden, inner, kv = self.text["hidden_size"], self.text["intermediate_size"], self.kv_width
        return [(hidden, hidden), (hidden, kv), (hidden, kv), (hidden, hidden),
                (hidden, inner), (hidden, inner), (inner, hidden)]  # fmt: skip

    @property
    def layer(self) -> int:
        """Parameters of a decoder layer; q, k and v have biases, and there are two norms."""
        hidden = self.text["hidden_size"]
        return sum(inputs * outputs for inputs, outputs in self.linear) + hidden + 2 * self.kv_width + 2 * hidden

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, which is also the head where they are tied."""
        return self.text["vocab_size"] * self.text["hidden_size"]

    @property
    def parameters(self) -> int:
        language = (1 if self.tied else 2) * self.embedding + self.text["num_hidden_layers"] * self.layer
        return language + self.text["hidden_size"] + self._tower

    @property
    def _tower(self) -> int:
        vision, width = self.vision, self.vision["hidden_size"]
        patches = 3 * vision["temporal_patch_size"] * vision["patch_size"] ** 2 * width
        block = 2 * width + 4 * width * (width + 1) + vision["intermediate_size"] * (3 * width + 2) + width
        merged = width * vision["spatial_merge_size"] ** 2
        merger = width + merged * (merged + 1) + (merged + 1) * self.text["hidden_size"]
        return patches + vision["depth"] * block + merger

    def adapters(self, rank: int) -> int:
        """Parameters of LoRA adapters on every linear map of the decoder layers, and on nothing else."""
        return self.text["num_hidden_layers"] * rank * sum(inputs + outputs for inputs, outputs in self.linear)


def read(config: dict) -> Shape:
    """A config.json as published (flat) or as transformers 5 writes it (`text_config` inside)."""
    text = config | config.get("text_config", {})
    return Shape(text, config["vision_config"], config["tie_word_embeddings"])


def find(policy: DictConfig) -> Shape | None:
    """The shape of the config group `policy`: of the folder `path`, or published under its name, or built; or None."""
    candidates = [Path(policy.path).expanduser() / "config.json"] if policy.path else []
    candidates.append(PUBLISHED / f"{policy.name}.json")
    if policy.build is not None and not any(map(Path.is_file, candidates)):
        candidates.append(Path(instantiate(policy.build, report=lambda line: None)) / "config.json")
    file = next(filter(Path.is_file, candidates), None)
    return read(json.loads(file.read_text())) if file else None
