"""Answers a checklist's items about the trainings: hyperparameters, choice of the step, reward, compute."""

from datetime import datetime
from typing import Any

from vrft_aug.evaluation.report.checklist.run_record import RunRecord, Stage, at
from vrft_aug.evaluation.report.checklist.wording import fillers, joined, listed, pairs

NONE = "none: the policy was evaluated as it is"
KINDS = {"grpo": "reinforcement fine-tuning (GRPO)", "sft": "supervised fine-tuning"}
ROLLOUT = {"responses per prompt": "actor_rollout_ref.rollout.n",
           "temperature": "actor_rollout_ref.rollout.temperature",
           "KL coefficient": "actor_rollout_ref.actor.kl_loss_coef",
           "learning rate": "actor_rollout_ref.actor.optim.lr"}  # fmt: skip
COMMON = {"batch": "data.train_batch_size", "seed": "seed", "LoRA rank": "hardware.lora_rank",
          "frozen": "freeze", "number format": "hardware.dtype"}  # fmt: skip


def trained(record: RunRecord) -> list[str]:
    """The kinds of the trainings in order; empty if there was one and its folder is not found."""
    kinds = [KINDS[one.run["recipe"]] for one in record.trainings]
    return kinds or ([] if record.was_trained else ["no training (zero-shot)"])


def training(record: RunRecord) -> str:
    """Every training with its hyperparameters, in order."""
    return joined(*map(_training, record.trainings)) or ("" if record.was_trained else NONE)


def _training(stage: Stage) -> str:
    run, config = stage.run, stage.config
    keys = COMMON | ({"learning rate": "optim.lr"} if run["recipe"] == "sft" else ROLLOUT)
    known = {name: at(config, key) for name, key in keys.items()}
    values = [f"{name} {value}" for name, value in known.items() if value is not None]
    about = [*(f"{key} {run[key]}" for key in ("steps", "prompt", "objective", "variant") if run.get(key)), *values]
    return f"{KINDS[run['recipe']]}: {', '.join(about)} (every key: config.yaml of the training)"


def selection(record: RunRecord) -> str:
    """Which step was exported, and by which metric."""
    if not record.trainings:
        return "" if record.was_trained else NONE
    run = record.trainings[-1].run
    if run.get("exported_step") is None:
        return ""
    rule = at(run, "selected_by.metric")
    why = f"the best of the saved steps by {rule} on the validation split" if rule else "the last step"
    return f"step {run['exported_step']} of {run.get('steps')}: {why}; the test split was not used"


def alignment(record: RunRecord) -> str:
    """The reward of GRPO. No person rates an answer."""
    objectives = [one.run.get("objective") for one in record.trainings if one.run["recipe"] == "grpo"]
    if not objectives:
        return "" if record.was_trained and not record.trainings else "no alignment in this run"
    return f"rewards computed by rules (objective {listed(objectives)}); no person rated answers"


def compute(record: RunRecord) -> str:
    """Machine profile and duration of each stage."""
    named = [*((KINDS[one.run["recipe"]], one) for one in record.trainings), ("evaluation", record.test)]
    return joined(*(text for name, one in named if (text := _compute(name, one))))


def _compute(name: str, stage: Stage) -> str:
    machine = pairs(stage.config.get("hardware"), ("name", "nodes", "devices_per_node"))
    hours = _hours(stage.run)
    return f"{name}: {joined(machine, hours)}" if machine or hours else ""


def _hours(run: Any) -> str:
    try:
        seconds = (datetime.fromisoformat(run["ended"]) - datetime.fromisoformat(run["started"])).total_seconds()
    except (KeyError, TypeError, ValueError):  # not recorded, or by hand
        return ""
    return f"{seconds / 3600:.2f} hours from its last start to its end"


FILLERS = fillers(training, selection, alignment, compute)
