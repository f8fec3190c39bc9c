"""Writes the model card (README.md) of an exported policy: where it comes from, and what it may be used for."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from omegaconf import DictConfig

import vrft_aug
from vrft_aug.engine.run import metrics_file
from vrft_aug.engine.run.freezing import MEANING
from vrft_aug.files import write_whole

TEMPLATE = Path(__file__).with_name("model_card.jinja")
KINDS = {"grpo": "reinforcement fine-tuning (GRPO)", "sft": "supervised fine-tuning"}


def write(policy: Path, config: DictConfig, run: Path) -> None:
    """Write `policy`/README.md from the training's config and its folder `run` (run.json, metrics.jsonl).

    The card names no path of this machine. Its front matter names the base model and, in `trained_by`, every training
    since: a training that starts from a trained policy copies them from that policy's card.
    """
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    step, dataset = record["exported_step"], config.dataset
    before = _card_of(record["policy"])
    hub_id = None if Path(path := config.policy.path or "").exists() else path
    reward = f", objective {record['objective']}, variant {record['variant']}" if record["recipe"] == "grpo" else ""
    frozen = MEANING.get(record.get("freeze"), "")
    settings = f"prompt {record['prompt']}{reward}, {f'{frozen} frozen, ' if frozen else ''}step {step}"
    training = f"{KINDS[record['recipe']]} on {dataset.title} (licence: {dataset.licence}), {settings}"
    data = ModelCardData(
        base_model=before.get("base_model") or hub_id or config.policy.name,
        library_name="transformers",
        pipeline_tag="image-text-to-text",
        license="other",
        license_name="see-the-licence-section",
        tags=["medical-imaging", "vrft-aug", record["recipe"], dataset.name],
        trained_by=[*before.get("trained_by", []), training],
    )
    logged = metrics_file.read_steps(run / metrics_file.NAME).get(step, {})
    metrics = {name: value for name, value in logged.items() if name.startswith(("val-core/", "val/"))}
    title = f"{record['experiment'] or record['recipe']} on {dataset.title}"
    card = ModelCard.from_template(data, template_path=str(TEMPLATE), title=title, kind=KINDS[record["recipe"]],
                                   dataset=dataset, record=record, config=config, metrics=metrics, frozen=frozen,
                                   version=vrft_aug.__version__)  # fmt: skip
    write_whole(policy / "README.md", card.content)


def _card_of(policy: str) -> dict[str, Any]:
    """The front matter of the card of a policy; empty if we did not write the card."""
    file = Path(policy) / "README.md"
    front = ModelCard.load(file).data.to_dict() if file.is_file() else {}
    return front if "trained_by" in front else {}
