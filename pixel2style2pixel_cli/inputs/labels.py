"""Label maps: named schemas, values to classes, one-hot channels, resizing, mirroring, preview colours."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixel2style2pixel_cli.errors import InputError, ShapeError, UsageError, check_shape, reading

# CelebAMask-HQ order; ``l_`` is the left side of the picture.
CELEBAMASK = (
    "background", "skin", "nose", "glasses", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
    "mouth", "u_lip", "l_lip", "hair", "hat", "earring", "necklace", "neck", "cloth",
)  # fmt: skip
# The order of the networks trained with face-parsing.PyTorch: the same 19 classes, other numbers.
BISENET = (
    "background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "glasses", "l_ear", "r_ear", "earring",
    "nose", "mouth", "u_lip", "l_lip", "neck", "necklace", "cloth", "hair", "hat",
)  # fmt: skip
# The colours CelebAMask-HQ is published in, by class number.
CELEBAMASK_COLOURS = (
    (0, 0, 0), (204, 0, 0), (76, 153, 0), (204, 204, 0), (51, 51, 255), (204, 0, 204), (0, 255, 255),
    (255, 204, 204), (102, 51, 0), (255, 0, 0), (102, 204, 0), (255, 255, 0), (0, 0, 153), (0, 0, 204),
    (255, 51, 153), (0, 204, 204), (0, 51, 0), (255, 153, 51), (0, 204, 0),
)  # fmt: skip
# What people recognise a face by.
FEATURES = ("nose", "glasses", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip")
_SIDES = (("l_eye", "r_eye"), ("l_brow", "r_brow"), ("l_ear", "r_ear"))
# More unknown values than this come from a photograph (grey: about 200, colour: thousands) or from JPEG.
_PHOTOGRAPH = 64
_SHOWN = 5
_LARGEST_MAP = 1 << 24  # pixels of a map in a shard: 4096 x 4096

Palette = tuple[tuple[int, int, int], ...]
Numbers: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSchema:
    """What the numbers of a label map mean; ``palette``: the colours it is published in, by number."""

    name: str
    classes: tuple[str, ...]
    palette: Palette | None = None

    def __post_init__(self) -> None:
        if self.palette is not None and len(self.palette) != len(self.classes):
            raise ValueError(f"{self.name}: {len(self.palette)} colours for {len(self.classes)} classes")

    @property
    def count(self) -> int:
        return len(self.classes)


CELEBAMASK_19 = LabelSchema(name="celebamask-19", classes=CELEBAMASK, palette=CELEBAMASK_COLOURS)
BISENET_19 = LabelSchema(name="bisenet-19", classes=BISENET)
SCHEMAS = {schema.name: schema for schema in (CELEBAMASK_19, BISENET_19)}


def find_schema(name: str) -> LabelSchema:
    """The schema of this name; UsageError with the known names."""
    if name not in SCHEMAS:
        raise UsageError(f"unknown label schema {name!r}", f"expected one of {', '.join(SCHEMAS)}")
    return SCHEMAS[name]


def class_table(schema: LabelSchema, target: LabelSchema) -> NDArray[np.uint8]:
    """The number in ``target`` of each class of ``schema``, found by name, (N,) uint8."""
    missing = [name for name in schema.classes if name not in target.classes]
    if missing:
        raise UsageError(f"{target.name} has no class {', '.join(missing)}, which {schema.name} has")
    return np.array([target.classes.index(name) for name in schema.classes], dtype=np.uint8)


def index_map(
    pixels: Numbers,
    schema: LabelSchema,
    target: LabelSchema,
    *,
    name: str,
    palette: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """The class of every pixel as its number in ``target``, uint8 (H, W), from a picture drawn in ``schema``.

    pixels: class numbers (H, W), uint8 or uint16, or colours (H, W, 3), uint8; three equal channels are one. Numbers
    with a ``palette`` (K, 3) of which every colour that occurs is one of the schema's are those colours, and with one
    of greys they are those greys: programs that shrink a PNG number them anew.
    Raises InputError that names every value or colour the schema does not have, with its pixel count.
    """
    if pixels.ndim == 2 and palette is not None:
        pixels = _through_palette(pixels, palette, schema)
    if pixels.ndim == 3:
        check_shape(pixels, (None, None, 3), "label map")
        if (pixels == pixels[:, :, :1]).all():
            pixels = pixels[:, :, 0]
    numbers = _from_colours(pixels, schema, name) if pixels.ndim == 3 else _checked(pixels, schema, name)
    return class_table(schema, target)[numbers]


def one_hot(maps: NDArray[np.uint8], n: int) -> NDArray[np.float32]:
    """Maps (B, H, W) of class numbers below ``n`` as float32 (B, n, H, W) in {0, 1}."""
    check_shape(maps, (None, None, None), "label maps")
    if maps.size and int(maps.max()) >= n:
        raise ShapeError(
            f"the label maps hold class {int(maps.max())}, expected 0 to {n - 1}",
            "check which schema the maps were drawn in",
        )
    classes = np.arange(n, dtype=np.uint8)[:, None, None]
    return np.equal(maps[:, None], classes).astype(np.float32)


def colour_map(labels: NDArray[np.uint8], schema: LabelSchema) -> NDArray[np.uint8]:
    """A label map (H, W) to look at, uint8 (H, W, 3): classes have their colours of CelebAMask-HQ in every schema."""
    check_shape(labels, (None, None), "label map")
    colours = np.array(CELEBAMASK_COLOURS, dtype=np.uint8)[class_table(schema, CELEBAMASK_19)]
    return colours[labels]


def decode_labels(content: bytes, *, name: str) -> NDArray[np.uint8]:
    """An index map (H, W), uint8, from an image of one channel or with a palette: the maps in packed shards."""
    with reading(f"{name}: the label map", "cannot be read", "save it again, as an 8-bit PNG"):
        image = Image.open(io.BytesIO(content))
        if image.width * image.height > _LARGEST_MAP:
            raise InputError(f"{name}: the label map has {image.width} x {image.height} pixels", "reduce it first")
        image.load()
        if image.mode not in ("L", "P", "1"):
            raise InputError(f"{name}: the label map has mode {image.mode}", "give one channel of class numbers")
        labels = np.array(image).astype(np.uint8)
        if image.mode == "P":
            palette = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
            return np.asarray(_through_greys(labels, palette), dtype=np.uint8)
        # Pillow stretches grey of 2 and 4 bits to 8
        stretched = image.format == "PNG" and content[24] in (2, 4) and image.mode == "L"
        return labels // np.uint8(255 // ((1 << content[24]) - 1)) if stretched else labels


def resize_labels(labels: NDArray[np.uint8], size: int, *, name: str = "the label map") -> NDArray[np.uint8]:
    """To (size, size) by nearest neighbour: any other filter would invent classes along the borders.

    Raises InputError for a map that is not square.
    """
    check_shape(labels, (None, None), "label map")
    height, width = labels.shape
    if height != width:
        raise InputError(
            f"{name} is {width} x {height}, expected a square label map", "crop it to the square of an aligned face"
        )
    if height == size:
        return labels
    return np.array(Image.fromarray(labels).resize((size, size), Image.Resampling.NEAREST))


def mirror_labels(labels: NDArray[np.uint8], schema: LabelSchema = CELEBAMASK_19) -> NDArray[np.uint8]:
    """The map of the mirrored picture: left and right classes change places as well."""
    swap = np.arange(256, dtype=np.uint8)
    for left, right in _SIDES:
        first, second = schema.classes.index(left), schema.classes.index(right)
        swap[first], swap[second] = second, first
    return swap[labels[..., ::-1]]


def _through_palette(pixels: Numbers, palette: NDArray[np.uint8], schema: LabelSchema) -> Numbers:
    """Indices to the schema's colours (H, W, 3) or to greys (H, W) where the palette has these; else as they are."""
    used = np.unique(pixels)
    inside = used.size > 0 and int(used[-1]) < len(palette)
    if inside and schema.palette is not None and np.isin(_pack(palette[used]), _pack(np.array(schema.palette))).all():
        return palette[pixels]
    return _through_greys(pixels, palette)


