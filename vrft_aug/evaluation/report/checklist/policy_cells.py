"""Answers a checklist's items about the policy: base model, prompt, answers, software."""

import re
from pathlib import Path

from vrft_aug.evaluation.report.checklist.run_record import RunRecord, at
from vrft_aug.evaluation.report.checklist.training_cells import trained
from vrft_aug.evaluation.report.checklist.wording import fillers, joined, pairs, short
from vrft_aug.evaluation.report.provenance import knowledge_text, tokens_text
from vrft_aug.evaluation.runs import Facts
from vrft_aug.rewards.parsing import BOX_TASKS, QUESTION

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def base_model(record: RunRecord) -> str:
    """The hub id or the config's name of the model before every training here. It names no path of this machine."""
    first = (*record.trainings, record.test)[0]
    path, name = at(first.config, "policy.path"), at(first.config, "policy.name") or record.test.run.get("policy_name")
    is_hub_id = path and HUB_ID.fullmatch(str(path)) and not Path(str(path)).exists()
    return f"{path} (policy={name})" if is_hub_id else short(name) if name else ""


def technology(record: RunRecord) -> str:
    """The kind of AI: what was done to which model."""
    name = base_model(record)
    done = " and then ".join(trained(record)) or "a training whose folder is not known"
    return name and f"{done}; vision-language model {name}"


def stages(record: RunRecord) -> str:
    """Whether the run developed, tuned or only evaluated a model."""
    experiment = record.test.run.get("experiment")
    done = [*trained(record), "evaluation"]
    return joined(", then ".join(done), experiment and f"experiment {short(experiment)}")


def model(record: RunRecord) -> str:
    """Base model, input and output."""
    tokens = tokens_text(Facts(image_tokens=record.test.run.get("image_tokens")))
    seen = tokens and f"input: one image ({tokens} visual tokens) and a text prompt"
    name = base_model(record)
    return joined(name and f"vision-language model {name}", seen, name and "output: text with a thought and an answer")


def model_version(record: RunRecord) -> str:
    """Base model, end of the last training here, commit."""
    ended = [one.run["ended"] for one in record.trainings if one.run.get("ended")]
    return joined(base_model(record), ended and f"last training here ended {ended[-1]}", code(record))


def initialisation(record: RunRecord) -> str:
    """Which weights the training started from."""
    name = base_model(record)
    return joined(name and f"the weights of {name}", ", then ".join(trained(record)))


def ensembling(record: RunRecord) -> str:
    """Whether several answers were joined."""
    sampling = record.test.run.get("sampling") or {}
    if not sampling:
        return ""
    if sampling["n"] == 1:
        return f"none: one answer per image, temperature {sampling['temperature']}"
    return f"vote of {sampling['n']} samples of one policy per image, temperature {sampling['temperature']}"


def generation(record: RunRecord) -> str:
    """Prompt and settings of the answers."""
    limits = pairs(record.test.config.get("policy"), ("max_prompt_length", "max_response_length"))
    return joined(prompt(record), ensembling(record), limits, pairs(record.test.run, ("seed",)))


def prompt(record: RunRecord) -> str:
    """Template, knowledge and checksum of the prompt."""
    known = record.manifest.get("prompt") or record.test.config.get("prompt") or {}
    if not known.get("name"):
        return ""
    checksum = known.get("sha256") and f"SHA-256 of its text {known['sha256'][:16]}…"
    asks = at(record.manifest, "task") == QUESTION
    template = QUESTION if asks else known.get("template")
    order = f"{'options' if asks else 'classes'} in {known.get('class_order')} order"
    if asks and at(record.dataset, "loader.shuffle"):
        order = f"options of each question in an order drawn by seed {at(record.dataset, 'loader.seed')}"
    return joined(f"prompt {short(known['name'])}, template {template}.jinja", order, checksum)


def prompt_data(record: RunRecord) -> str:
    """What the prompt says about the classes, and who reviewed it."""
    if not record.test.run.get("prompt"):
        return ""
    facts = Facts(knowledge=record.test.run.get("knowledge"))
    if at(record.manifest, "task") == QUESTION:
        return "the question and its options; no image or label"
    return knowledge_text(facts) or "none: the prompt names the classes alone and holds no image or label"


def output(record: RunRecord) -> str:
    """What the policy writes and what is made of it."""
    if (task := at(record.manifest, "task")) in BOX_TASKS:
        what = "one box" if task == "localization" else "boxes, or an empty list,"
        return f"raw: text; processed: the {what} in its answer tags, in pixels; else the answer is rejected"
    what = "option" if task == QUESTION else "class"
    found = f"the one {what} in its \\boxed{{...}}"
    return f"raw: text; processed: {found}; else the answer is rejected and counts as wrong"


def software(record: RunRecord) -> str:
    """Versions of the libraries and the commit of the code."""
    return joined(", ".join(f"{name} {number}" for name, number in (record.test.run.get("versions") or {}).items()),
                  code(record))  # fmt: skip


def code(record: RunRecord) -> str:
    """The code's version. It is under Apache-2.0."""
    versions = record.test.run.get("versions") or {}
    commit, number = record.test.run.get("git_commit"), versions.get("vrft-aug")
    return joined(number and f"VRFT-Aug {number} (Apache-2.0)", commit and f"commit {commit}")


FILLERS = fillers(technology, stages, model, model_version, initialisation, ensembling, generation, prompt,
                  prompt_data, output, software, code)  # fmt: skip
