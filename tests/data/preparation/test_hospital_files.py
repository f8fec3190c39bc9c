"""Prepares images as hospitals have them: every sample file of three packages, a dozen broken kinds, no identity."""

import gzip
import io
import json
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
import skimage.data
from documented import commands
from PIL import Image
from pydicom.uid import MPEG2MPML, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGExtended12Bit, JPEGLosslessSV1
from repository import ROOT
from toy_data import compose_config, write_csv
from toy_medical import NAME, list_images, ramp, write_dicom, write_nifti

from vrft_aug.data.datasets.image_settings import ImageSettings
from vrft_aug.data.datasets.image_source import ImageFile
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.rows import contact_sheet
from vrft_aug.errors import InputError

PACKAGES = {"pydicom": Path(pydicom.__file__).parent / "data", "nibabel": Path(nibabel.__file__).parent,
            "skimage": Path(skimage.data.__file__).parent}  # fmt: skip
CODE = (".py", ".pyc", ".pyi")
SPLITS = ("train", "val", "test")


def samples(package):
    """The files that a package ships for tests. scikit-image stands for imageio, whose samples are a download."""
    root = PACKAGES[package]
    found = (path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix not in CODE)
    return [path for path in found if package != "nibabel" or "tests" in path.parts]


def holds_an_image(package, path):
    """Whether the package itself, or Pillow, finds an image in a file that has the form of its kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if path.suffix in (".nii", ".gz") and package == "nibabel" and ".nii" in path.suffixes:
                return isinstance(nibabel.load(path), nibabel.Nifti1Image | nibabel.Nifti2Image)
            if package == "skimage":
                return Image.open(path).mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                return pydicom.dcmread(file).pixel_array.size > 0
        except Exception:
            return False


def prepared(root, out, *overrides):
    return prepare(compose_config("dataset=folder", f"data_root={root}", f"out={out}", *overrides), None)


def linked(root, paths):
    """Links to files in the data set's folder, and their names in it."""
    (root / "folder").mkdir(parents=True, exist_ok=True)
    names = []
    for number, path in enumerate(paths):
        names.append(f"{number}-{path.name}")
        (root / "folder" / names[-1]).symlink_to(path)
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_every_sample_is_read_or_refused_in_one_line(tmp_path, data_root, package):
    paths = samples(package)
    wanted = [path for path in paths if holds_an_image(package, path)]
    assert len(wanted) >= {"pydicom": 95, "nibabel": 10, "skimage": 25}[package]
    manifest = prepared(data_root, tmp_path / "out", f"data_root={listed(data_root, wanted)}")
    assert sum(split["rows"] for split in manifest["splits"].values()) == len(wanted)
    for path in (path for path in paths if path not in wanted):
        with pytest.raises(InputError) as caught:
            ImageFile(path, ImageSettings()).open()
        said = str(caught.value)
        assert said.startswith(f"{path}: ") and "; " in said and "\n" not in said, said


def listed(root, paths):
    list_images(root, linked(root, paths))
    return root


def six(root, path):
    """A list of five good files and the one at `path`, which is first."""
    for number in range(5):
        write_dicom(root / "folder" / f"{number}.dcm", ramp(3000 + 50 * number))
    list_images(root, [path.name, *(f"{number}.dcm" for number in range(5))])


def cut(path, lost=40):
    path.write_bytes(path.read_bytes()[:-lost])


def torn(make):
    """A file that is cut after it was written."""
    return lambda path: cut(make(path))


def replaced(old, new):
    def change(path):
        content = write_dicom(path, ramp()).read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new))

    return change


def save_deep(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 65536, (40, 50), np.uint16)).save(path)
    return path


NOISE = np.random.default_rng(0).integers(0, 2000, (20, 20, 20), np.int16)


def dicom(pixels=None, syntax=ExplicitVRLittleEndian, **changes):
    """A function that writes a DICOM file. pixels: None for a ramp."""
    return lambda path: write_dicom(path, ramp() if pixels is None else pixels, syntax, **changes)


def nifti(values):
    return lambda path: write_nifti(path, values)


