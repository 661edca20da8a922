"""Colour spaces that a file names instead of carrying a profile, and the way from them to sRGB.

CICP numbers are those of ITU-T H.273; the matrices follow from the chromaticities of primaries and white
(SMPTE RP 177), with Bradford's adaptation where the white is not D65.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from pixel2style2pixel_cli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# White, red, green, blue, x and y each: the order of PNG's cHRM.
Points: TypeAlias = tuple[float, float, float, float, float, float, float, float]
Curve: TypeAlias = float | Literal["srgb"]  # an exponent, or the curve of sRGB

_D65 = (0.3127, 0.3290)
_BT709: Points = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES: dict[int, Points] = {
    1: _BT709,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
# The curves of video are shown like that of sRGB, as browsers do.
_CURVES: dict[int, Curve] = {1: "srgb", 6: "srgb", 13: "srgb", 14: "srgb", 15: "srgb", 4: 2.2, 5: 2.8, 8: 1.0}
_HDR = {16: "PQ", 18: "HLG"}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_NEAR = 0.05  # share by which 2.2 and a written gamma may differ and still mean sRGB, as libpng has it
_SAME = 0.002  # of a chromaticity: what rounding in a file amounts to
_BAND = 1 << 20  # pixels converted at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class ColourSpace:
    """Primaries and curve of the stored values."""

    points: Points = _BT709
    curve: Curve = "srgb"

    @property
    def is_srgb(self) -> bool:
        """Whether values are those of sRGB already."""
        return self.curve == "srgb" and self.points == _BT709


SRGB = ColourSpace()


def coded_space(primaries: int, transfer: int, name: str) -> ColourSpace | None:
    """The space of two CICP numbers, None where one of them is not known; InputError for high dynamic range."""
    if transfer in _HDR:
        raise InputError(
            f"{name} is a picture of high dynamic range ({_HDR[transfer]}), expected one of standard range",
            "export it for standard screens (SDR), as JPEG or PNG",
        )
    if primaries not in _PRIMARIES or transfer not in _CURVES:
        return None
    return ColourSpace(points=_PRIMARIES[primaries], curve=_CURVES[transfer])


def gamma_space(exponent: float | None, points: Sequence[float] | None) -> ColourSpace:
    """The space that PNG's gAMA (1 over the exponent) and cHRM describe; what is missing, senseless or near is sRGB."""
    curve: Curve = "srgb"
    if exponent is not None and 0.05 <= exponent <= 10.0 and abs(exponent * 2.2 - 1.0) > _NEAR:
        curve = 1.0 / exponent
    kept = _BT709
    if points is not None and _is_sensible(points) and not np.allclose(points, _BT709, rtol=0.0, atol=_SAME):
        white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y = points
        kept = (white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y)
    return ColourSpace(points=kept, curve=curve)


def to_srgb(pixels: NDArray[Any], space: ColourSpace) -> NDArray[np.uint8]:
    """Colours (H, W, 3) or grey (H, W), uint8 or uint16, of a space as uint8 of sRGB, of the same shape."""
    most = np.iinfo(pixels.dtype).max
    light = _to_light(np.arange(most + 1, dtype=np.float64) / most, space.curve).astype(np.float32)
    matrix = None
    if pixels.ndim == 3 and space.points != _BT709:
        matrix = (np.linalg.inv(_to_xyz(_BT709)) @ _to_xyz(space.points)).astype(np.float32)
    if matrix is None:
        table = np.rint(255.0 * _from_light(light)).astype(np.uint8)
        return np.asarray(table[pixels])
    out = np.empty(pixels.shape, np.uint8)
    rows = max(1, _BAND // max(1, pixels.shape[1]))
    for top in range(0, len(pixels), rows):
        linear = light[pixels[top : top + rows]] @ matrix.T
        out[top : top + rows] = np.rint(255.0 * _from_light(linear)).astype(np.uint8)
    return out


def _is_sensible(points: Sequence[float]) -> bool:
    """Whether white lies within the triangle of three primaries that are not on one line."""
    if any(not 0.0 <= value <= 1.0 for value in points) or points[1] <= 0 or min(points[3::2]) < 0:
        return False
    corners = np.array([[points[i], points[i + 1], 1.0] for i in (2, 4, 6)]).T
    if abs(np.linalg.det(corners)) < 1e-3:
        return False
    return bool((np.linalg.solve(corners, [points[0], points[1], 1.0]) > 0.01).all())


def _to_xyz(points: Points) -> NDArray[np.float64]:
    """The matrix from linear RGB to XYZ under D65."""
    corners = np.array([[points[i], points[i + 1], 1.0 - points[i] - points[i + 1]] for i in (2, 4, 6)]).T
    white, d65 = (np.array([x / y, 1.0, (1.0 - x - y) / y]) for x, y in (points[:2], _D65))
    scaled = corners * np.linalg.solve(corners, white)
    cones = _BRADFORD @ d65 / (_BRADFORD @ white)
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ scaled)


def _to_light(values: NDArray[np.float64], curve: Curve) -> NDArray[np.float64]:
    if curve == "srgb":
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return values**curve


def _from_light(light: NDArray[np.float32]) -> NDArray[np.float32]:
    light = np.clip(light, np.float32(0), np.float32(1))
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** np.float32(1 / 2.4) - 0.055)
