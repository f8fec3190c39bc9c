"""A sequence in columns behaves like a list, and a million rows of it fit into memory."""

import tracemalloc

import pyarrow as pa
import pytest

from vrft_aug.data import columns
from vrft_aug.data.columns import Columns

SCHEMA = pa.schema({"name": pa.string(), "number": pa.int64(), "hash": pa.binary()})


@pytest.mark.parametrize("number", [0, 1, 3, 4, 11])
def test_it_is_the_same_as_a_list(monkeypatch, number):
    monkeypatch.setattr(columns, "BATCH", 4)
    expected = [(f"ä{i}", i - 3, bytes([i])) for i in range(number)]
    made = Columns(SCHEMA, tuple)
    for values in expected:
        made.append(values)
    assert len(made) == number and bool(made) == bool(expected)
    assert list(made) == expected == [made[i] for i in range(number)]
    assert made[-2:] == expected[-2:] and made[1:9:3] == expected[1:9:3]
    assert made[-1:] == expected[-1:] and (not number or made[-1] == expected[-1])
    with pytest.raises(IndexError):
        made[number]
    assert [tuple(row.values()) for row in made.table().to_pylist()] == expected


def test_it_takes_a_fraction_of_a_list_of_dicts():
    def grown(make):
        tracemalloc.start()
        before = pa.total_allocated_bytes()
        kept = make()
        traced = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return (traced + pa.total_allocated_bytes() - before) / len(kept)

    def packed():
        made = Columns(SCHEMA, tuple)
        for i in range(40960):
            made.append((f"images/{i:07d}.png", i, bytes(32)))
        return made

    as_dicts = grown(lambda: [{"name": f"images/{i:07d}.png", "number": i, "hash": bytes(32)} for i in range(40960)])
    assert grown(packed) < 100 < 300 < as_dicts
