"""Objectives are read from files and mappings, and malformed ones are refused."""

import copy
import pickle
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf
from reward_rows import BOX, BOXES, BREAST, COUNTING, LESIONS, MASS, PIXELS, RETINA, think

from vrft_aug.configs import compose as compose_config
from vrft_aug.errors import InputError
from vrft_aug.rewards import compose, compute_score
from vrft_aug.rewards.objective import FOLDER, check_form, check_knowledge, load
from vrft_aug.rewards.parsing import BOX_TASKS, FORMS, QUESTION, TASKS
from vrft_aug.rewards.term import rewards

NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
PLAIN = load("accuracy")
RIGHT = [
    (BREAST, "normal, benign", think(r"\boxed{normal, benign} <confidence>1</confidence>", "x")),
    (RETINA, "3", think(r"\boxed{3} <confidence>1</confidence>", "x")),
    (PIXELS, BOX, think(f"<answer>{BOX}</answer> <confidence>1</confidence>", "x")),
    (LESIONS, BOXES, think(f"<answer>{BOXES}</answer> <confidence>1</confidence>", "x")),
    (MASS, "none", think(r"\boxed{None} <confidence>1</confidence>", "x")),
]


def changed(task: str, reward: str, spec: object) -> dict:
    objective = copy.deepcopy(PLAIN)
    objective[task][reward] = spec
    return objective


def test_the_paper_s_objectives_are_all_there():
    assert set(NAMES) >= {"accuracy", "mfrs", "iou", "recite_pos", "recite_neg"}


