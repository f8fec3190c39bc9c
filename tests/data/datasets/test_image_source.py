"""Image files with settings: 16 and 32 bits, chosen pages, and 8-bit files exactly as other data sets read them."""

import pickle

import numpy as np
import pytest
from PIL import Image

from vrft_aug.data.datasets.image_files import open_image
from vrft_aug.data.datasets.image_settings import ImageSettings, split_frame
from vrft_aug.data.datasets.image_source import ImageFile
from vrft_aug.data.datasets.windows import Percentiles, Window
from vrft_aug.errors import InputError

WHOLE = ImageSettings(Percentiles(0, 100))
RAMP = np.linspace(0, 65535, 48).round().astype(np.uint16).reshape(6, 8)


def opened(path, settings=WHOLE):
    return open_image(ImageFile(path, settings))


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_sixteen_bits_become_256_greys(tmp_path, name):
    Image.fromarray(RAMP).save(tmp_path / name)
    picture = opened(tmp_path / name)
    assert np.array_equal(np.asarray(picture.image), np.rint(RAMP / 257).astype(np.uint8))
    assert picture.reading[:2] == ("grey of 16 bits, percentiles 0 to 100", (32767.5, 65535))
    narrow = np.asarray(opened(tmp_path / name, ImageSettings(Window(30000, 2000))).image)
    assert np.array_equal(narrow, np.rint(255 * ((RAMP - 29999.5) / 1999 + 0.5).clip(0, 1)))


def test_a_tiff_whose_zero_is_white(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.tiff", tiffinfo={262: 0})
    assert Image.open(tmp_path / "a.tiff").tag_v2[262] == 0
    picture = opened(tmp_path / "a.tiff")
    assert np.array_equal(np.asarray(picture.image), 255 - np.rint(RAMP / 257).astype(np.uint8))
    assert picture.reading.treatment.endswith("inverted")


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_values_of_32_bits(tmp_path, kind):
    Image.fromarray((RAMP.astype(np.int64) * 3 - 70000).astype(kind)).save(tmp_path / "a.tiff")
    picture = opened(tmp_path / "a.tiff")
    assert np.abs(np.asarray(picture.image) - RAMP / 257.0).max() <= 0.5 + 1e-3
    assert picture.reading.treatment == "grey of 32 bits, percentiles 0 to 100"


@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize(("frame", "index"), [(None, 0), (0, 0), (2, 2), ("middle", 1)])
def test_a_page_of_several(tmp_path, deep, frame, index):
    pages = [Image.fromarray(RAMP // (i + 1) if deep else (RAMP >> 8 + i).astype(np.uint8)) for i in range(3)]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    picture = opened(tmp_path / "a.tiff", ImageSettings(Window(32767.5, 65536), frame))
    expected = np.asarray(pages[index]) / (257 if deep else 1)
    assert np.abs(np.asarray(picture.image) - expected).max() <= 0.51
    assert picture.note == ("several pages, of which the first is used" if frame is None else "")
    with pytest.raises(InputError, match=r"a.tiff: no frame 3, of 3 pages; they count from 0"):
        opened(tmp_path / "a.tiff", WHOLE.at(3))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp", "a.tiff", "a.gif"])
@pytest.mark.parametrize("settings", [ImageSettings(), ImageSettings(Window(40, 400)), ImageSettings(frame="middle")])
def test_eight_bits_are_read_as_other_data_sets_read_them(tmp_path, name, settings):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)).save(tmp_path / name)
    with_settings, without = opened(tmp_path / name, settings), open_image(tmp_path / name)
    assert with_settings.encoded == without.encoded and with_settings[2:] == without[2:] == ("", None)


def test_it_travels_to_another_process(tmp_path):
    file = ImageFile(tmp_path / "a.png", WHOLE.at(3))
    assert pickle.loads(pickle.dumps(file)) == file


@pytest.mark.parametrize(("entry", "file", "frame"), [
    ("a/scan.nii.gz#57", "a/scan.nii.gz", 57), ("a.png", "a.png", None), ("a#1.png", "a#1.png", None),
    ("a.dcm#", "a.dcm#", None), ("a.dcm#-1", "a.dcm#-1", None), ("#3", "#3", None),
])  # fmt: skip
def test_a_list_may_name_a_frame(entry, file, frame):
    assert split_frame(entry) == (file, frame)


@pytest.mark.parametrize(("keys", "told"), [
    ((None, -1, "axial"), "dataset.loader.frame=-1: write an index"), ((None, True, "axial"), "frame=True"),
    ((None, "last", "axial"), "frame=last"), ((None, None, "top"), "dataset.loader.axis=top: no such axis"),
    (("lungs", None, "axial"), "dataset.loader.window=lungs: no such window"),
])  # fmt: skip
def test_settings_check_themselves(keys, told):
    with pytest.raises(InputError, match=told):
        ImageSettings.of(*keys)
