"""Degrades images: blur, noise, JPEG compression and down-sampling at three strengths, speckle, blank images.

The strengths are severities 1, 3 and 5 of ImageNet-C (Hendrycks and Dietterich 2019, arXiv 1903.12261): gaussian_blur,
gaussian_noise, jpeg_compression and pixelate in its code. Its images have sides of 224 pixels, so a blur of 6 pixels
there is 6 / 224 of an image's shorter side here. The others do not depend on the side.

A degraded image has the size of the original, so that a box keeps its place, and it is a PNG, so that nothing else is
lost. A grey image stays grey.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFilter

from vrft_aug.data.datasets.image_files import convert, encode_png
from vrft_aug.data.seeding import generator

STRENGTHS = {
    "blur": (1 / 224, 3 / 224, 6 / 224),  # standard deviation of a Gaussian, as a share of the shorter side
    "noise": (0.08, 0.18, 0.38),  # standard deviation of Gaussian noise; 1 is from black to white
    "jpeg": (25, 15, 7),  # quality, of 100
    "downsample": (0.6, 0.4, 0.25),  # share of each side that is kept
}
GREY = 128  # of a blank image. The image's own mean colour would still tell some classes apart.


def blur(image: Image.Image, strength: float, rng: Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(strength * min(image.size)))


def noise(image: Image.Image, strength: float, rng: Generator) -> Image.Image:
    """Add a random number to each pixel and channel, and cut to 0 and 255."""
    pixels = np.asarray(image, np.float32)
    noisy = pixels + 255 * np.float32(strength) * rng.standard_normal(pixels.shape, np.float32)
    return Image.fromarray(np.rint(noisy.clip(0, 255)).astype(np.uint8))


def speckle(image: Image.Image, strength: float, rng: Generator) -> Image.Image:
    """Multiply each pixel by a random number around 1: the noise of ultrasound. strength: its standard deviation."""
    pixels = np.asarray(image, np.float32)
    factors = 1 + np.float32(strength) * rng.standard_normal(pixels.shape[:2], np.float32)
    speckled = pixels * (factors if pixels.ndim == 2 else factors[:, :, None])
    return Image.fromarray(np.rint(speckled.clip(0, 255)).astype(np.uint8))


def jpeg(image: Image.Image, strength: float, rng: Generator) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=int(strength))
    return Image.open(stream)


def downsample(image: Image.Image, strength: float, rng: Generator) -> Image.Image:
    """Average blocks of pixels, and bring the smaller image back to its size without smoothing."""
    small = [max(1, round(side * strength)) for side in image.size]
    return image.resize((small[0], small[1]), Image.Resampling.BOX).resize(image.size, Image.Resampling.BOX)


KINDS: dict[str, Callable[[Image.Image, float, Generator], Image.Image]] = {
    "blur": blur, "noise": noise, "jpeg": jpeg, "downsample": downsample
}  # fmt: skip


def degraded(encoded: bytes, source_id: str, *, kind: str, level: int, seed: int) -> bytes:
    """The image as a degraded PNG. level: 1 to 3.

    The noise depends on seed and source_id alone: an image has the same noise at each level, only stronger.
    """
    rng = generator(seed, f"degraded {source_id}")
    return encode_png(KINDS[kind](plain(encoded), STRENGTHS[kind][level - 1], rng))


def blank(encoded: bytes) -> bytes:
    """A uniform grey PNG of the image's size."""
    with Image.open(io.BytesIO(encoded)) as image:
        return encode_png(Image.new("L", image.size, GREY))


def plain(encoded: bytes) -> Image.Image:
    """The image as 8-bit grey (also where three channels are equal) or RGB."""
    with Image.open(io.BytesIO(encoded)) as image:
        whole, _ = convert(image, "white")
    channels = np.asarray(whole)
    return whole.convert("L") if channels.ndim == 3 and (channels == channels[..., :1]).all() else whole
