"""NIfTI: the right slice in a radiologist's view, whatever the order of the file's axes; windows; what is refused."""

from itertools import permutations, product

import nibabel
import numpy as np
import pytest
from toy_medical import write_nifti

from vrft_aug.data.datasets.image_settings import ImageSettings
from vrft_aug.data.datasets.nifti import read_nifti
from vrft_aug.data.datasets.windows import Percentiles, Window
from vrft_aug.errors import InputError

WHOLE = Percentiles(0, 100)
SIZE = (4, 5, 6)  # from left to right, from back to front, from feet to head


def body(*bright: tuple[int, int, int]) -> np.ndarray:
    """A volume with a few bright voxels, at (right, front, head), in NIfTI's directions."""
    volume = np.zeros(SIZE, np.int16)
    for voxel in bright:
        volume[voxel] = 100
    return volume


def shown(path, axis="axial", frame=None, window=WHOLE):
    return np.asarray(read_nifti(path, ImageSettings(window, frame, axis)).image)


def where(picture):
    """The row and column of the one white pixel."""
    (row,), (column,) = np.nonzero(picture == 255)
    return int(row), int(column)


@pytest.mark.parametrize(("axis", "frame", "place"), [
    ("axial", 5, (0, 0)),  # front at the top, the patient's right on the left
    ("coronal", 4, (0, 0)),  # head at the top, right on the left
    ("sagittal", 3, (0, 0)),  # head at the top, front on the left
])  # fmt: skip
def test_the_corner_that_is_right_front_and_head(tmp_path, axis, frame, place):
    path = write_nifti(tmp_path / "a.nii", body((3, 4, 5)))
    assert where(shown(path, axis, frame)) == place
    shapes = {"axial": (5, 4), "coronal": (6, 4), "sagittal": (6, 5)}
    assert shown(path, axis, frame).shape == shapes[axis]


@pytest.mark.parametrize(("axis", "frame"), [("axial", 2), ("coronal", 3), ("sagittal", 1)])
def test_the_picture_does_not_depend_on_the_order_of_the_files_axes(tmp_path, axis, frame):
    rng = np.random.default_rng(0)
    plain = nibabel.Nifti1Image(rng.integers(0, 100, SIZE, np.int16), np.diag([2, 3, 4, 1]))
    nibabel.save(plain, tmp_path / "plain.nii")
    expected = read_nifti(tmp_path / "plain.nii", ImageSettings(WHOLE, frame, axis))
    for number, (order, signs) in enumerate(product(permutations(range(3)), product((1, -1), repeat=3))):
        turned = plain.as_reoriented(np.stack([order, signs], axis=1))
        path = tmp_path / f"{number}.nii.gz"
        nibabel.save(turned, path)
        found = read_nifti(path, ImageSettings(WHOLE, frame, axis))
        assert np.array_equal(np.asarray(found.image), np.asarray(expected.image))
        assert found.reading == expected.reading
    assert expected.reading.spacing == {"axial": (2, 3), "coronal": (2, 4), "sagittal": (3, 4)}[axis]


def test_the_middle_slice_of_the_first_volume(tmp_path):
    series = np.zeros((*SIZE, 2), np.float32)
    series[1, 2, 3, 0] = 1
    picture = read_nifti(write_nifti(tmp_path / "a.nii", series), ImageSettings(WHOLE))
    assert where(np.asarray(picture.image)) == (2, 2) and picture.reading.frame == 3
    assert picture.note == ("several axial slices, of which the middle is used, several volumes, of which the first is "
                            "used")  # fmt: skip
    assert picture.reading.treatment == "NIfTI, axial slice, percentiles 0 to 100"


def test_a_window_counts_in_the_scaled_unit(tmp_path):
    image = nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(4, 5, 6), np.eye(4))
    image.header.set_slope_inter(2, -100)
    nibabel.save(image, tmp_path / "a.nii")
    stored = np.asanyarray(nibabel.load(tmp_path / "a.nii").dataobj)[:, ::-1, 0].T[:, ::-1]
    assert stored.min() < 0  # in the scaled unit
    expected = np.rint(255 * ((stored - 39.5) / 99 + 0.5).clip(0, 1))
    assert np.array_equal(shown(tmp_path / "a.nii", frame=0, window=Window(40, 100)), expected)


def test_values_that_are_not_finite_are_black(tmp_path):
    values = np.ones(SIZE, np.float32) * np.arange(4)[:, None, None]
    values[3, 4, 3] = np.nan
    found = shown(write_nifti(tmp_path / "a.nii", values))
    assert found[0, 0] == 0 and found[1, 0] == 255


def test_an_image_of_two_axes_is_one_slice(tmp_path):
    picture = read_nifti(write_nifti(tmp_path / "a.nii", body((3, 4, 5))[:, :, 5]), ImageSettings(WHOLE))
    assert where(np.asarray(picture.image)) == (0, 0) and picture.note == ""


def test_a_file_without_an_orientation_is_read_as_it_lies(tmp_path):
    path = write_nifti(tmp_path / "a.nii", body((3, 4, 3)))
    content = bytearray(path.read_bytes())
    content[254:256], content[280:296] = np.int16(1).tobytes(), bytes(16)  # an sform without its first row
    path.write_bytes(content)
    assert where(shown(path)) == (0, 0)
    assert "no orientation in the file" in read_nifti(path, ImageSettings(WHOLE)).note


def test_a_slice_beyond_the_last(tmp_path):
    path = write_nifti(tmp_path / "a.nii", body())
    with pytest.raises(InputError, match=r"a.nii: no frame 6, of 6 axial slices; they count from 0"):
        shown(path, frame=6)


@pytest.mark.parametrize(("kind", "told"), [
    (np.complex64, "voxels of type complex64; save real numbers"),
    (np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]), "save real numbers"),
])  # fmt: skip
def test_voxels_that_are_no_grey(tmp_path, kind, told):
    with pytest.raises(InputError, match=told):
        shown(write_nifti(tmp_path / "a.nii", np.zeros(SIZE, kind)))
