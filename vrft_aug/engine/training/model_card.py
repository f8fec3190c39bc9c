"""The model card (README.md) that goes with an exported policy: where it comes from, what it may be used for."""

import json
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData
from omegaconf import DictConfig, OmegaConf

import vrft_aug
from vrft_aug.engine.training.checkpoints import read_steps

TEMPLATE = Path(__file__).with_name("model_card.jinja")
KINDS = {"grpo": "reinforcement fine-tuning (GRPO)", "sft": "supervised fine-tuning"}


def write(policy: Path, config: DictConfig, run: Path) -> None:
    """Write `policy`/README.md from the training's config and its folder `run` (run.json, metrics.jsonl).

    A card names no path of this machine. Its front matter keeps the base model and `trained_by`, every training since,
    across trainings that start from one another's policy.
    """
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    step, dataset = record["exported_step"], OmegaConf.to_container(config.dataset, resolve=True)
    before = _card_of(record["policy"])
    hub_id = None if Path(record["policy"]).exists() else record["policy"]
    objective = f", objective {record['objective']}" if record["recipe"] == "grpo" else ""
    settings = f"prompt {record['prompt']}{objective}, step {step}"
    training = f"{KINDS[record['recipe']]} on {dataset['title']} (licence: {dataset['licence']}), {settings}"
    data = ModelCardData(
        base_model=before.get("base_model") or hub_id or config.policy.name,
        library_name="transformers",
        pipeline_tag="image-text-to-text",
        license="other",
        license_name="see-the-licence-section",
        tags=["medical-imaging", "vrft-aug", record["recipe"], dataset["name"]],
        trained_by=[*before.get("trained_by", []), training],
    )
    metrics = {name: value for name, value in read_steps(run / "metrics.jsonl").get(step, {}).items()
               if name.startswith(("val-core/", "val/"))}  # fmt: skip
    card = ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        title=f"{record['experiment'] or record['recipe']} on {dataset['title']}",
        kind=KINDS[record["recipe"]],
        dataset=dataset,
        record=record,
        config=config,
        metrics=metrics,
        version=vrft_aug.__version__,
    )
    temporary = policy / ".README.md"
    temporary.write_text(card.content, encoding="utf-8")
    temporary.rename(policy / "README.md")


def _card_of(policy: str) -> dict:
    """Front matter of the card of the policy from which the training started; empty where it is none of ours."""
    file = Path(policy) / "README.md"
    front = ModelCard.load(file).data.to_dict() if file.is_file() else {}
    return front if "trained_by" in front else {}
