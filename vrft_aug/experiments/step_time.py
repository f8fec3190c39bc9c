"""Estimates the seconds of one GRPO step by phase, from counted work and assumed speeds; nobody has measured them.

The work is counted from the policy's architecture, the schedule and the profile; the speeds are those of `Assumed`.
Phases follow each other, as in verl's synchronous trainer. Within a phase computation and communication overlap: the
slower of the two counts.
"""

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from omegaconf import DictConfig

from vrft_aug.data.rows.frame import image_tokens
from vrft_aug.data.settings import Policy
from vrft_aug.experiments.model_size import Model, cached_numbers, count

BF16, FLOAT32 = 2, 4  # bytes
WINDOW = 64  # patches that attend to each other in most layers of Qwen2.5-VL's vision tower; Qwen3-VL has no windows


@dataclass(frozen=True)
class Gpu:
    """The maker's figures: peak FLOP/s in bfloat16 without sparsity, bytes/s of its memory and of NVLink one way."""

    name: str
    flops: float
    memory: float
    nvlink: float


@dataclass(frozen=True)
class Assumed:
    """What the estimate assumes; at_scale.py explains each number."""

    image_side: int = 224
    text_tokens: int = 150
    answer_tokens: int = 250
    longest_answer: float = 2.0
    train_share: float = 0.35
    decode_share: float = 0.6
    decode_pause: float = 0.006
    link_share: float = 0.7
    between_nodes: float = 25e9
    hop: float = 8e-6
    queue_rate: float = 1.5e9
    disk_rate: float = 2e9
    fixed: float = 8.0


class Step(NamedTuple):
    """Seconds per phase. rest: what every step has besides, and its share of a checkpoint."""

    rollout: float
    reference: float
    update: float
    weights: float
    queue: float
    rest: float


class Work:
    """One step of a config of grpo.yaml on GPUs of one kind."""

    def __init__(self, model: Model, config: DictConfig, gpu: Gpu, assumed: Assumed) -> None:
        self.model, self.config, self.gpu, self.assumed = model, config, gpu, assumed
        self.hardware, self.policy = config.hardware, Policy.of(config.policy)
        self.devices = self.hardware.nodes * self.hardware.devices_per_node
        self.group = config.actor_rollout_ref.rollout.n
        self.samples = config.data.train_batch_size * self.group
        self.parameters = count(model)
        self.images = config.dataset.get("images", 1)
        self.visual = image_tokens((assumed.image_side, assumed.image_side), self.policy)  # of one image
        self.prompt = assumed.text_tokens + self.images * self.visual
        self.tokens = self.prompt + assumed.answer_tokens

    def step(self) -> Step:
        """Seconds of each phase."""
        one_pass = self.samples / self.devices * self.flop(self.tokens) / self._speed
        batches = ceil(self.samples / self.devices * self.tokens / self.hardware.max_tokens_per_device)
        # Forward, the same again for the backward pass (checkpointing), and backward, which is twice a forward pass;
        # LoRA has no gradients of the base's weights.
        passes = 3 if self.hardware.lora_rank else 4
        gathers = (2 if self.hardware.reshard_after_forward else 1) * self.gather(BF16)
        update = max(passes * one_pass, batches * (gathers + self.reduce()))
        reference = max(one_pass, batches * self.gather(BF16))
        return Step(self.rollout(), reference, update, self.weights(), self.queue(), self.rest())

    @property
    def _speed(self) -> float:
        return self.gpu.flops * self.assumed.train_share

    @property
    def shards(self) -> int:
        """GPUs that share one copy of the weights: verl's fsdp_size, or all."""
        size = self.config.actor_rollout_ref.actor.fsdp_config.fsdp_size
        return size if 0 < size < self.devices else self.devices

    def flop(self, tokens: int) -> float:
        """FLOP of a forward pass over one sample with its images: 2 per weight and token, and attention."""
        text, vision = self.model.config.get_text_config(), self.model.config.vision_config
        linear = count(self.model.get_decoder())  # with the embedding, which is looked up: the head is as large
        patches, windows = self.visual * self.policy.merge**2, hasattr(vision, "fullatt_block_indexes")
        full = len(vision.fullatt_block_indexes) if windows else vision.depth
        reach = full * patches + (vision.depth - full) * WINDOW
        image = 2 * count(self.model.model.visual) * patches + 4 * vision.hidden_size * patches * reach
        heads = text.num_attention_heads
        width = heads * (getattr(text, "head_dim", None) or text.hidden_size // heads)
        return 2 * linear * tokens + 2 * text.num_hidden_layers * width * tokens**2 + self.images * image

    def rollout(self) -> float:
        """Prefill of each prompt once (prefix caching), and tokens until the longest answer ends."""
        assumed, samples = self.assumed, self.samples / self.devices
        at_once = min(samples, self.hardware.vllm.max_num_seqs)
        seen = at_once * (self.prompt + assumed.answer_tokens / 2) * cached_numbers(self.model)
        read = (self.parameters + seen) * BF16
        token = read / (self.gpu.memory * assumed.decode_share) + assumed.decode_pause
        prefill = samples / self.group * self.flop(self.prompt) / self._speed
        return prefill + ceil(samples / at_once) * assumed.answer_tokens * assumed.longest_answer * token

    def gather(self, width: int, calls: int | None = None) -> float:
        """Seconds in which each GPU collects all parameters. calls: collectives, one per layer if not given."""
        layers = self.model.config.get_text_config().num_hidden_layers + self.model.config.vision_config.depth
        return self._collective(self.parameters * width, self.shards, calls or layers)

    def reduce(self) -> float:
        """Seconds in which the gradients are summed: over the shards, and then over the copies of the weights."""
        trained = 0 if self.hardware.lora_rank else self.parameters * FLOAT32
        copies = self.devices // self.shards
        across = 2 * trained / self.shards / self.assumed.between_nodes if copies > 1 else 0.0
        return self._collective(trained, self.shards, 1) + across

    def weights(self) -> float:
        """Every GPU gathers the policy in float32, tensor by tensor, for vLLM. LoRA sends adapters alone."""
        return 0.0 if self.hardware.lora_rank else self.gather(FLOAT32, len(list(self.model.parameters())))

    def _collective(self, size: float, ranks: int, calls: int) -> float:
        if ranks == 1:
            return 0.0
        inside = ranks <= self.hardware.devices_per_node
        rate = self.assumed.link_share * self.gpu.nvlink if inside else self.assumed.between_nodes
        return size / rate + calls * (ranks - 1) * self.assumed.hop

    def queue_bytes(self) -> float:
        """Bytes of the images of one step: each sample has its own copy of its patches, in bfloat16."""
        numbers = self.images * self.visual * self.policy.merge**2 * 3 * 2 * self.policy.patch**2
        return float(self.samples * numbers * BF16)

    def queue(self) -> float:
        """The images are written once, and read by the reference policy and by the actor."""
        return 3 * self.queue_bytes() / (self.hardware.workers * self.assumed.queue_rate)

    def saved_bytes(self) -> float:
        """Bytes of a checkpoint: weights and AdamW's two moments, by every GPU, of every copy of the weights."""
        return 0.0 if self.hardware.lora_rank else 3.0 * self.parameters * FLOAT32 * self.devices / self.shards

    def rest(self) -> float:
        write = self.saved_bytes() / self.hardware.nodes / self.assumed.disk_rate
        return self.assumed.fixed + write / self.config.trainer.save_freq
