"""The npz files: official content bit for bit, all sizes, and every kind of damage."""

import io
import zipfile

import numpy as np
import pytest
from toy_data import compose_config, pixels, write_npz, write_toy

from vrft_aug.data.datasets import medmnist
from vrft_aug.data.datasets.image_files import open_image
from vrft_aug.data.datasets.sample import DataWarning
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.errors import InputError

LABELS = {"train": [0, 1, 2, 3, 4] * 3, "val": [0, 1, 2], "test": [4, 3, 2, 1, 0]}


def load(root, split="train", flag="retinamnist", **options):
    return list(medmnist.load(root, split, flag=flag, **{"allow_unverified": True} | options))


def test_the_official_file_bit_for_bit(shared_data):
    with np.load(shared_data / "medmnist" / "retinamnist.npz", allow_pickle=False) as arrays:
        for split in ("train", "val", "test"):
            samples = list(medmnist.load(shared_data, split, flag="retinamnist"))
            assert [s.label for s in samples] == arrays[f"{split}_labels"][:, 0].tolist()
            assert all(np.array_equal(pixels(s), a) for s, a in zip(samples, arrays[f"{split}_images"], strict=True))


@pytest.mark.parametrize("size", medmnist.SIZES)
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.filterwarnings("ignore::vrft_aug.data.datasets.sample.DataWarning")
def test_every_size_and_number_of_channels(data_root, size, colour):
    path = write_npz(data_root, "bloodmnist", LABELS, size, colour)
    samples = load(data_root, flag="bloodmnist", size=size)
    with np.load(path) as arrays:
        backwards = [pixels(samples[i]) for i in (7, 2, 14)]  # out of order still reads the right image
        assert all(np.array_equal(a, arrays["train_images"][i]) for a, i in zip(backwards, (7, 2, 14), strict=True))
    assert samples[0].source_id == f"{path.stem}/train/0"


def test_unverified_files_are_refused_or_accepted_with_a_warning(data_root):
    write_npz(data_root, "retinamnist", LABELS)
    with pytest.raises(InputError, match=r"retinamnist.npz: the MD5 is not bd4c0672.*allow_unverified=true"):
        load(data_root, allow_unverified=False)
    with pytest.warns(DataWarning, match="bd4c0672"):
        load(data_root)


def test_a_missing_file_names_the_command(data_root):
    with pytest.raises(InputError, match=r"retinamnist_64.npz: no such file; get it with `make data"):
        load(data_root, size=64)
    with pytest.raises(InputError, match="28, 64, 128, 224"):
        load(data_root, size=32)
    with pytest.raises(InputError, match="not a MedMNIST set; use one of"):
        load(data_root, flag="bonemnist")


def rewrite(path, **arrays):
    with np.load(path) as old:
        np.savez_compressed(path, **(dict(old) | arrays))


def flip_a_byte(path):
    """Flip one byte in the middle of the compressed training images."""
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("train_images.npy")
        start = member.header_offset + 30 + len(member.filename) + member.compress_size // 2
    content = bytearray(path.read_bytes())
    content[start] ^= 0xFF
    path.write_bytes(content)


def pickle_labels(path):
    rewrite(path, train_labels=np.array([{"a": 1}] * 15, dtype=object))


DAMAGE = {
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "damaged file"),
    "not a zip": (lambda p: p.write_bytes(b"nothing"), "damaged file"),
    "flipped byte": (flip_a_byte, "damaged"),
    "wrong shape": (lambda p: rewrite(p, train_images=np.zeros((15, 20, 20), np.uint8)), r"images is uint8\[15, 20"),
    "wrong type": (lambda p: rewrite(p, train_images=np.zeros((15, 28, 28))), "train_images is float64"),
    "too few images": (lambda p: rewrite(p, train_images=np.zeros((9, 28, 28), np.uint8)), "for 15 labels"),
    "label out of range": (lambda p: rewrite(p, train_labels=np.array([[0], [5]] * 7 + [[1]])), "row 1 is 5, outside"),
    "labels not integers": (lambda p: rewrite(p, train_labels=np.zeros((15, 1))), "not integers N x 1"),
    "pickled labels": (pickle_labels, "not a plain C-ordered array"),
    "array missing": (lambda p: np.savez(p, val_images=np.zeros((1, 28, 28), np.uint8)), "cannot read the array"),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.filterwarnings("ignore::vrft_aug.data.datasets.sample.DataWarning")
def test_damage_gets_one_clear_line_and_no_output(tmp_path, data_root, kind):
    harm, message = DAMAGE[kind]
    harm(write_npz(data_root, "retinamnist", LABELS, colour=True))
    out = tmp_path / "out"
    config = compose_config("dataset=retina", f"data_root={data_root}", f"out={out}", "allow_unverified=true")
    with pytest.raises(InputError, match=message) as caught:
        prepare(config, None)
    assert "retinamnist.npz" in str(caught.value)
    assert not out.exists()


def test_only_what_is_drawn_is_decoded(data_root, monkeypatch):
    """Only drawn images become arrays."""
    write_toy(data_root, "blood")
    reads = []
    real = medmnist.read_image
    monkeypatch.setattr(medmnist, "read_image", lambda *a: reads.append(a[-1]) or real(*a))
    with pytest.warns(DataWarning):
        samples = load(data_root, flag="bloodmnist")
    assert reads == []
    pixels(samples[3])
    assert reads == [3]


def test_pixels_of_a_png_survive(data_root):
    from PIL import Image

    write_npz(data_root, "retinamnist", LABELS, colour=True)
    with pytest.warns(DataWarning):
        sample = load(data_root)[5]
    decoded = np.asarray(Image.open(io.BytesIO(open_image(sample.source()).encoded)))
    assert decoded.shape == (28, 28, 3)
    assert np.array_equal(decoded, pixels(sample))
