"""Compares the page with the tables that the code prints, and the estimate with what must be true of it."""

import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from dataclasses import fields

from vrft_aug.experiments import at_scale
from vrft_aug.experiments.model_size import count
from vrft_aug.experiments.step_time import Assumed

PAGE = (ROOT / "docs" / "at-scale.md").read_text().splitlines()


def work(hardware: str = "gpu_2x80g", **changes):
    """Keys of the config, with __ for a dot."""
    keys = {key.replace("__", "."): value for key, value in changes.items()}
    return at_scale.work(at_scale.changed(hardware, "qwen2_5_vl_3b", keys), at_scale.GPUS[1])


@pytest.mark.parametrize("table", ["steps", "thousand", "assumptions"])
def test_the_page_shows_the_table_that_the_code_prints(table):
    assert [line for line in getattr(at_scale, table)() if line not in PAGE] == []


def test_every_assumption_is_explained():
    assert list(at_scale.REASONS) == [field.name for field in fields(Assumed)]
    assert any("Nobody has measured" in line for line in PAGE)


def test_the_flop_of_a_token_are_about_two_per_weight():
    one = work()
    text = count(one.model.get_decoder())
    more = one.flop(1001) - one.flop(1000)
    assert 2 * text < more < 2 * text * 1.1  # attention at a thousand tokens
    assert one.visual == 361


def test_what_makes_a_step_faster():
    base, half = work().step(), work(data__train_batch_size=128).step()
    assert half.update == pytest.approx(base.update / 2) and half.reference == pytest.approx(base.reference / 2)
    assert work(hardware__workers=4).step().queue == pytest.approx(base.queue / 2)
    assert work(hardware__lora_rank=32).step().update == pytest.approx(base.update * 3 / 4)
    assert sum(work(hardware__devices_per_node=8).step()) < sum(base)


def test_the_pixels_are_those_of_every_sample():
    assert work().queue_bytes() == 256 * 8 * 361 * 4 * 1176 * 2


def test_shards_within_a_node_gather_faster_and_save_more():
    thousand = at_scale.THOUSAND
    all_gpus, of_a_node = (work("multi_node", **thousand, **more) for more in ({}, {at_scale.SHARDS: 8}))
    assert (all_gpus.shards, of_a_node.shards) == (1000, 8)
    assert of_a_node.step().weights < all_gpus.step().weights / 10
    assert of_a_node.saved_bytes() == 125 * all_gpus.saved_bytes()


def test_a_machine_on_which_nothing_fits_has_no_line(monkeypatch):
    monkeypatch.setattr(at_scale, "LORA", {"hardware.device_gigabytes": 16})
    assert at_scale.machine("qwen2_5_vl_7b", 1) == (None, "does not fit")
    assert at_scale.machine("qwen2_5_vl_3b", 2)[1] == "all weights"
