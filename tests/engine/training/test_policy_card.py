"""The model card of an exported policy."""

import json

import pytest
from omegaconf import OmegaConf

pytest.importorskip("huggingface_hub", reason="the training stack is not installed (make setup)")

from huggingface_hub import ModelCard

from vrft_aug.engine.training import model_card

DATASET = {"name": "derma", "title": "DermaMNIST", "modality": "skin", "licence": "CC BY-NC 4.0", "source": "S"}
EXPECTED = (
    "Not a medical device",
    "CC BY-NC 4.0",
    "step 20 of 25, the best by val-core/*/acc/mean@*",
    "commit abc",
    "| val-core/derma/acc/mean@1 | 0.7500 |",
    "| training images per class | 20 |",
    "| objective | accuracy |",
    "| variant of GRPO | dapo |",
    "| labels used | 140 for training + 70 for validation |",
    "| visual tokens per image | 334 to 361 |",
    "(PA_P with 6 of 7 entries unreviewed by a person)",
    "`make reporting-checklist RUN=<folder of that evaluation>`",
)


def training(folder, start: str, recipe: str, selected_by: dict | None, unreviewed: int | None = 6, **more):
    """Write the folder of a finished training, and return the card that its policy gets."""
    folder.mkdir()
    (folder / "policy").mkdir()
    record = {"recipe": recipe, "experiment": "v_rft", "policy": start, "prompt": "knowledge", "objective": "accuracy",
              "variant": "dapo", "shots": 20, "steps": 25, "exported_step": 20, "selected_by": selected_by,
              "git_commit": "abc", "versions": {"verl": "0.9.1"}, "labels": {"train": 140, "val": 70},
              "image_tokens": {"least": 334, "most": 361},
              "knowledge": {"unreviewed": unreviewed, "entries": 7}} | more  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record))
    line = {"step": 20, "data": {"val-core/derma/acc/mean@1": 0.75, "critic/score/mean": 0.5}}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    config = {"dataset": DATASET, "prompt": {"knowledge": True}, "policy": {"name": "tiny", "path": start}, "seed": 0,
              "data": {"train_batch_size": 32}}  # fmt: skip
    model_card.write(folder / "policy", OmegaConf.create(config), folder)
    return ModelCard.load(folder / "policy" / "README.md")


def test_the_card_says_what_the_policy_is_and_is_not(tmp_path):
    card = training(tmp_path / "run", "org/model", "grpo", {"metric": "val-core/*/acc/mean@*", "value": 0.75})
    assert card.data.base_model == "org/model"
    assert card.data.library_name == "transformers"
    assert not [text for text in EXPECTED if text not in card.text]
    assert "critic/score" not in card.text
    assert str(tmp_path) not in card.content


def test_the_card_says_what_the_training_held_frozen(tmp_path):
    card = training(tmp_path / "run", "org/model", "grpo", None, freeze="vision+merger")
    assert "| frozen while training | the vision tower |" in card.text
    assert card.data.to_dict()["trained_by"][0].endswith("variant dapo, the vision tower frozen, step 20")
    for number, more in enumerate(({}, {"freeze": "none"})):
        assert "frozen" not in training(tmp_path / str(number), "org/model", "grpo", None, **more).content


def test_knowledge_in_the_config_has_no_reviews(tmp_path):
    card = training(tmp_path / "run", "org/model", "sft", None, unreviewed=None)
    assert "visual attributes (PA_P from the config) |" in card.text and "unreviewed" not in card.text


def test_a_training_from_a_trained_policy_keeps_its_history(tmp_path):
    training(tmp_path / "first", "org/model", "sft", None)
    card = training(tmp_path / "second", str(tmp_path / "first" / "policy"), "grpo", None)
    assert card.data.base_model == "org/model"
    assert [entry.split(" on ")[0] for entry in card.data.to_dict()["trained_by"]] == [
        "supervised fine-tuning",
        "reinforcement fine-tuning (GRPO)",
    ]
    assert "step 20 of 25, the last" in card.text
    assert str(tmp_path) not in card.content


def test_a_local_model_of_somebody_else_is_named_by_its_group(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "README.md").write_text("---\nbase_model: someone/else\n---\nTheirs.\n")
    card = training(tmp_path / "run", str(tmp_path / "base"), "sft", None)
    assert card.data.base_model == "tiny"
    assert "| objective |" not in card.text
