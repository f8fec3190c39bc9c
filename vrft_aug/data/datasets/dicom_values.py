"""Turns the values that a DICOM file stores into 8-bit grey or RGB, as the file's header or the settings say.

The order is the standard's: the unit (rescaling or a look-up table), the window (VOI), and the photometric
interpretation: PS3.3 C.11.1 and C.11.2.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vrft_aug.data.datasets.image_settings import ImageSettings
from vrft_aug.data.datasets.windows import Greys, Values, Window, greys


def shown(header: Any, stored: Values, settings: ImageSettings) -> tuple[NDArray[np.uint8], Window | None, str]:
    """The pixels of one frame, (H, W) or (H, W, 3), their window (None without one), and what was done."""
    if stored.ndim == 3:
        return full(stored, header.BitsStored), None, "colour"
    if header.PhotometricInterpretation == "PALETTE COLOR":
        return coloured(header, stored), None, "palette to colour"
    return grey(header, stored, settings)


def grey(header: Any, stored: Values, settings: ImageSettings) -> tuple[Greys, Window | None, str]:
    """Grey pixels, their window (None for a look-up table), and what was done."""
    from pydicom.pixels import apply_modality_lut

    values = apply_modality_lut(stored, header)
    done = ["look-up table of the unit"] if header.get("ModalityLUTSequence") else []
    done += ["rescaled"] if not done and "RescaleSlope" in header else []
    window = None
    if settings.window is None and (table := voi_table(header)):
        pixels, how = looked_up(values, *table), "look-up table of the file"
    elif settings.window is None and header.BitsStored <= 8 and not done and own_window(header) is None:
        pixels, how = full(stored, header.BitsStored), f"all {2**header.BitsStored} values"
    else:
        window, how = settings.window_for(values, lambda: own_window(header), padding(header, stored))
        pixels = greys(values, window)
    done.append(how)
    if header.PhotometricInterpretation == "MONOCHROME1":  # the lowest value is white
        pixels, done = 255 - pixels, [*done, "inverted"]
    return pixels, window, ", ".join(done)


def full(stored: Values, bits: int) -> Greys:
    """Values from 0 to 2^bits - 1 as 0 to 255."""
    return np.rint(stored / (2**bits - 1) * 255).clip(0, 255).astype(np.uint8)


def coloured(header: Any, stored: Values) -> NDArray[np.uint8]:
    """The colours of a palette, (H, W, 3)."""
    from pydicom.pixels import apply_color_lut

    colours = apply_color_lut(stored, header)
    return full(colours, colours.dtype.itemsize * 8)


def voi_table(header: Any) -> tuple[NDArray[Any], int, int] | None:
    """The file's first VOI look-up table: its entries, the value of the first, and the bits of an entry."""
    table = next(iter(header.get("VOILUTSequence") or ()), None)
    if table is None or table.get("LUTDescriptor") is None or table.get("LUTData") is None:
        return None
    (number, first, bits), data = table.LUTDescriptor, table.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, "<u2" if header.original_encoding[1] else ">u2")
    return np.asarray(data)[: number or 1 << 16], first, bits


def looked_up(values: Values, entries: NDArray[Any], first: int, bits: int) -> Greys:
    """Values through a look-up table. Those below and above it take its first and last entry."""
    places = np.rint(values).astype(np.int64) - first
    return full(entries[places.clip(0, len(entries) - 1)], bits)


def own_window(header: Any) -> Window | None:
    """The file's first window, if it has one."""
    center, width = (first(header.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        return None
    return Window(float(center), float(width), str(header.get("VOILUTFunction") or "LINEAR").upper())


def first(value: Any) -> Any:
    """The first of several values, or the only one; None if there is none."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value[0] if value else None
    return value


def padding(header: Any, stored: Values) -> NDArray[np.bool_] | None:
    """Where the file says that there is no image, as outside a scanner's circle."""
    value = header.get("PixelPaddingValue")
    if value is None:
        return None
    ends = sorted((value, header.get("PixelPaddingRangeLimit", value)))
    return (stored >= ends[0]) & (stored <= ends[1])
