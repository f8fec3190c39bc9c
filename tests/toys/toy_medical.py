"""Writes small DICOM and NIfTI files, and a folder that lists images."""

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from toy_data import write_csv

NAME = "Doe^Jane"  # of a patient who does not exist
SPLITS = ("train", "train", "val", "val", "test", "test")


def header(**changes: object) -> Dataset:
    """A CT of 8 x 6 pixels, 12 bits, in Hounsfield units, of a named patient. A change to None removes an element."""
    found = Dataset()
    facts = {
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": "1.2.3.4", "Modality": "CT", "PatientName": NAME,
        "PatientID": "MRN-4711", "InstitutionName": "Doe Memorial", "Rows": 6, "Columns": 8, "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11,
        "PixelRepresentation": 0, "RescaleSlope": 1, "RescaleIntercept": -1024, "PixelSpacing": [0.5, 0.5],
    } | changes  # fmt: skip
    for key, value in facts.items():
        if value is not None:
            setattr(found, key, value)
    return found


def ramp(top: int = 4000) -> np.ndarray:
    """48 values from 0 to `top`, (6, 8)."""
    return np.linspace(0, top, 48).round().astype(np.uint16).reshape(6, 8)


def write_dicom(
    path: Path, pixels: np.ndarray | bytes | None, syntax: str = ExplicitVRLittleEndian, **changes: object
) -> Path:
    """A DICOM file. pixels: values, the bytes of one compressed frame, or None: no image. changes: of its header."""
    found, meta = header(**changes), FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = found.SOPClassUID, found.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    file = FileDataset(str(path), found, preamble=bytes(128), file_meta=meta)
    if pixels is not None:
        file.PixelData = encapsulate([pixels]) if isinstance(pixels, bytes) else pixels.tobytes()
        file["PixelData"].VR = "OB" if isinstance(pixels, bytes) else "OW"
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)
    return path


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return path


def list_images(root: Path, names: Sequence[str]) -> None:
    """Write data set `folder`'s list of these files: both classes, and every split. At least six names."""
    rows = [{"image": name, "label": ("negative", "positive")[i % 2], "group": f"patient {i}",
             "split": SPLITS[i % len(SPLITS)]} for i, name in enumerate(names)]  # fmt: skip
    write_csv(root / "folder" / "images.csv", rows)
