"""What stands before the tensors of a weight file, read without torch and without trusting a byte of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pixel2style2pixel_cli.errors import InputError, IntegrityError, UsageError, in_one_line, shown_value
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec, RecogniserSpec, read_spec

METADATA_KEY = "p2s2p"  # of weights and latents alike
METADATA_SCHEMA = 1
_MOST_NUMBERS = 1 << 62
LARGEST_HEADER = 100_000_000  # bytes, the limit of the safetensors library

_AGAIN = "copy the file again"

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightHeader:
    """What a weight file of ours says about itself.

    ``kind`` is the role it was written for, ``spec`` the sizes of its network, ``digest`` that of its tensors.
    ``generator`` is the digest of the generator that an encoder was trained for; older files do not say.
    """

    path: Path
    kind: str
    spec: Mapping[str, object]
    digest: str
    licence: str
    source_sha256: str
    generator: str = ""

    def encoder_spec(self) -> EncoderSpec:
        """The sizes of the encoder in the file; IntegrityError for a file of something else."""
        return self._spec(EncoderSpec, "encoder")

    def generator_spec(self) -> GeneratorSpec:
        """The sizes of the generator in the file; IntegrityError for a file of something else."""
        return self._spec(GeneratorSpec, "generator")

    def recogniser_spec(self) -> RecogniserSpec:
        """The sizes of the recogniser in the file; IntegrityError for a file of something else."""
        return self._spec(RecogniserSpec, "recogniser")

    def _spec(self, kind: type[S], role: str) -> S:
        if self.kind != role:
            raise IntegrityError(f"{self.path} holds weights of kind {self.kind}, expected {role}", "name another file")
        try:
            return read_spec(kind, self.spec, f"the {role} described in {self.path}")
        except UsageError as error:
            raise IntegrityError(error.message, "update p2s2p, or import the model again") from error


def read_weight_header(path: Path) -> WeightHeader:
    """What a weight file of ours says about itself; IntegrityError for one that is damaged, or not ours."""
    try:
        header = read_header(path)
    except InputError as error:
        raise IntegrityError(error.message, "reinstall or import the model again") from error
    if header is None:
        raise IntegrityError(f"{path} cannot be read as a safetensors file", "reinstall or import the model again")
    content = header.get("__metadata__", {}).get(METADATA_KEY)
    if content is None:
        raise IntegrityError(
            f"{path} is a safetensors file, but none of ours", "import the file that was published: .pt, .pth or .pkl"
        )
    if not content.startswith("{"):  # codes, directions and changes say a word there
        raise IntegrityError(
            f"{path} holds a {in_one_line(content)[:40]!r}, expected the weights of a network",
            "name a model, the folder of a training run, or their file of weights",
        )
    try:
        found = json.loads(content)
        return WeightHeader(
            path=path,
            kind=str(found["kind"]),
            spec=dict(found["spec"]),
            digest=str(found["digest"]),
            licence=str(found["licence"]),
            source_sha256=str(found["source_sha256"]),
            generator=str(found.get("generator", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(
            f"{path} does not say what it holds: {in_one_line(error)}", "reinstall or import the model again"
        ) from error


def read_header(path: Path) -> dict[str, Any] | None:
    """The header of a safetensors file, None for any other file; InputError where the file is damaged or cut short.

    Every tensor in it has a ``dtype``, a ``shape`` and ``data_offsets`` that lie in the file, and ``__metadata__``,
    where there is one, maps text to text. Read by hand, because the library needs torch for the number types that NumPy
    does not have.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            return None
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if file.read(1) != b"{" or not 2 <= length <= LARGEST_HEADER:
                return None
            text = b"{" + file.read(length - 1)
    except OSError:
        return None  # the reader of pictures says what is wrong with the path
    if len(text) < length:
        raise InputError(
            f"{display(path)} is cut short: it has {size} bytes, and its header alone takes {length}", _AGAIN
        )
    try:
        header: dict[str, Any] = json.loads(text)
        ends = [8 + length + _end(name, tensor) for name, tensor in header.items() if name != "__metadata__"]
        if not all(isinstance(value, str) for value in header.get("__metadata__", {}).values()):
            raise ValueError("its metadata are not text")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise InputError(f"{display(path)} is a damaged safetensors file: {in_one_line(error)}", _AGAIN) from error
    if max(ends, default=size) > size:
        raise InputError(
            f"{display(path)} is cut short: it has {size} bytes, and its header speaks of {max(ends)}", _AGAIN
        )
    return header


def _end(name: str, tensor: Mapping[str, Any]) -> int:
    """Where a tensor ends among the numbers; ValueError for a description that describes none."""
    shape, (start, end) = tensor["shape"], tensor["data_offsets"]
    if not all(type(value) is int and value >= 0 for value in (*shape, start, end)) or start > end:
        raise ValueError(f"the place or shape of {shown_value(name)} is impossible")
    if not isinstance(tensor["dtype"], str):
        raise TypeError(f"the number type of {shown_value(name)} is not text")
    count = 1
    for side in shape:  # never all of them at once: 64 large ones make a number of 1,200 digits
        count = min(count * side, _MOST_NUMBERS)
    if count > 2 * max(end - start, 1) and 0 not in shape:  # the smallest numbers have 4 bits
        raise ValueError(f"{shown_value(name)} has more numbers than its {end - start} bytes hold")
    return int(end)
