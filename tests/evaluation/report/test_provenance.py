"""What a report says about the knowledge of a run's prompt, and about what its training held frozen."""

import pytest

from vrft_aug.evaluation.report.provenance import FROZEN, ROWS, about, knowledge_text
from vrft_aug.evaluation.runs import Facts


@pytest.mark.parametrize(("knowledge", "text"), [
    (None, ""), ({"unreviewed": 4, "entries": 5}, "PA_P with 4 of 5 entries unreviewed"),
    ({"unreviewed": 0, "entries": 5}, "PA_P with 0 of 5 entries unreviewed"),
    ({"unreviewed": None, "entries": 4}, "PA_P from the config"),
])  # fmt: skip
def test_the_knowledge_of_a_file_is_reviewed_or_not_and_that_of_the_config_neither(knowledge, text):
    assert knowledge_text(Facts(knowledge=knowledge)) == about(Facts(knowledge=knowledge)) == text


@pytest.mark.parametrize(("freeze", "text"), [
    (None, ""), ("none", ""), ("vision", "the vision tower without its mergers"), ("language", "the language model"),
])  # fmt: skip
def test_what_was_frozen_is_said(freeze, text):
    facts = Facts(freeze=freeze)
    assert ROWS[FROZEN](facts) == text
    assert about(facts) == (text and f"frozen: {text}")
