"""A table is parsed once as long as its bytes stay the same, and nobody sees the mistakes that another reader noted."""

import os

import pytest

from vrft_aug.data.datasets import csv_file
from vrft_aug.data.datasets.csv_file import read_table


@pytest.fixture
def parsed(monkeypatch):
    """How many rows were parsed."""
    seen, parse = [], csv_file._rows

    def counted(*arguments):
        for row in parse(*arguments):
            seen.append(row)
            yield row

    monkeypatch.setattr(csv_file, "_rows", counted)
    return seen


def read(path):
    return read_table(path, ("image",), ("label",), "remedy")


def test_a_file_is_parsed_again_after_a_change_alone(tmp_path, parsed):
    path = tmp_path / "list.csv"
    path.write_text("image,label\na.png,cat\nb.png,dog\n")
    first, again = read(path), read(path)
    assert len(parsed) == 2 and [*first.rows] == [*again.rows] == parsed
    assert first.rows[1] == {"#": "3", "image": "b.png", "label": "dog"}
    state = path.stat()
    path.write_text("image,label\na.png,cat\nb.png,cow\n")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # the same size and time
    assert read(path).rows[1]["label"] == "cow" and len(parsed) == 4


def test_mistakes_are_those_of_one_reader(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("image,label\na.png,cat\na.png,dog\n")
    first = read(path)
    first.add(first.rows[0], "not a cat")
    assert [fault for _, fault, _ in first.mistakes] == ["a.png is also in line 2", "not a cat"]
    assert [fault for _, fault, _ in read(path).mistakes] == ["a.png is also in line 2"]