def raw(content):
    return lambda path: path.write_bytes(content)


RANDOM = np.random.default_rng(1).bytes(4000)
BROKEN = {  # file, how it is made, what the message says
    "pixels cut": ("a.dcm", torn(dicom()), "DICOM that cannot be read .The number of bytes of pixel data is less"),
    "header cut": ("a.dcm", lambda path: cut(write_dicom(path, ramp()), 300), "DICOM without an image"),
    "no header": ("a.dcm", raw(bytes(4000)), "no DICOM of today's form"),
    "encrypted": ("a.dcm", raw(RANDOM), "no DICOM of today's form"),
    "no image": ("a.dcm", lambda path: write_dicom(path, None), "DICOM without an image .CT Image Storage., or cut"),
    "unknown syntax": ("a.dcm", replaced(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"), "cannot be read"),
    "a film": ("a.dcm", dicom(bytes(900), MPEG2MPML), "cannot be read .*MPEG2"),
    "torn JPEG 2000": ("a.dcm", dicom(b"\xff\x4f\xff\x51" + bytes(90), JPEG2000Lossless), "cannot be read"),
    "torn JPEG": ("a.dcm", dicom(b"\xff\xd8" + bytes(90), JPEGExtended12Bit), "cannot be read"),
    "torn lossless JPEG": ("a.dcm", dicom(b"\xff\xd8\xff\xc3" + bytes(90), JPEGLosslessSV1), "cannot be read"),
    "bits of no kind": ("a.dcm", dicom(BitsAllocated=13), "cannot be read .*13"),
    "palette without colours": ("a.dcm", dicom(PhotometricInterpretation="PALETTE COLOR"), "cannot be read"),
    "window of no width": ("a.dcm", dicom(WindowCenter=4, WindowWidth=-5), "a window of center 4 and width -5"),
    "too many pixels": ("a.dcm", dicom(Rows=60000, Columns=60000), "exceed 32 megapixels"),
    "volume cut": ("a.nii", torn(nifti(NOISE)), "NIfTI that cannot be read .the file ends before its last voxel"),
    "packed volume cut": ("a.nii.gz", torn(nifti(NOISE)), "NIfTI that cannot be read .*ended before the end"),
    "no finite value": ("a.nii", nifti(np.full((4, 4, 4), np.nan)), "no pixel with a finite value"),
    "half of a pair": ("a.hdr", raw(bytes(344) + b"ni1\0" + bytes(4)), "one file of a pair"),
    "16 bits cut": ("a.png", torn(save_deep), "a.png: damaged image"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_gets_one_line_and_leaves_nothing(tmp_path, data_root, kind, capfd):
    name, make, told = BROKEN[kind]
    (data_root / "folder").mkdir(parents=True)
    make(data_root / "folder" / name)
    six(data_root, data_root / "folder" / name)
    with pytest.raises(InputError, match=told) as caught:
        prepared(data_root, tmp_path / "out")
    said = str(caught.value)
    assert "\n" not in said and "; " in said and f"images.csv line 2: {data_root / 'folder' / name}: " in said
    assert not (tmp_path / "out").exists()
    assert capfd.readouterr() == ("", ""), "codecs write to the process's own streams"
    assert not any(part in said for part in (NAME, "Doe", "4711"))


def test_no_identity_is_written(tmp_path, data_root, capfd):
    six(data_root, write_dicom(data_root / "folder" / "a.dcm", ramp(), WindowCenter=40, WindowWidth=400))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        prepared(data_root, tmp_path / "out", "dataset.loader.record=true", "export=trl")
    files = sorted((tmp_path / "out").iterdir())
    told = [str(pq.read_table(path).to_pylist()) for path in files if path.suffix == ".parquet"]
    told += [path.read_text() for path in files if path.suffix != ".parquet"] + [str(one.message) for one in heard]
    told += capfd.readouterr()
    assert len(files) >= 6 and all(NAME in path.read_bytes().decode("latin-1")
                                   for path in (data_root / "folder").glob("*.dcm"))  # fmt: skip
    assert not any(part in text for part in ("Doe", "4711", "Memorial") for text in told)


def test_what_was_done_is_in_the_manifest_and_on_request_in_the_rows(tmp_path, data_root):
    windowed = {"WindowCenter": 40, "WindowWidth": 400, "BurnedInAnnotation": "YES"}
    six(data_root, write_dicom(data_root / "folder" / "a.dcm", ramp(), **windowed))
    manifest = prepared(data_root, tmp_path / "out", "dataset.loader.record=true")
    assert manifest["treatments"] == {"DICOM, rescaled, percentiles 0.5 to 99.5": 5,
                                      "DICOM, rescaled, window of the file": 1}  # fmt: skip
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["treatments"] == manifest["treatments"]
    assert [text for text in manifest["warnings"] if text.startswith("1 image: DICOM says that text is burned")]
    first = pq.read_table(tmp_path / "out" / "train.parquet").to_pylist()[0]["extra_info"]
    assert first["readings"] == [{"treatment": "DICOM, rescaled, window of the file", "window": [40, 400],
                                  "spacing": [0.5, 0.5], "frame": None}]  # fmt: skip
    prepared(data_root, tmp_path / "plain")
    assert "readings" not in pq.read_table(tmp_path / "plain" / "train.parquet").to_pylist()[0]["extra_info"]


@pytest.mark.parametrize("command", [command for command in commands(ROOT / "docs" / "images.md")
                                     if command.words[1] == "recipes/prepare.py"], ids=str)  # fmt: skip
def test_the_documented_commands_prepare_what_the_contact_sheet_shows(tmp_path, data_root, command):
    volume = np.random.default_rng(0).integers(-1000, 1000, (40, 50, 60), np.int16)
    for number in range(6):
        write_nifti(data_root / "folder" / f"{number}.nii", np.roll(volume, number * 9, axis=0))
    list_images(data_root, [f"{number}.nii" for number in range(6)])
    moved = (f"data_root={data_root}", f"out={tmp_path / 'out'}")
    manifest = prepared(data_root, tmp_path / "out", *command.words[2:], *moved)
    assert sum(manifest["treatments"].values()) == 6
    (row, _) = contact_sheet.read_rows([tmp_path / "out" / "train.parquet"], 2)
    image = Image.open(io.BytesIO(row["images"][0]["bytes"])).convert("RGB")
    assert np.array_equal(np.unique(contact_sheet.tile(row)), np.unique(np.asarray(image)))  # enlarged, not changed
    assert contact_sheet.render([row], 1).size[0] == contact_sheet.TILE


@pytest.mark.parametrize("workers", [0, 2])
def test_slices_that_a_list_names_are_rows_of_one_patient(tmp_path, data_root, workers):
    """Without a column `group` the slices of a file stay together; settings reach the processes that open images."""
    volume = np.random.default_rng(0).integers(0, 255, (30, 30, 12), np.int16)
    names = []
    for number in range(6):
        write_nifti(data_root / "folder" / f"{number}.nii.gz", volume * (number + 1))
        names += [f"{number}.nii.gz#{frame}" for frame in (2, 7)]
    rows = [{"image": name, "label": ("negative", "positive")[i % 2]} for i, name in enumerate(names)]
    write_csv(data_root / "folder" / "images.csv", rows)
    window = ("dataset.loader.test=0.34", "dataset.loader.val=0.34", "dataset.loader.window={center: 128, width: 256}")
    prepared(data_root, tmp_path / "out", *window, f"workers={workers}")
    found = {split: pq.read_table(tmp_path / "out" / f"{split}.parquet").to_pylist() for split in SPLITS}
    homes = {row["extra_info"]["source_id"]: split for split, rows in found.items() for row in rows}
    assert sorted(homes) == names and all(homes[f"{i}.nii.gz#2"] == homes[f"{i}.nii.gz#7"] for i in range(6))
    row = next(row for rows in found.values() for row in rows if row["extra_info"]["source_id"] == "0.nii.gz#7")
    picture = np.asarray(Image.open(io.BytesIO(row["images"][0]["bytes"])))
    assert np.array_equal(picture, volume[::-1, ::-1, 7].T)
