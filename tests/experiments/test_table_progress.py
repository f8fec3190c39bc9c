"""What a table says about its cells, with the time that is left."""

from pathlib import Path

import pytest
from local_jobs import cell

from vrft_aug.experiments import table_progress
from vrft_aug.experiments.stages import Stage


def stage(name: str, recipe: str) -> Stage:
    return Stage(name, recipe, (), Path(name))


@pytest.fixture
def now(monkeypatch) -> list[float]:
    """Minutes of the clock, to be set by a test."""
    minutes = [0.0]
    monkeypatch.setattr(table_progress.time, "monotonic", lambda: 60 * minutes[0])
    return minutes


@pytest.mark.parametrize(("beside", "left"), [(["evaluate"], 3 * 6), ([], 3 * 6 + 3 * 2)])
def test_the_time_left_is_said_once_a_stage_of_each_recipe_has_ended(now, beside, left):
    """A test takes 2 minutes here, a training 6; then three of each are left."""
    work = [(cell("a"), [stage("test_a", "evaluate")])]
    work += [(cell(name), [stage(f"train_{name}", "grpo"), stage(f"test_{name}", "evaluate")]) for name in "bcde"]
    said: list[str] = []
    progress = table_progress.Progress(work, {one for _, stages in work for one in stages}, said.append, beside)
    for one in [*work[0][1], *work[1][1]]:
        progress.begin(one)
        now[0] += {"grpo": 6, "evaluate": 2}[one.recipe]
        progress.end({one}, {})
    assert said == [
        "cell 1/5  tiny/toy-all/a: test_a", "cell 1/5  tiny/toy-all/a: done; 2 min",
        "cell 2/5  tiny/toy-all/b: train_b", "cell 2/5  tiny/toy-all/b: test_b",
        f"cell 2/5  tiny/toy-all/b: done; 10 min, about {left} min left",
    ]  # fmt: skip
