"""Image files: formats that are kept, converted with a note, or refused by their name."""

import gzip
import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from vrft_aug.data.datasets.image_files import mask_box, open_image
from vrft_aug.data.preparation.opening import open_all
from vrft_aug.errors import InputError

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


def volume(magic: bytes) -> bytes:
    """The first bytes of a NIfTI file: its magic is at byte 344 (version 1) or 4 (version 2)."""
    return (bytes(344) + magic if len(magic) == 4 else bytes(4) + magic).ljust(600, b"\0")


FOREIGN = {
    "a.dcm": (bytes(128) + b"DICM" + bytes(200), "this is DICOM; convert it to 8-bit PNG"),
    "a.nii": (volume(b"n+1\0"), "this is NIfTI; convert it to 8-bit PNG"),
    "b.nii": (volume(b"n+2\0\r\n\x1a\n"), "this is NIfTI"),
    "a.nii.gz": (gzip.compress(volume(b"n+1\0")), "this is NIfTI"),
    "torn.nii.gz": (gzip.compress(volume(b"n+1\0"))[:12], "not a readable image; save it as PNG, JPEG, BMP, TIFF or"),
    "a.txt": (b"hello", "not a readable image"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_formats_are_named(tmp_path, name):
    content, message = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: {message}") as caught:
        open_image(tmp_path / name)
    assert "BytesIO" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(InputError, match="not readable"):
        open_image(tmp_path)


@pytest.mark.parametrize(("name", "image", "kept"), [
    ("a.png", NOISE, True), ("a.jpg", NOISE, True), ("grey.png", NOISE.convert("L"), True), ("a.bmp", NOISE, False),
    ("palette.png", NOISE.convert("P"), True), ("opaque.png", NOISE.convert("RGBA"), True), ("a.tiff", NOISE, False),
    ("a.webp", NOISE, False),
])
def test_plain_images_need_no_note(tmp_path, name, image, kept):
    image.save(tmp_path / name)
    picture = open_image(tmp_path / name)
    assert picture.note == "" and (picture.encoded == (tmp_path / name).read_bytes()) == kept


def test_a_cmyk_jpeg_becomes_rgb_with_a_note(tmp_path):
    NOISE.convert("CMYK").save(tmp_path / "a.jpg")
    (opened,) = open_all([tmp_path / "a.jpg"])
    assert opened.note == "CMYK, converted to RGB"
    decoded = Image.open(io.BytesIO(opened.encoded))
    assert (decoded.format, decoded.mode, decoded.size) == ("PNG", "RGB", opened.size)


@pytest.mark.parametrize("name", ["a.tiff", "a.gif", "a.png"])
def test_the_first_of_several_pages_is_used_with_a_note(tmp_path, name):
    first, second = Image.new("L", (30, 20), 200), Image.new("L", (30, 20), 10)
    first.save(tmp_path / name, save_all=True, append_images=[second])
    picture = open_image(tmp_path / name)
    assert picture.note == "several pages, of which the first is used"
    assert np.asarray(picture.image.convert("L")).mean() == 200


def test_transparent_parts_are_white_for_every_reader(tmp_path):
    layer = Image.new("RGBA", (30, 20), (90, 90, 90, 0))
    layer.paste((10, 20, 30, 255), (0, 0, 15, 20))
    layer.save(tmp_path / "a.png")
    picture = open_image(tmp_path / "a.png")
    assert picture.note == "transparent, put on white"
    stored = Image.open(io.BytesIO(picture.encoded))
    assert stored.mode == "RGB" and np.array_equal(np.asarray(stored), np.asarray(picture.image))
    assert stored.getpixel((20, 10)) == (255, 255, 255) and stored.getpixel((5, 10)) == (10, 20, 30)


TURNED = "turned as its EXIF orientation says"


@pytest.mark.parametrize(("name", "note"), [("a.jpg", TURNED), ("a.png", TURNED), ("a.tiff", "")])
def test_an_image_is_turned_as_its_exif_orientation_says(tmp_path, name, note):
    """A program that follows the orientation and one that does not must see the same image, and the same boxes.

    Pillow turns a TIFF itself.
    """
    stored = Image.new("L", (32, 16))
    stored.paste(255, (0, 0, 8, 16))  # bright on the left
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # shown a quarter turn to the right
    stored.save(tmp_path / name, exif=exif)
    picture = open_image(tmp_path / name)
    assert picture.note == note
    kept = Image.open(io.BytesIO(picture.encoded))
    assert kept.size == picture.image.size == (16, 32) and ExifTags.Base.Orientation not in kept.getexif()
    assert np.asarray(kept)[:6].mean() > 250 and np.asarray(kept)[10:].mean() < 5  # bright at the top


def test_transparent_parts_of_a_mask_are_outside(tmp_path):
    mask = Image.new("RGBA", (30, 20), (0, 0, 0, 0))
    mask.paste((255, 255, 255, 255), (4, 5, 10, 12))
    mask.save(tmp_path / "mask.png")
    assert mask_box(tmp_path / "mask.png") == (4.0, 5.0, 10.0, 12.0)
