"""CSV tables: one error shows the first ten mistakes, with their lines, and paths stay in the table's folder."""

import re
import subprocess
import sys

import numpy as np
import pytest
from repository import ROOT
from toy_data import write_image, write_toy

from vrft_aug.data.datasets import covid19, folder, ham10000, heel
from vrft_aug.data.datasets.csv_file import SHOWN
from vrft_aug.data.datasets.group_split import split_by_group
from vrft_aug.data.datasets.sample import DataWarning
from vrft_aug.errors import InputError

HEADER = "image,label,x1,y1,x2,y2,group,split"
MISTAKES = [  # a line, what the message says of it
    ("1.png,maybe,,,,,,train", "label 'maybe' is not a class"),
    ("2.png,a,,,,,,dev", "split 'dev' is none of train, val, test"),
    ("3.png,a,left,1,2,2,,train", "the box ['left', '1', '2', '2'] is not four numbers"),
    ("4.png,a,20,1,10,2,,train", "the box ['20', '1', '10', '2'] does not fit 0 <= x1 < x2"),
    ("5.png,a", "the header has 8 fields, this line 2"),
    ("6.png,a,,,,,,train,more", "the header has 8 fields, this line 9"),
    ("0.png,b,,,,,,train", "0.png is also in line 2"),
    ("absent.png,a,,,,,,train", "no such image 'absent.png'"),
    ("/etc/passwd,a,,,,,,train", "'/etc/passwd' leaves the folder"),
    ("in/../../secret.png,a,,,,,,train", "'in/../../secret.png' leaves the folder"),
]


