"""Codes of faces as safetensors files that know which generator they belong to."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pixel2style2pixel_cli.errors import InputError, check_shape, in_one_line, reading
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.files.paths import display

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Space = Literal["W+", "W", "Z"]

LATENT_SUFFIX = ".safetensors"

_TENSORS: dict[Space, str] = {"W+": "w_plus", "W": "w", "Z": "z"}
_MARK, _SCHEMA = "p2s2p", "latent 1"
_LARGEST = 64 << 20  # bytes; the codes of one face take about 40 kB, so more is some other file
_LARGEST_CODE = 1e6  # far beyond any edit, and far below what overflows in a generator
_MAKE_IT = "make it with p2s2p invert --save-latents"
_NOISE = "noise_"
_NOISE_NAME = re.compile(r"noise_\d{1,2}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LatentFile:
    """Codes of one face.

    ``codes`` is a float32 array (n, d): n rows in W+, one row in W and Z. ``generator`` is the digest of the generator
    they drive, ``matrix`` the 3 x 3 map from photograph pixels to crop pixels, ``recipe`` the JSON of ``recipe_json``.
    ``noise`` are noise maps (s, s) of the picture's own, one for each layer, where it has some.
    """

    codes: NDArray[np.float32]
    space: Space
    generator: str
    latent_avg_included: bool = True
    matrix: list[list[float]] | None = None
    recipe: str | None = None
    noise: tuple[NDArray[np.float32], ...] | None = None

    def __post_init__(self) -> None:
        check_shape(self.codes, (None if self.space == "W+" else 1, None), f"codes in {self.space}")
        for noise in self.noise or ():
            check_shape(noise, (len(noise), len(noise)), "a noise map")
        if self.matrix is not None:
            object.__setattr__(self, "matrix", [[float(value) for value in row] for row in self.matrix])


def save_latents(path: Path, latent: LatentFile) -> None:
    """Write the codes. Raises InputError for codes that are not finite."""
    write_atomic(path, encode_latents(latent, name=display(path)))


def encode_latents(latent: LatentFile, *, name: str) -> bytes:
    """The bytes of a file of codes, the same for the same latent; ``name`` is what messages call it.

    Raises InputError for codes that are not finite.
    """
    import numpy as np
    from safetensors.numpy import save

    codes = np.ascontiguousarray(latent.codes, dtype=np.float32)
    tensors = {_TENSORS[latent.space]: codes}
    for layer, noise in enumerate(latent.noise or ()):
        tensors[f"{_NOISE}{layer}"] = np.ascontiguousarray(noise, dtype=np.float32)
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise InputError(f"the codes for {name} are not finite", "try --dtype float32")
    metadata = {
        _MARK: _SCHEMA,
        "space": latent.space,
        "generator": latent.generator,
        "latent_avg_included": "true" if latent.latent_avg_included else "false",
    }
    if latent.matrix is not None:
        metadata["matrix"] = json.dumps(latent.matrix, separators=(",", ":"), allow_nan=False)
    if latent.recipe is not None:
        metadata["recipe"] = latent.recipe
    return sort_header(save(tensors, metadata=metadata))


def load_latents(path: Path, *, expect_generator: str | None = None) -> LatentFile:
    """Read codes written by ``save_latents``.

    Raises InputError for any other file, and for codes of another generator than the one expected, naming both.
    """
    tensors, metadata = read_small(path, "codes", _LARGEST, _MAKE_IT, file_of="file of codes")
    shown = display(path)
    if metadata.get(_MARK) != _SCHEMA:
        found = metadata.get(_MARK, f"tensors {', '.join(sorted(tensors)[:3]) or 'none'}")
        raise InputError(f"{shown} holds no codes of this version of p2s2p (found: {in_one_line(found)})", _MAKE_IT)
    space = next((known for known in get_args(Space) if known == metadata.get("space")), None)
    generator = metadata.get("generator", "")
    noise = {name: tensors.pop(name) for name in sorted(tensors) if _NOISE_NAME.fullmatch(name)}
    if space is None or set(tensors) != {_TENSORS[space]} or not generator:
        raise InputError(f"{shown} is damaged: its header does not fit its tensors", _MAKE_IT)
    if expect_generator is not None and generator != expect_generator:
        raise InputError(
            f"{shown} belongs to generator {in_one_line(generator)[:12]}, and this model has generator "
            f"{expect_generator[:12]}",
            "use the model it was made with (p2s2p show tells), or invert the photograph again",
        )
    codes = tensors[_TENSORS[space]]
    _check_codes(codes, space, shown)
    maps = _read_noise(noise, shown)
    return LatentFile(
        noise=maps,
        codes=codes,
        space=space,
        generator=generator,
        latent_avg_included=metadata.get("latent_avg_included") == "true",
        matrix=_parse_matrix(metadata.get("matrix"), shown),
        recipe=metadata.get("recipe"),
    )


def sort_header(data: bytes) -> bytes:
    """The same safetensors file with its metadata in sorted order: the library writes it in a random one."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the tensors stay aligned
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def read_small(
    path: Path, what: str, largest: int, hint: str, *, file_of: str
) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """All tensors and the metadata of a small safetensors file; ``what`` and ``file_of`` are words of its errors."""
    from safetensors import safe_open

    shown = display(path)
    with reading(shown, f"is not a safetensors {file_of}", hint):
        try:
            if path.stat().st_size > largest:
                raise InputError(f"{shown} is too large for {what}: it holds weights or something else", hint)
            with safe_open(path, framework="numpy") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
        except FileNotFoundError as error:
            raise InputError(f"{shown} does not exist", "check the spelling") from error
        except OSError as error:
            raise InputError(f"{shown} cannot be read: {(error.strerror or str(error)).lower()}", "check it") from error