def _through_greys(pixels: Numbers, palette: NDArray[np.uint8]) -> Numbers:
    """Indices to the greys of their palette; unchanged where one of them is a colour or is not in the palette."""
    used = np.unique(pixels)
    if not used.size or int(used[-1]) >= len(palette) or (palette[used] != palette[used][:, :1]).any():
        return pixels
    return palette[:, 0][pixels]


def _checked(pixels: Numbers, schema: LabelSchema, name: str) -> Numbers:
    check_shape(pixels, (None, None), "label map")
    values, counts = np.unique(pixels, return_counts=True)
    found = {str(value): int(n) for value, n in zip(values, counts, strict=True) if int(value) >= schema.count}
    if found:
        raise _unknown(found, schema, name, "value", f"0 to {schema.count - 1}")
    return pixels


def _from_colours(pixels: Numbers, schema: LabelSchema, name: str) -> NDArray[np.uint8]:
    if schema.palette is None:
        published = ", ".join(known.name for known in SCHEMAS.values() if known.palette is not None)
        raise InputError(
            f"{name} is a colour picture, and {schema.name} has no published colours",
            f"give one channel of class numbers; schemas with colours: {published}",
        )
    packed = _pack(pixels)
    colours = _pack(np.array(schema.palette))
    order = np.argsort(colours)
    place = np.minimum(np.searchsorted(colours, packed, sorter=order), schema.count - 1)
    numbers = order[place].astype(np.uint8)
    wrong = colours[numbers] != packed
    if wrong.any():
        values, counts = np.unique(packed[wrong], return_counts=True)
        found = {f"#{value:06x}": int(n) for value, n in zip(values, counts, strict=True)}
        raise _unknown(found, schema, name, "colour", f"the {schema.count} colours of the schema")
    return numbers


def _pack(colours: NDArray[np.generic]) -> NDArray[np.uint32]:
    """Each colour as the number 0xrrggbb."""
    wide = colours.astype(np.uint32)
    return np.asarray(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2], dtype=np.uint32)


def _unknown(found: dict[str, int], schema: LabelSchema, name: str, kind: str, expected: str) -> InputError:
    """The error for values outside the schema, the most frequent first."""
    if len(found) > _PHOTOGRAPH:
        return InputError(
            f"{name} is not a label map: it has {len(found)} {kind}s that {schema.name} does not have, as photographs "
            "and JPEG files do",
            "give the label map itself, saved as PNG; it cannot be made from a photograph or restored from JPEG",
        )
    ordered = sorted(found.items(), key=lambda item: -item[1])
    shown = [f"{value} ({count} pixel{'s' * (count != 1)})" for value, count in ordered[:_SHOWN]]
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    hints = ["255 commonly means 'ignore': give those pixels a class"] if "255" in found else []
    others = ", ".join(other for other in SCHEMAS if other != schema.name)
    hints += [f"check the schema (there is also {others})", "save maps as PNG: JPEG and smooth resizing invent values"]
    plural = "s" if len(found) > 1 else ""
    return InputError(
        f"{name} has {kind}{plural} unknown to {schema.name}: {', '.join(shown)}{more}; expected {expected}",
        "; ".join(hints),
    )