def test_the_rewards_are_the_modules_with_a_reward():
    assert rewards() == ["accuracy", "boxes", "brier", "expected_mfrs", "format", "iou", "kappa", "length", "mfrs",
                         "recitation"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_hydra_and_the_library_read_a_file_alike(name: str):
    with initialize_config_dir(str(FOLDER.parent), version_base=None):
        config = hydra_compose(f"objective/{name}")
    assert OmegaConf.to_container(config.objective, resolve=True) == load(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("row, truth, right", RIGHT, ids=TASKS)
def test_right_answers_score_full_marks(name: str, row: dict, truth: str, right: str):
    score = compute_score("d", right, truth, row, name)["score"]
    assert score == pytest.approx(1.0)  # the one-letter thought recites nothing, so eq. 8 gives 0.9 + 0.1


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_a_task_add_up_to_one_beside_recitation(name: str):
    for terms in compose(name).terms.values():
        assert sum(term.weight for term in terms if term.name != "recitation") == pytest.approx(1.0)


def test_name_mapping_and_composed_are_the_same():
    row, truth, right = RIGHT[1]
    composed = pickle.loads(pickle.dumps(compose("mfrs")))
    by_name, by_mapping, by_composed = (
        compute_score("d", right, truth, row, o) for o in ("mfrs", load("mfrs"), composed)
    )
    assert by_name == by_mapping == by_composed


def test_a_config_is_an_objective_too():
    row, truth, right = RIGHT[1]
    config = compose_config("prepare", ["objective=mfrs"])
    assert compute_score("d", right, truth, row, config.objective) == compute_score("d", right, truth, row, "mfrs")


@pytest.mark.parametrize("row, truth, right", RIGHT, ids=TASKS)
def test_a_reward_sees_the_number_of_tokens(row: dict, truth: str, right: str):
    assert compute_score("d", right, truth, row, COUNTING, tokens=17)["score"] == 17
    assert compute_score("d", right, truth, row, COUNTING)["score"] == -1


def test_mfrs_takes_the_place_of_accuracy_for_grades_alone():
    terms = compose("mfrs").terms
    assert [[term.name for term in terms[task]] for task in TASKS] == [
        ["accuracy", "format"],
        ["format", "mfrs"],
        ["iou", "format"],
        ["boxes", "format"],
        ["accuracy", "format"],
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", TASKS)
def test_an_objective_that_recites_needs_knowledge_and_no_other_does(name: str, task: str):
    recites = name.startswith("recite") and task not in (*BOX_TASKS, QUESTION)
    assert compose(name).needs_knowledge(task) == recites
    check_knowledge(compose(name), task, has_knowledge=True)
    if task == QUESTION and name.startswith("recite"):
        with pytest.raises(InputError, match=r"^objective: recitation: closed questions have no knowledge to recite; "):
            check_knowledge(compose(name), task, has_knowledge=False)
    elif not recites:
        check_knowledge(compose(name), task, has_knowledge=False)


@pytest.mark.parametrize("reference", ["prompt", "knowledge", "classes"])
def test_reciting_without_knowledge_is_refused_whatever_the_reference(reference: str):
    objective = compose(changed("grading", "recitation", {"weight": 0.2, "reference": reference}))
    check_knowledge(objective, "classification", has_knowledge=False)
    line = r"^objective: grading\.recitation: the prompt has no knowledge to recite; .*prompt=knowledge, or choose.*$"
    with pytest.raises(InputError, match=line):
        check_knowledge(objective, "grading", has_knowledge=False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", TASKS)
def test_a_thought_or_a_confidence_that_nobody_asks_for_is_refused(name: str, task: str):
    objective = compose(name)
    for form in FORMS:
        if form == "answer_only" and objective.needs_knowledge(task):
            with pytest.raises(InputError, match=rf"^objective: {task}\.recitation: prompt.form=answer_only asks for"):
                check_form(objective, task, form, asks_confidence=True)
        else:
            check_form(objective, task, form, asks_confidence=True)
    if objective.has("brier", task):
        with pytest.raises(InputError, match=rf"^objective: {task}\.brier: .* no confidence; .* prompt=confidence, or"):
            check_form(objective, task, "think_first", asks_confidence=False)


@pytest.mark.parametrize("name", NAMES)
def test_an_objective_pays_for_a_right_answer_by_one_reward(name: str):
    others = {"mfrs_readers": "expected_mfrs", "kappa": "kappa"}
    grades = others.get(name, "mfrs" if name.endswith("mfrs") else "accuracy")
    assert [compose(name).main(task) for task in TASKS] == [
        ("accuracy",), (grades,), ("iou",), ("boxes",), ("accuracy",)
    ]  # fmt: skip


def test_the_main_rewards_are_the_heavy_ones_whatever_they_are_called():
    def main(**weights: float) -> tuple[str, ...]:
        rewards = {name: {"weight": weight} for name, weight in weights.items()}
        return compose({**PLAIN, "grading": rewards}).main("grading")

    assert main(accuracy=0.5, mfrs=0.4, format=0.1) == ("accuracy", "mfrs")
    assert main(accuracy=0.8, mfrs=0.1) == ("accuracy",)
    assert main(accuracy=0.3, recitation=2.0, format=1.0) == ("accuracy",)
    assert main(format=1.0) == main(format=0.1, length=1.0) == ()


def test_a_share_of_the_score_is_the_weighted_reward_within_its_clip():
    clipped = {term.name: term for term in compose("recite_neg").terms["grading"]}
    assert [clipped["recitation"].share(value) for value in (0.0, 0.25, 0.5, 0.75)] == [0.0, -0.5, -1.0, -1.0]
    assert clipped["accuracy"].share(1.0) == 0.9


@pytest.mark.parametrize(
    "objective, message",
    [
        ("fuzzy", r"unknown objective 'fuzzy'; known: accuracy, boxes, confidence, iou, iou_continuous, "),
        ({"grading": PLAIN["grading"]}, "each task of classification, grading, localization, detection"),
        ([1], "each task"),
        ({**PLAIN, "segmentation": {}}, "each task"),
        ({**PLAIN, "grading": {"format": None}}, "the task grading has no reward"),
        ({**PLAIN, "grading": "mfrs"}, "the task grading has no reward; found 'mfrs'"),
        (changed("grading", "bleu", {"weight": 1}), r"grading\.bleu: unknown reward; known: accuracy, boxes, brier,"),
        (changed("grading", "parsing", {"weight": 1}), "unknown reward"),
        (
            changed("grading", "mfrs", {"weight": 0.9, "credits": [1]}),
            r"grading\.mfrs\.credits: unknown key; known: weight",
        ),
        (changed("grading", "mfrs", {}), "needs {weight"),
        (changed("grading", "mfrs", 0.9), "needs {weight"),
        (changed("grading", "mfrs", {"weight": "0.9"}), "needs {weight"),
        (changed("grading", "mfrs", {"weight": float("nan")}), "needs {weight"),
        (changed("grading", "mfrs", {"weight": 1, "clip": -1}), r"mfrs\.clip: must be a number above 0"),
        (
            changed("grading", "recitation", {"weight": 1, "reference": "promt"}),
            r"recitation\.reference: must be Literal\['prompt', 'knowledge', 'classes'\], found 'promt'",
        ),
        (
            changed("grading", "mfrs", {"weight": 1, "credit": 0.5}),
            r"mfrs\.credit: must be .*Sequence\[float\], found 0.5",
        ),
        (changed("grading", "mfrs", {"weight": 1, "credit": ["1"]}), r"mfrs\.credit: must be"),
        (changed("localization", "iou", {"weight": 1, "threshold": "0.5"}), r"iou\.threshold: must be float \| None"),
        (changed("localization", "iou", {"weight": 1, "inclusive": 0}), r"iou\.inclusive: must be bool, found 0"),
        ({**PLAIN, "grading": {"format": {"weight": print}}}, "plain mapping"),
    ],
)
def test_a_malformed_objective_is_refused_with_its_key(objective: object, message: str):
    with pytest.raises(InputError, match=message):
        compose(objective)


@pytest.mark.parametrize(
    "row, truth, message",
    [
        (None, "x", r"extra_info\.task is None"),
        ({}, "x", r"extra_info\.task is None"),
        ({"task": "captioning"}, "x", "'captioning', not one of"),
        ({"task": "classification"}, "x", r"extra_info\.classes is missing"),
        ({"task": "localization", "image_size": [1, 1]}, BOX, r"extra_info\.frame_size is missing"),
        (BREAST, "cyst", "ground truth 'cyst' is not among the row's classes"),
        (PIXELS, "[1, 2]", "is not a JSON list"),
        (PIXELS, "lesion", "is not a JSON list"),
        (PIXELS, "[9, 9, 1, 1]", "has no area"),
        (LESIONS, BOX, "is not a JSON list of boxes"),
        (LESIONS, "[[9, 9, 1, 1]]", "is not a JSON list of boxes"),
        (LESIONS, "no finding", "is not a JSON list of boxes"),
        (BREAST | {"task": "grading"}, "malignant", "is no integer grade"),
    ],
)
def test_a_malformed_row_is_an_error_and_not_a_zero(row: dict | None, truth: str, message: str):
    response = think(rf"\boxed{{malignant}} <answer>{BOX}</answer>")
    with pytest.raises(InputError, match=message):
        compute_score("breast", response, truth, row, "mfrs")


def test_aliases_count_only_where_the_row_has_them():
    response = think(r"\boxed{Benign}")
    aliased = BREAST | {"aliases": [["cancer"], ["benign", "normal"]]}
    assert compute_score("breast", response, "normal, benign", BREAST)["acc"] == 0.0
    assert compute_score("breast", response, "normal, benign", aliased)["acc"] == 1.0
    assert compute_score("breast", response, "normal, benign", aliased)["prediction"] == "normal, benign"
    assert compute_score("breast", response, "malignant", aliased)["acc"] == 0.0


def test_thresholds_and_credits_follow_the_mapping():
    half = think("<answer>[100, 100, 200, 150]</answer>")  # IoU 0.5 exactly
    eq11 = changed("localization", "iou", {"weight": 0.9, "inclusive": False})
    continuous = changed("localization", "iou", {"weight": 0.9, "threshold": None})
    assert compute_score("d", half, BOX, PIXELS, "iou")["iou"] == 1.0
    assert compute_score("d", half, BOX, PIXELS, eq11)["iou"] == 0.0
    assert compute_score("d", half, BOX, PIXELS, continuous)["iou"] == 0.5
    linear = changed("grading", "mfrs", {"weight": 0.9, "credit": [1, 0.75, 0.5, 0.25]})
    assert compute_score("d", think(r"\boxed{0}"), "3", RETINA, linear)["mfrs"] == 0.25


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "must map each task"),
        ("- accuracy", "must map each task"),
        ("grading: {", "must map each task"),
        ("defaults: [accuracy]", "must end with _self_"),
        ("defaults: [acuracy, _self_]", "unknown objective 'acuracy'"),
    ],
)
def test_a_malformed_file_is_refused_with_its_name(text: str, message: str, tmp_path: Path, monkeypatch):
    for name in NAMES:
        (tmp_path / f"{name}.yaml").write_text((FOLDER / f"{name}.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(text)
    monkeypatch.setattr("vrft_aug.rewards.objective.FOLDER", tmp_path)
    with pytest.raises(InputError, match=message):
        load("mine")
