"""The held-out rendered faces: pictures, label maps and what is known about them; their frontal renders."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sides import SIDE

from pixel2style2pixel_cli.training.data import PictureSource

Pixels = NDArray[np.uint8]
MELANIN = 35  # the number of the rendering vector that is the skin's melanin
TERCILE = 0.4307  # a third of a normal distribution lies above it


class Unavailable(Exception):
    """Something a task needs is not there; the others are measured all the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Faces:
    """The first pictures of a packed shard."""

    name: str
    pictures: list[Pixels]
    labels: list[Pixels]
    z: NDArray[np.float32]
    yaw: NDArray[np.float64]
    style: list[str]
    glasses: list[bool]

    def groups(self) -> dict[str, list[str]]:
        """Group of each picture by skin tone, glasses and hair."""
        melanin = self.z[:, MELANIN]
        names = np.array(["light", "middle", "dark"])
        return {
            "skin": [str(s) for s in names[np.digitize(melanin, (-TERCILE, TERCILE))]],
            "glasses": ["with" if worn else "without" for worn in self.glasses],
            "hair": [style.removesuffix("+fringe") for style in self.style],
        }


def read_faces(shard: Path, count: int, *, size: int = SIDE) -> Faces:
    """The first ``count`` faces of a shard with ``z``, ``pose``, ``style``, ``glasses`` and label maps, at one side."""
    source = PictureSource([shard], size, labels="required")
    count = min(count, len(source))
    with np.load(shard, allow_pickle=False) as arrays:
        return Faces(
            name=shard.name,
            pictures=[source.pixels(i) for i in range(count)],
            labels=label_maps(source, range(count)),
            z=arrays["z"][:count],
            yaw=arrays["pose"][:count, 0].astype(np.float64),
            style=[str(s) for s in arrays["style"][:count]],
            glasses=[bool(g) for g in arrays["glasses"][:count]],
        )


def label_maps(source: PictureSource, numbers: Sequence[int]) -> list[Pixels]:
    """The label maps of these pictures of a source that was opened with them."""
    labels = source.batch(numbers, [False] * len(numbers)).labels
    if labels is None:
        raise TypeError("the pictures were opened without label maps")
    return list(labels.numpy())


def frontal_renders(faces: Faces, facegen: Path | None, cache: Path | None) -> list[Pixels]:
    """The same people and the same light with the head turned to the front, from the cache or rendered now."""
    if cache is not None and cache.is_file():
        with np.load(cache, allow_pickle=False) as arrays:
            same = len(arrays["z"]) >= len(faces.z) and np.array_equal(arrays["z"][: len(faces.z)], faces.z)
            if same and arrays["frontal"].shape[1] == len(faces.pictures[0]):
                return list(arrays["frontal"][: len(faces.z)])
    if facegen is None:
        raise Unavailable("frontal renders are needed: give --facegen, or --frontals with their cache")
    pictures = _render(faces, facegen)
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(cache, z=faces.z, frontal=np.stack(pictures))
    return pictures


def _render(faces: Faces, facegen: Path) -> list[Pixels]:
    # compiled kernels and byte code would otherwise be written beside somebody else's source
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / "facegen-kernels"))
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(facegen))
    try:
        import engine
    except ImportError as error:
        raise Unavailable(f"facegen cannot be imported: {error}; install its requirements.txt") from error
    finally:
        sys.path.remove(str(facegen))
        sys.dont_write_bytecode = written
    size = faces.pictures[0].shape[0]
    generator = engine.Generator()
    return [generator.render(z, size=size, ss=3, frontal=True)["image"] for z in faces.z]
