"""Maps the values of a grey image of more than 8 bits to 256 greys, by a window or by percentiles.

The formulas are those of DICOM, PS3.3 C.11.2.1.2 and C.11.2.1.3: LINEAR, LINEAR_EXACT and SIGMOID.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vrft_aug.errors import InputError

Values = NDArray[Any]  # (H, W), of any number type
Greys = NDArray[np.uint8]  # (H, W)


class Window(NamedTuple):
    """The values that become greys: those below are black, those above white. In the image's unit, as HU for CT.

    function: LINEAR, LINEAR_EXACT or SIGMOID. name: of a named window, else "".
    """

    center: float
    width: float
    function: str = "LINEAR"
    name: str = ""


class Percentiles(NamedTuple):
    """The window from one percentile of an image's values to another."""

    low: float
    high: float


DEFAULT = Percentiles(0.5, 99.5)  # a few extreme pixels, as of metal, must not make the rest of an image dark
# In Hounsfield units: A. Murphy et al., "Windowing (CT)", Radiopaedia, https://radiopaedia.org/articles/windowing-ct.
# Its "temporal bones", "soft tissues" of the abdomen and "lungs" have shorter names here.
NAMED: dict[str, tuple[float, float]] = {
    "abdomen": (50, 400),
    "bone": (400, 1800),
    "brain": (40, 80),
    "liver": (30, 150),
    "lung": (-600, 1500),
    "mediastinum": (50, 350),
    "soft_tissue": (50, 400),
    "spine": (50, 250),
    "stroke": (40, 40),
    "temporal_bone": (600, 2800),
}
FORMS = f"write one of {', '.join(NAMED)}, or {{center: 40, width: 400}}, or {{percentiles: [0.5, 99.5]}}, or null"


def parse_window(key: str, value: object) -> Window | Percentiles | None:
    """A window as a config states it: a name, `{center, width}`, `{percentiles}`, or None: the image's own.

    key: the setting's name, for the InputError of another value.
    """
    if value is None:
        return None
    if isinstance(value, str) and value in NAMED:
        return Window(*NAMED[value], name=value)
    if isinstance(value, Mapping) and set(value) == {"center", "width"}:
        center, width = numbers(key, [value["center"], value["width"]])
        if width >= 1:
            return Window(center, width)
        raise InputError(f"{key}.width={width:g}: a window is at least 1 wide; use percentiles for values in a smaller "
                         "range")
    if isinstance(value, Mapping) and set(value) == {"percentiles"}:
        low, high = numbers(key, value["percentiles"])
        if 0 <= low < high <= 100:
            return Percentiles(low, high)
        raise InputError(f"{key}.percentiles=[{low:g}, {high:g}]: they must be from 0 to 100, the lower one first")
    raise InputError(f"{key}={value}: no such window; {FORMS}")


def numbers(key: str, values: Any) -> tuple[float, float]:
    """Two finite numbers. Raises InputError for anything else."""
    try:
        first, second = (float(value) for value in values)
    except (TypeError, ValueError):
        first = second = np.nan
    if not np.isfinite([first, second]).all():
        raise InputError(f"{key}={values}: not two numbers; {FORMS}")
    return first, second


def measured(values: Values, span: Percentiles, ignored: NDArray[np.bool_] | None = None) -> Window:
    """The window between two percentiles of the finite values. ignored: where values do not count, as padding.

    A mask of few pixels may have equal percentiles: then the window reaches from the lowest to the highest value.
    Raises ValueError if no value counts.
    """
    counted = np.isfinite(values) if ignored is None else np.isfinite(values) & ~ignored
    found = np.asarray(values[counted], np.float64)
    if not found.size:
        raise ValueError("no pixel with a finite value")
    low, high = np.percentile(found, [span.low, span.high])
    if low == high:
        low, high = found.min(), found.max()
    return Window(float((low + high) / 2), float(high - low), "LINEAR_EXACT")


def greys(values: Values, window: Window) -> Greys:
    """The values in 256 greys, rounded. Values that are not finite become black. Raises ValueError for a bad window."""
    level = shares(np.nan_to_num(np.asarray(values, np.float64), nan=-np.inf), window)
    return np.rint(255 * level).astype(np.uint8)


def shares(values: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """How white each value is, from 0 to 1."""
    center, width, function = window.center, window.width, window.function
    if not np.isfinite([center, width]).all() or width < 0:
        raise ValueError(f"a window of center {center:g} and width {width:g}")
    if function == "SIGMOID" and width > 0:
        with np.errstate(over="ignore"):  # far below the window exp() is infinite, and the share 0
            return 1 / (1 + np.exp(-4 * (values - center) / width))
    if function == "LINEAR" and width >= 1:  # PET files have narrower windows, which only LINEAR_EXACT allows
        center, width = center - 0.5, width - 1
    if width == 0:
        return (values > center).astype(np.float64)
    return np.clip((values - center) / width + 0.5, 0, 1)
