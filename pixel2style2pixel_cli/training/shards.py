"""Packed shards: many training pictures, and what belongs to each, in one ``.npz`` file.

``image_blob`` holds encoded pictures one after the other, ``image_off`` their offsets, n + 1 numbers from 0 on. Beside
them there may be, each with offsets of its own and empty where a picture has none:

- ``mask_blob``: label maps, one channel, the numbers of CelebAMask-HQ;
- ``sketch_blob``: drawings, dark lines on white;
- ``frontal_blob``: the same faces from the front;
- ``hole_blob``: masks, white where a face is to be filled in;
- ``small_blob``: the same faces small or blurred;
- ``z`` (n, Z): the random vector that each picture was rendered from;
- ``identity`` (n,): whom each picture shows, as a number or a name;
- ``name``: what messages call each picture.

Nothing in a shard is a pickle.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import UsageError, in_one_line
from pixel2style2pixel_cli.training.partners import PARTNERS, PartnerKind

SHARD_SUFFIX = ".npz"
DATA_HINT = "give a folder of pictures or of packed .npz shards"
IMAGE, VECTORS, NAMES, MADE_FROM, LEFT_OUT, PERSONS = "image", "z", "name", "made_from", "left_out", "identity"

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture: what to call it, its file or its encoded bytes, and what belongs to it.

    ``key`` tells pictures of one source apart and is the same on every machine. ``person`` is whom a packed picture
    shows, where its shard says so.
    """

    name: str
    key: str
    content: Path | Bytes
    z: NDArray[np.float32] | None = None
    partners: Mapping[PartnerKind, Path | Bytes] = field(default_factory=dict)
    person: str = ""


def read_shard(path: Path, key: str) -> list[Entry]:
    """The pictures of a shard; UsageError for a file that is none."""
    try:
        with np.load(path, allow_pickle=False) as shard:
            pictures = _slices(shard, IMAGE)
            vectors = shard[VECTORS].astype(np.float32) if VECTORS in shard else [None] * len(pictures)
            names = shard[NAMES] if NAMES in shard else [f"picture {i}" for i in range(len(pictures))]
            beside = {k: _slices(shard, row.shard) for k, row in PARTNERS.items() if f"{row.shard}_off" in shard}
            persons = shard[PERSONS].astype(np.str_) if PERSONS in shard else [""] * len(pictures)
            rows = list(zip(pictures, vectors, names, persons, strict=True))
            partners = [
                {kind: parts[i] for kind, parts in beside.items() if len(parts[i])} for i in range(len(pictures))
            ]
    except (OSError, ValueError, KeyError, IndexError, BadZipFile) as error:
        raise UsageError(f"{path} is not a packed shard of pictures: {in_one_line(error)}", DATA_HINT) from error
    return [
        Entry(f"{path} {name}", f"{key}/{i}", content, z, partners[i], str(person))
        for i, (content, z, name, person) in enumerate(rows)
    ]  # fmt: skip


def _slices(shard: Mapping[str, NDArray[np.generic]], name: str) -> list[Bytes]:
    blob, offsets = shard[f"{name}_blob"], shard[f"{name}_off"]
    return [blob[first:last] for first, last in itertools.pairwise(offsets)]  # type: ignore[misc]


def shard_bytes(
    pictures: Sequence[bytes],
    names: Sequence[str],
    partners: Mapping[PartnerKind, Sequence[bytes]],
    *,
    made_from: str,
    left_out: Sequence[str],
) -> bytes:
    """A shard as the bytes of its file, the same for the same arguments.

    ``made_from`` says what it was packed from, ``left_out`` which pictures of that could not be used, and why.
    """
    arrays: dict[str, NDArray[np.generic]] = {NAMES: np.array(names, dtype=np.str_)}
    arrays |= {MADE_FROM: np.array(made_from), LEFT_OUT: np.array(left_out, dtype=np.str_)}
    for prefix, parts in ((IMAGE, pictures), *((PARTNERS[kind].shard, parts) for kind, parts in partners.items())):
        arrays[f"{prefix}_blob"] = np.frombuffer(b"".join(parts), np.uint8)
        arrays[f"{prefix}_off"] = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class Packed:
    """What a shard says of itself."""

    made_from: str
    pictures: int
    left_out: tuple[str, ...]


def read_packed(path: Path) -> Packed | None:
    """What a shard of ours was packed from; None for other files."""
    try:
        with np.load(path, allow_pickle=False) as shard:
            left_out = tuple(str(name) for name in shard[LEFT_OUT])
            return Packed(str(shard[MADE_FROM]), len(shard[f"{IMAGE}_off"]) - 1, left_out)
    except (OSError, ValueError, KeyError, BadZipFile):
        return None
