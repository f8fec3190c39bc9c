"""Says what a run had beside its data set's name: labels used, visual tokens, and knowledge that nobody reviewed."""

from vrft_aug.evaluation.runs import Facts, Training

LABELS = "Labels used (train + validation)"
TOKENS = "Visual tokens per image"
KNOWLEDGE = "Knowledge in the prompt"


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


ROWS = {LABELS: labels_text, TOKENS: tokens_text, KNOWLEDGE: knowledge_text}  # rows of a result table


def about(facts: Facts) -> str:
    """Everything that is recorded, in one line; '' if nothing is."""
    labels, tokens = labels_text(facts), tokens_text(facts)
    parts = [labels and f"labels used: train + validation {labels}", tokens and f"visual tokens per image: {tokens}"]
    return "; ".join(filter(None, [*parts, knowledge_text(facts)]))


def training_line(one: Training) -> str:
    """'grpo on retina: steps 0 to 120; labels used: ...': what a report says about a training beside its curves."""
    dataset, steps, facts = one.facts.dataset, one.steps.index, about(one.facts)
    return f"{one.name}{dataset and ' on ' + dataset}: steps {steps.min()} to {steps.max()}{facts and '; ' + facts}"