def write_table(root, lines, header=HEADER):
    """A table whose first line is right, and ten images beside it."""
    for i in range(10):
        write_image(root / "mine" / f"{i}.png", np.random.default_rng(i))
    (root / "mine" / "images.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def load(root, split="train"):
    return list(folder.load(root, split, csv="mine/images.csv", classes=["a", "b"], test=0.2, val=0.1, seed=0))


def refusal(root):
    with pytest.raises(InputError) as caught:
        load(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_findings_are_read_where_there_is_such_a_column(tmp_path):
    write_table(tmp_path, ["0.png,a,train,two rings", "1.png,b,train,"], "image,label,split,findings")
    assert [sample.findings for sample in load(tmp_path)] == ["two rings", ""]
    write_table(tmp_path, ["0.png,a,train"], "image,label,split")
    assert [sample.findings for sample in load(tmp_path)] == [""]


def test_a_table_with_ten_mistakes_shows_all_ten(tmp_path):
    write_table(tmp_path, ["0.png,a,,,,,,train", *(line for line, _ in MISTAKES)])
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}/mine/images.csv: 10 mistakes: line 3: label 'maybe'")
    parts = re.split(r"line (\d+): ", message)[1:]
    assert parts[::2] == [str(number) for number in range(3, 13)]
    for (_, fault), part in zip(MISTAKES, parts[1::2], strict=True):
        assert fault in part
    assert "more)" not in message and "the data set's YAML are a, b" in message


def test_the_recipe_prints_ten_mistakes_in_one_line_and_writes_nothing(tmp_path):
    write_table(tmp_path, ["0.png,a,,,,,,train", *(line for line, _ in MISTAKES)])
    command = [sys.executable, str(ROOT / "recipes" / "prepare.py"), "dataset=folder", "dataset.classes=[a,b]",
               "dataset.loader.csv=mine/images.csv", f"data_root={tmp_path}", f"out={tmp_path / 'out'}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and all(" ".join(fault.split()) in line for _, fault in MISTAKES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_wrong_split_name_is_one_mistake_of_its_group(tmp_path):
    lines = ["0.png,a,p,trian", "1.png,b,p,train", "2.png,a,p,train", "3.png,a,p,val"]
    write_table(tmp_path, lines, header="image,label,group,split")
    message = refusal(tmp_path)
    assert "2 mistakes: line 2: split 'trian' is none of" in message
    assert "line 5: group 'p' is in train (line 3) and in val; correct" in message


def test_more_than_ten_mistakes_are_counted(tmp_path):
    lines = [f"{i}.png,{'a' if i == 3 else 'c'}" for i in range(10)] + ["x.png,a"] * 3
    write_table(tmp_path, lines, header="image,label")
    message = refusal(tmp_path)
    assert "12 mistakes: line 2: label 'c' is not a class; line 3: label 'c'" in message
    assert len(re.findall(r"line \d+: ", message)) == SHOWN and "line 12: no such image 'x.png'" in message
    assert "x.png is also in" not in message and "(... and 2 more); the classes" in message


def test_one_mistake_is_named_with_its_remedy(tmp_path):
    write_table(tmp_path, ["0.png,a,,,,,,train", "1.png,b,,,,,,tset"])
    assert refusal(tmp_path) == (f"{tmp_path}/mine/images.csv line 3: split 'tset' is none of train, val, test; "
                                 "correct the line")


@pytest.mark.parametrize(("separator", "name"), [(";", "';'"), ("\t", "tabs")])
def test_another_separator_is_recognised(tmp_path, separator, name):
    write_table(tmp_path, [separator.join(("0.png", "a"))], header=separator.join(("image", "label")))
    assert f"no column image, label; line 1 is 'image{separator}label'; it looks separated by {name}: save it with " \
           "commas" in refusal(tmp_path)


@pytest.mark.parametrize(("header", "fault"), [
    ("image,Label", "no column label; line 1 is 'image,Label'; write one line per image"),
    ("image,label,label", "more than one column 'label'"),
    ("image,label", "no line below the header"),
])
def test_a_wrong_header_is_shown(tmp_path, header, fault):
    write_table(tmp_path, ["0.png,a"] if "L" in header else [], header=header)
    assert fault in refusal(tmp_path)


def test_spaces_empty_lines_and_a_byte_order_mark_are_no_mistakes(tmp_path):
    write_table(tmp_path, [" 0.png , a ,train", "", ",,", "1.png,b,train"], header="\ufeffimage , label, split")
    samples = load(tmp_path)
    assert [(sample.source_id, sample.label) for sample in samples] == [("0.png", 0), ("1.png", 1)]
    assert samples[1].place == f"{tmp_path}/mine/images.csv line 5"


def test_a_table_that_is_not_utf8_is_refused(tmp_path):
    write_table(tmp_path, [])
    (tmp_path / "mine" / "images.csv").write_text("image,label\nä.png,a\n", encoding="utf-16")
    assert "images.csv: unreadable CSV" in refusal(tmp_path) and "save it as UTF-8" in refusal(tmp_path)


def test_columns_that_nobody_reads_are_named(tmp_path):
    write_table(tmp_path, ["0.png,a,p1,30"], header="image,label,patient,age")
    with pytest.warns(DataWarning, match=r"images.csv: not read: column patient, age"):
        samples = load(tmp_path)
    assert [(sample.source_id, sample.label) for sample in samples] == [("0.png", 0)], "the row itself is read"


def test_a_link_in_the_folder_may_lead_elsewhere(tmp_path):
    write_table(tmp_path, ["linked/0.png,a,train"], header="image,label,split")
    (tmp_path / "mine" / "linked").symlink_to(tmp_path / "mine")
    assert [sample.source_id for sample in load(tmp_path)] == ["linked/0.png"]


def test_covid19_shows_all_mistakes_and_no_path_climbs(tmp_path):
    write_toy(tmp_path, "covid19")
    table = tmp_path / "covid19" / "metadata.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    lines[1] = lines[1].replace("COVID-00000.jpg", "../../secret.jpg")
    lines[2] = lines[2].rsplit(",", 1)[0] + ",dev"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"2 mistakes: line 2: '.*/../../secret.jpg' leaves .* line 3: subset 'dev'"):
        list(covid19.load(tmp_path, "train"))


def test_heel_boxes_and_ham10000_codes_show_all_mistakes(tmp_path):
    dataset = write_toy(tmp_path, "heel")
    (tmp_path / "heel" / "boxes.csv").write_text("image,x1,y1,x2,y2\n/etc/passwd,1,1,2,2\nNormal/0.png,5,1,2,2\n")
    with pytest.raises(InputError, match=r"2 mistakes: line 2: no image '/etc/passwd' .* line 3: the box"):
        list(heel.load(tmp_path, "train", classes=dataset["classes"], test=0.2, val=0.1, seed=0))
    write_toy(tmp_path, "ham10000")
    with pytest.raises(InputError, match=r"\d\d mistakes: line 2: dx=akiec is none of mel; .* \(... and \d+ more\)"):
        list(ham10000.load(tmp_path, "train", codes=["mel"], test=0.2, val=0.1, seed=0))


@pytest.mark.parametrize(("test", "val"), [(1.5, 0.1), (0.6, 0.5), (-0.1, 0.1), ("many", 0.1)])
def test_impossible_shares_are_refused(test, val):
    with pytest.raises(InputError, match=rf"dataset.loader.test={test}, dataset.loader.val={val}: must be shares"):
        split_by_group([0, 1], ["a", "b"], test, val, seed=0)
