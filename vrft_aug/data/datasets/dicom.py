"""Reads one frame of a DICOM file as the standard shows it: decoded, in its unit, windowed, in 8-bit grey or RGB.

The reader asks pydicom for the elements in TAGS alone, none of which names a person. So no other element is even
parsed, and none can leave in a row, a message or a log. What pydicom warns of is not shown: it may quote a value.
"""

import warnings
from pathlib import Path
from typing import Any

from vrft_aug.data.datasets.dicom_values import shown
from vrft_aug.data.datasets.file_formats import brief, unpacked
from vrft_aug.data.datasets.image_files import check_size
from vrft_aug.data.datasets.image_settings import MIDDLE, ImageSettings, chosen_frame
from vrft_aug.data.datasets.picture import Picture, Reading, picture_of
from vrft_aug.errors import InputError
from vrft_aug.silence import ERRORS, silent

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
COLOURS = ("Red", "Green", "Blue")
TAGS = [
    *PIXELS, "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "SOPClassUID", "Modality", "BurnedInAnnotation",
    "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "PlanarConfiguration", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PhotometricInterpretation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "PixelSpacing", "ImagerPixelSpacing", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "VOILUTSequence", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in COLOURS),
    *(f"{kind}{colour}PaletteColorLookupTableData" for kind in ("", "Segmented") for colour in COLOURS),
]  # fmt: skip
GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence", "PixelMeasuresSequence")  # of enhanced objects
BURNED = "DICOM says that text is burned into the pixels, which may name a patient: look at them (make show)"
NOT_CT = "a window in Hounsfield units on a modality other than CT"
REMEDY = "fetch the file again, write it again as an uncompressed DICOM, or remove it from the list"


def read_dicom(path: Path, settings: ImageSettings) -> Picture:
    """Read one frame. Raises InputError for a file without an image, and for one that is broken or not decodable."""
    try:
        import pydicom
    except ImportError:
        raise InputError(f"{path}: DICOM needs pydicom and its codecs; install vrft-aug[medical]") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with unpacked(path) as stream:
                header = pydicom.dcmread(stream, specific_tags=TAGS)
            if not (header.get("Rows") and header.get("Columns") and any(name in header for name in PIXELS)):
                raise InputError(f"{path}: DICOM without an image ({kind(header)}), or cut off; fetch it again or "
                                 "remove it from the list")
            check_size(path, header.Columns, header.Rows)
            count = int(header.get("NumberOfFrames") or 1)
            return picture(header, settings, *chosen_frame(path, settings.frame, count, "frames", MIDDLE))
        except InputError:
            raise
        except Exception as error:  # pydicom and its codecs raise errors of a dozen types for broken bytes
            raise InputError(f"{path}: DICOM that cannot be read ({brief(error)}); {REMEDY}") from None


def kind(header: Any) -> str:
    """What a file without an image is, as "Basic Text SR Storage"."""
    return getattr(header.get("SOPClassUID"), "name", "of unknown kind")


def flatten(header: Any, frame: int) -> None:
    """Put what an enhanced object says of one frame where an older object says it of all. Changes `header`."""
    for sequence, index in (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", frame)):
        groups = header.get(sequence) or []
        for name in GROUPS if index < len(groups) else ():
            for item in groups[index].get(name) or ():
                header.update(item)


def picture(header: Any, settings: ImageSettings, frame: int, note: str) -> Picture:
    """One frame as an 8-bit image, with what was done and what to warn of."""
    from pydicom.pixels import pixel_array

    flatten(header, frame)
    with silent(ERRORS):  # codecs print several lines there per broken file, without its name
        stored = pixel_array(header, index=frame)
    pixels, window, done = shown(header, stored, settings)
    off = settings.named and window is not None and header.get("Modality") != "CT"
    burned = header.get("BurnedInAnnotation") == "YES"
    notes = [note, NOT_CT if off else "", BURNED if burned else ""]
    several = int(header.get("NumberOfFrames") or 1) > 1
    reading = Reading(f"DICOM, {done}", window and window[:2], spacing_of(header), frame if several else None)
    return picture_of(pixels, notes, reading)


def spacing_of(header: Any) -> tuple[float, float] | None:
    """Millimetres per pixel, across and down. In the patient where that is known, else at the detector."""
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        if (found := header.get(name)) and len(found) == 2:  # DICOM says the distance of rows first
            return float(found[1]), float(found[0])
    return None
