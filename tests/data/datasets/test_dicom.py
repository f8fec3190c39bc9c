"""DICOM: windowed as pydicom windows it, every photometric interpretation, frames, enhanced objects, no identity."""

import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from toy_medical import ramp, write_dicom

from vrft_aug.data.datasets.dicom import TAGS, read_dicom
from vrft_aug.data.datasets.image_settings import ImageSettings
from vrft_aug.data.datasets.windows import Percentiles, Window
from vrft_aug.errors import InputError

OWN = ImageSettings()
WINDOWED = ["693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm",
            "MR_small_jpeg_ls_lossless.dcm", "dicomdirtests/98892001/CT5N/2062", "dicomdirtests/77654033/CT2/17106",
            "dicomdirtests/98892003/MR1/15820", "dicomdirtests/77654033/CR1/6154", "examples_overlay.dcm"]  # fmt: skip


def shipped(name):
    """A file that pydicom's package holds."""
    return Path(get_testdata_file(name, download=False))


def grey(path, settings=OWN):
    return np.asarray(read_dicom(path, settings).image)


def by_pydicom(path):
    """The file's own window by pydicom's functions, from their range of output to 0..255."""
    file = pydicom.dcmread(path)
    shown = apply_voi_lut(apply_modality_lut(file.pixel_array, file), file)
    low, high = -(2 ** (file.BitsStored - 1)) * file.PixelRepresentation, 2**file.BitsStored - 1
    high += low
    slope, intercept = file.get("RescaleSlope", 1), file.get("RescaleIntercept", 0)
    low, high = low * slope + intercept, high * slope + intercept
    if sequence := file.get("VOILUTSequence"):
        low, high = 0, 2 ** sequence[0].LUTDescriptor[2] - 1
    level = (shown - low) / (high - low) * 255
    return 255 - level if file.PhotometricInterpretation == "MONOCHROME1" else level


@pytest.mark.parametrize("name", WINDOWED)
def test_the_files_own_window_is_pydicoms(name):
    path = shipped(name)
    expected = by_pydicom(path)
    assert np.abs(grey(path) - expected).max() <= 0.5 + 1e-6 and np.ptp(expected) > 0


@pytest.mark.parametrize(("name", "plain"), [
    ("MR_small_RLE.dcm", "MR_small.dcm"), ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
    ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"), ("MR_small_bigendian.dcm", "MR_small.dcm"),
    ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb_rle.dcm"), ("rtdose_rle.dcm", "rtdose.dcm"),
])  # fmt: skip
def test_compression_without_loss_loses_nothing(name, plain):
    assert np.array_equal(grey(shipped(name)), grey(shipped(plain)))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_each_function_is_pydicoms(tmp_path, function, photometric):
    path = write_dicom(tmp_path / "a", ramp(), WindowCenter=[40, 900], WindowWidth=[400, 9], VOILUTFunction=function,
                       PhotometricInterpretation=photometric)  # fmt: skip
    assert np.abs(grey(path) - by_pydicom(path)).max() <= 0.5 + 1e-6
    assert read_dicom(path, OWN).reading.window == (40, 400)


def table(entries, first, bits):
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [len(entries), first, bits], [int(entry) for entry in entries]
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "US"
    return [item]


def test_a_look_up_table_wins_over_a_window_and_is_pydicoms(tmp_path):
    rising = np.sqrt(np.arange(2000) / 1999) * 4095
    path = write_dicom(tmp_path / "a", ramp(), RescaleIntercept=0, VOILUTSequence=table(rising, 500, 12),
                       WindowCenter=40, WindowWidth=400)  # fmt: skip
    assert np.abs(grey(path) - by_pydicom(path)).max() <= 0.5 + 1e-6
    found = read_dicom(path, OWN).reading
    assert found.treatment == "DICOM, rescaled, look-up table of the file" and found.window is None


