"""Lists the runs of the GPU check: rows, two steps of V-SFT, two of GRPO and a third after a restart, LoRA, answers."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.experiments.stages import Stage

ROWS = ("dataset=phantom", "prompt=names")
# What makes a short run tell something. The pass for the log-probabilities before the update is what rollout and actor
# are compared by. The entropy bonus gives a gradient even where all answers are paid alike, as with random weights, and
# the learning rate is far above a real one, so that one update moves the answers. vLLM says at the level INFO what
# sleeping frees.
TELLING = ("hardware.skip_old_log_probs=false", "hardware.reuse_log_probs=false", "schedule.learning_rate=1e-4",
           "actor_rollout_ref.actor.entropy_coeff=0.01", "++hardware.env.VLLM_LOGGING_LEVEL=INFO",
           "trainer.test_freq=-1", "trainer.val_before_train=false", "keep=last")  # fmt: skip
LORA_RANK = 8


@dataclass(frozen=True)
class Trials:
    """What all runs have in common. given: the overrides that choose machine and policy; prompts per step."""

    folder: Path
    given: tuple[str, ...]
    start: str
    prompts: int
    answers: int
    with_lora: bool  # the profile trains all weights, so adapters are tried by a run of their own

    @classmethod
    def of(cls, config: DictConfig, given: tuple[str, ...], start: str) -> "Trials":
        """config: of gpu_check.yaml."""
        return cls(Path(config.out), given, start, config.prompts, config.answers, not config.hardware.lora_rank)

    @property
    def stages(self) -> list[Stage]:
        lora = [self._grpo("LoRA", "lora", 1, f"hardware.lora_rank={LORA_RANK}")] if self.with_lora else []
        trained = self.folder / ("lora" if lora else "grpo")
        return [
            self._prepare(),
            self._sft(),
            self._grpo("GRPO", "grpo", 2),
            self._grpo("GRPO, resumed", "grpo", 3),
            *lora,
            self._stage("answers", "evaluate", "answers", f"policy.path={trained / 'policy'}", f"parquet={self.rows}",
                        "conditions=[]", "opponents=[]"),
        ]  # fmt: skip

    @property
    def rows(self) -> Path:
        return self.folder / "rows"

    def _prepare(self) -> Stage:
        sizes = {"train": 3 * self.prompts, "val": self.prompts, "test": self.prompts}
        loader = (f"dataset.loader.{split}={number}" for split, number in sizes.items())
        return self._stage("rows", "prepare", "rows", f"policy.path={self.start}", *loader)

    def _sft(self) -> Stage:
        """sft.py runs on one node."""
        return self._stage("V-SFT", "sft", "sft", f"policy.path={self.start}", f"parquet={self.rows}",
                           "hardware.nodes=1", *self._schedule(2))  # fmt: skip

    def _grpo(self, name: str, folder: str, steps: int, *more: str) -> Stage:
        return self._stage(name, "grpo", folder, f"policy.path={self.start}", f"parquet={self.rows}", *TELLING,
                           f"actor_rollout_ref.rollout.n={self.answers}", *self._schedule(steps), *more)  # fmt: skip

    def _schedule(self, steps: int) -> tuple[str, ...]:
        sizes = (f"schedule.{key}={self.prompts}" for key in ("batch_size", "mini_batch_size"))
        return (f"schedule.steps={steps}", f"schedule.save_freq={steps}", f"schedule.test_freq={steps}", *sizes)

    def _stage(self, name: str, recipe: str, folder: str, *overrides: str) -> Stage:
        out = self.folder / folder
        return Stage(name, recipe, (*ROWS, *self.given, *overrides, f"out={out}"), out)
