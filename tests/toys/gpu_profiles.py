"""Composes a GPU profile for Qwen2.5-VL-3B and asks verl for the arguments that its server gives to vLLM."""

import asyncio
import shutil
from pathlib import Path

from omegaconf import DictConfig
from repository import composed

from vrft_aug.experiments.model_size import PUBLISHED
from vrft_aug.tiny import model as tiny_policy
from vrft_aug.tiny import tokenizer as tiny_tokenizer

PROFILES = ["gpu_1x24g", "gpu_2x80g", "node_8x80g", "multi_node"]


def published_policy(folder: Path) -> Path:
    """Write the published config of the 3B policy with the tiny policy's tokenizer and no weights; returns `folder`."""
    tokenizer = tiny_tokenizer.train_tokenizer(tiny_tokenizer.read_corpus())
    tiny_policy.make_processor(tokenizer).save_pretrained(folder)
    shutil.copy(PUBLISHED / "qwen2_5_vl_3b.json", folder / "config.json")
    return folder


def root(recipe: str, hardware: str, policy: Path) -> DictConfig:
    return composed(recipe, f"hardware={hardware}", "policy=qwen2_5_vl_3b", f"policy.path={policy}")


def vllm_arguments(config: DictConfig):
    """vLLM's engine arguments from verl's own server, parsed by vLLM. The engine is not started."""
    from verl.utils.config import omega_conf_to_dataclass
    from verl.workers.rollout.vllm_rollout.vllm_async_server import vLLMHttpServer
    from vllm.engine.arg_utils import AsyncEngineArgs

    class Server(vLLMHttpServer):
        def __init__(self):
            self.config = self._init_config(omega_conf_to_dataclass(config.actor_rollout_ref.rollout))
            self.model_config = self._init_model_config(omega_conf_to_dataclass(config.actor_rollout_ref.model))
            self._validate_configs()
            self.replica_rank, self.node_rank, self.nnodes, self._disaggregation_role = 0, 0, 1, "null"

        def _should_profile(self) -> bool:
            return False

        async def run_server(self, args):
            self.arguments = AsyncEngineArgs.from_cli_args(args)

    server = Server()
    asyncio.run(server.launch_server())
    return server.arguments