def test_a_table_of_bytes_with_more_than_256_entries(tmp_path):
    """pydicom 3.0.2 counts the places of such a table in 8 bits."""
    bytes_of = table(np.arange(4096) // 16, 0, 8)
    path = write_dicom(tmp_path / "a", ramp(4000), RescaleIntercept=0, VOILUTSequence=bytes_of)
    assert np.array_equal(grey(path), ramp(4000) // 16)


def test_the_unit_may_be_a_table(tmp_path):
    doubled = table(np.arange(4096) * 2, 0, 16)
    path = write_dicom(tmp_path / "a", ramp(), RescaleSlope=None, RescaleIntercept=None, ModalityLUTSequence=doubled,
                       WindowCenter=4000, WindowWidth=8000)  # fmt: skip
    assert np.abs(grey(path) - ((ramp() * 2.0 - 3999.5) / 7999 + 0.5).clip(0, 1) * 255).max() <= 0.5 + 1e-6
    assert read_dicom(path, OWN).reading.treatment == "DICOM, look-up table of the unit, window of the file"


@pytest.mark.parametrize(("window", "low", "high", "how"), [
    (Window(40, 400), -160, 239, "window (center 40, width 400)"),
    (Window(-600, 1500, name="lung"), -1350, 149, "window lung (center -600, width 1500)"),
    (Percentiles(0, 100), -1024, 2976, "percentiles 0 to 100"),
])  # fmt: skip
def test_the_settings_window_wins_over_the_files(tmp_path, window, low, high, how):
    path = write_dicom(tmp_path / "a", ramp(), WindowCenter=1000, WindowWidth=10)
    expected = ((ramp() - 1024.0 - low) / (high - low)).clip(0, 1) * 255
    assert np.abs(grey(path, ImageSettings(window)) - expected).max() <= 0.5 + 1e-6
    assert read_dicom(path, ImageSettings(window)).reading.treatment == f"DICOM, rescaled, {how}"


def test_without_a_window_padding_does_not_count(tmp_path):
    pixels = ramp(1000)
    pixels[0], pixels[1] = 3000, 3001
    path = write_dicom(tmp_path / "a", pixels, PixelPaddingValue=3000, PixelPaddingRangeLimit=3001)
    assert read_dicom(path, ImageSettings(Percentiles(0, 100))).reading.window[1] == np.ptp(pixels[2:])
    assert read_dicom(path, OWN).reading.treatment == "DICOM, rescaled, percentiles 0.5 to 99.5"


def test_eight_bits_without_a_window_stay_as_they_are(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    path = write_dicom(tmp_path / "a", pixels, BitsAllocated=8, BitsStored=8, HighBit=7, RescaleSlope=None,
                       RescaleIntercept=None)  # fmt: skip
    assert np.array_equal(grey(path), pixels)


@pytest.mark.parametrize(("name", "mode"), [
    ("examples_palette.dcm", "RGB"), ("examples_ybr_color.dcm", "RGB"), ("SC_rgb_rle_16bit.dcm", "RGB"),
    ("SC_ybr_full_422_uncompressed.dcm", "RGB"), ("liver_1frame.dcm", "L"),
])  # fmt: skip
def test_colours_and_masks(name, mode):
    image = read_dicom(shipped(name), OWN).image
    assert image.mode == mode and np.ptp(np.asarray(image)) > 100


def test_a_colour_film_has_pydicoms_colours():
    path = shipped("examples_ybr_color.dcm")
    assert np.array_equal(grey(path, OWN.at(3)), pixel_array(path, index=3))


@pytest.mark.parametrize(("frame", "index", "note"), [
    (None, 2, "several frames, of which the middle is used"), ("middle", 2, ""), (0, 0, ""), (3, 3, ""),
])  # fmt: skip
def test_a_frame_of_several(tmp_path, frame, index, note):
    pixels = np.stack([ramp() // (i + 1) for i in range(4)])
    path = write_dicom(tmp_path / "a", pixels, NumberOfFrames=4, WindowCenter=0, WindowWidth=4000)
    picture = read_dicom(path, ImageSettings(frame=frame))
    single = write_dicom(tmp_path / "b", pixels[index], WindowCenter=0, WindowWidth=4000)
    assert np.array_equal(np.asarray(picture.image), grey(single))
    assert (picture.note, picture.reading.frame) == (note, index)
    with pytest.raises(InputError, match="a: no frame 4, of 4 frames; they count from 0"):
        read_dicom(path, ImageSettings(frame=4))


def test_an_enhanced_object_says_it_per_frame(tmp_path):
    shared, each = Dataset(), [Dataset(), Dataset()]
    measures = Dataset()
    measures.PixelSpacing = [0.7, 0.6]
    shared.PixelMeasuresSequence = [measures]
    for number, group in enumerate(each):
        unit, window = Dataset(), Dataset()
        unit.RescaleSlope, unit.RescaleIntercept = 1, -1000 * number
        window.WindowCenter, window.WindowWidth = 100 * number, 1000
        group.PixelValueTransformationSequence, group.FrameVOILUTSequence = [unit], [window]
    absent = dict.fromkeys(("RescaleSlope", "RescaleIntercept", "PixelSpacing"))
    path = write_dicom(tmp_path / "a", np.stack([ramp(), ramp()]), NumberOfFrames=2, **absent,
                       SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=each)  # fmt: skip
    for number in range(2):
        picture = read_dicom(path, ImageSettings(frame=number))
        expected = ((ramp() - 1000.0 * number - (100 * number - 0.5)) / 999 + 0.5).clip(0, 1) * 255
        assert np.abs(np.asarray(picture.image) - expected).max() <= 0.5 + 1e-6
        assert picture.reading[1:] == ((100 * number, 1000), (0.6, 0.7), number)


@pytest.mark.parametrize(("changes", "settings", "note"), [
    ({"BurnedInAnnotation": "YES"}, OWN, "text is burned into the pixels"), ({"BurnedInAnnotation": "NO"}, OWN, "^$"),
    ({"PixelSpacing": [1, 3]}, OWN, "pixels that are not square"),
    ({"Modality": "MR"}, ImageSettings(Window(40, 80, name="brain")), "Hounsfield units on a modality other than CT"),
    ({}, ImageSettings(Window(9000, 2)), "one grey value alone"),
])  # fmt: skip
def test_what_to_look_at_is_a_note(tmp_path, changes, settings, note):
    assert re.search(note, read_dicom(write_dicom(tmp_path / "a", ramp(), **changes), settings).note)


def test_no_element_that_names_a_person_is_read():
    tags = [pydicom.tag.Tag(name) for name in TAGS]
    assert {tag.group for tag in tags} <= {0x0008, 0x0018, 0x0028, 0x5200, 0x7FE0}
    assert {pydicom.datadict.dictionary_VR(tag) for tag in tags}.isdisjoint({"PN", "DA", "TM", "DT", "LO", "AS", "UN"})
