"""Says what a run had beside its data set: training data, variant, frozen parts, labels, visual tokens, knowledge."""

from vrft_aug.engine.run.freezing import MEANING
from vrft_aug.evaluation.runs import Facts, Training

LABELS = "Labels used (train + validation)"
TOKENS = "Visual tokens per image"
VARIANT = "Variant of GRPO"
FROZEN = "Frozen while training"
KNOWLEDGE = "Knowledge in the prompt"
EXTERNAL = "External test set: trained on"
EXTERNAL_MEANING = (
    "External test set: the policy was trained on another data set. Logistic regression was trained on the training "
    "rows of the tested one, if it has any."
)


def labels_text(facts: Facts) -> str:
    """'1080 + 120'; '' if no training is known."""
    return f"{facts.labels['train']} + {facts.labels['val']}" if facts.labels else ""


def tokens_text(facts: Facts) -> str:
    """'64', or '64–324' if the images differ; '' if not recorded."""
    tokens = facts.image_tokens
    return "–".join(map(str, dict.fromkeys((tokens["least"], tokens["most"])))) if tokens else ""


def knowledge_text(facts: Facts) -> str:
    """'PA_P with 5 of 5 entries unreviewed', 'PA_P from the config'; '' if the prompt has no knowledge."""
    knowledge = facts.knowledge
    if not knowledge:
        return ""
    if knowledge["unreviewed"] is None:
        return "PA_P from the config"
    return f"PA_P with {knowledge['unreviewed']} of {knowledge['entries']} entries unreviewed"


def external_text(facts: Facts) -> str:
    """'clinic_a', the training data of a policy that is tested on another data set; '' if it is the same or unknown."""
    return ", ".join(facts.trained_on or []) if facts.external else ""


def variant_text(facts: Facts) -> str:
    """'dapo': the file of conf/variant; '' without GRPO, or if it is not recorded."""
    return facts.variant or ""


def frozen_text(facts: Facts) -> str:
    """'the vision tower'; '' if the training froze nothing, or if it is not recorded."""
    return MEANING.get(facts.freeze or "", "")


# rows of a result table
ROWS = {EXTERNAL: external_text, VARIANT: variant_text, FROZEN: frozen_text, LABELS: labels_text, TOKENS: tokens_text,
        KNOWLEDGE: knowledge_text}  # fmt: skip


def about(facts: Facts) -> str:
    """Everything that is recorded, in one line; '' if nothing is."""
    labels, tokens = labels_text(facts), tokens_text(facts)
    variant, frozen = variant_text(facts), frozen_text(facts)
    parts = [variant and f"variant {variant}", frozen and f"frozen: {frozen}",
             labels and f"labels used: train + validation {labels}",
             tokens and f"visual tokens per image: {tokens}"]  # fmt: skip
    return "; ".join(filter(None, [*parts, knowledge_text(facts)]))


def training_line(one: Training) -> str:
    """'grpo on retina: steps 0 to 120; labels used: ...': what a report says about a training beside its curves."""
    dataset, steps, facts = one.facts.dataset, one.steps.index, about(one.facts)
    return f"{one.name}{dataset and ' on ' + dataset}: steps {steps.min()} to {steps.max()}{facts and '; ' + facts}"