def _check_codes(codes: NDArray[np.float32], space: Space, shown: str) -> None:
    import numpy as np

    if codes.dtype != np.float32 or codes.ndim != 2 or codes.size == 0 or (space != "W+" and len(codes) != 1):
        found = f"{codes.dtype} {'x'.join(map(str, codes.shape))}"
        raise InputError(f"{shown} has codes of kind {found}, expected float32 rows of {space}", _MAKE_IT)
    if not np.isfinite(codes).all():
        raise InputError(f"{shown} has codes that are not finite numbers", _MAKE_IT)
    if (largest := float(np.abs(codes).max())) > _LARGEST_CODE:
        raise InputError(f"{shown} has codes as large as {largest:.3g}, those of faces are below 100", _MAKE_IT)


def _read_noise(found: dict[str, NDArray[np.float32]], shown: str) -> tuple[NDArray[np.float32], ...] | None:
    """The noise maps by layer; InputError unless they are all there, square and finite."""
    import numpy as np

    if not found:
        return None
    maps = [found.get(f"{_NOISE}{layer}") for layer in range(len(found))]
    whole = tuple(map_ for map_ in maps if map_ is not None and map_.dtype == np.float32 and map_.ndim == 2)
    square = all(map_.shape[0] == map_.shape[1] and np.isfinite(map_).all() for map_ in whole)
    if len(whole) < len(found) or not square:
        raise InputError(f"{shown} has noise maps that are no square arrays of finite float32", _MAKE_IT)
    return whole


def _parse_matrix(text: str | None, shown: str) -> list[list[float]] | None:
    if text is None:
        return None
    try:
        matrix = [[float(value) for value in row] for row in json.loads(text)]
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{shown} has an alignment matrix that cannot be read", _MAKE_IT) from error
    if [len(row) for row in matrix] != [3, 3, 3] or not all(math.isfinite(v) for row in matrix for v in row):
        raise InputError(f"{shown} has an alignment matrix that is not 3 x 3 numbers", _MAKE_IT)
    return matrix
