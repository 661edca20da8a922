"""Training pictures: folders of images or packed shards, read in an order that depends on seed and step alone.

A packed shard is an ``.npz`` with ``image_blob`` (encoded pictures one after the other) and ``image_off`` (their
offsets, n + 1 numbers); ``z`` (n, Z) is the random vector each picture was rendered from, where there is one. Label
maps lie in ``mask_blob`` and ``mask_off`` in the same way: one channel, CelebAMask-HQ classes; the same faces from the
front in ``frontal_blob`` and ``frontal_off``, empty where there is none.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import InputError, UsageError, in_one_line
from pixel2style2pixel_cli.files.image import looks_like_image, read_image
from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.inputs.labels import decode_labels, mirror_labels, resize_labels
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.training.log import LOG_FILE

if TYPE_CHECKING:
    from torch import Tensor

# Label maps: not read; read where every picture has one; or asked for, and pictures without one left out.
LabelUse = Literal["unused", "found", "required"]
RUN_MARKS = frozenset({"checkpoint.safetensors", LOG_FILE})  # in every folder that a training has begun to fill
DATA_HINT = "give a folder of pictures or of packed .npz shards"


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures (B, 3, S, S) in [-1, 1], and the vectors (B, Z) they were rendered from, if known.

    A mirrored picture has another vector than the one stored: ``paired`` (B,) is False there. ``labels`` (B, S, S),
    uint8, are the classes of the pixels, ``frontal`` (B, 3, S, S) the same faces from the front, where asked for.
    """

    image: Tensor
    z: Tensor | None
    paired: Tensor
    labels: Tensor | None = None
    frontal: Tensor | None = None


class PictureSource:
    """All pictures below some paths, addressed by number.

    Where ``labels`` are required, those that have a label map; with ``frontal``, those that have a frontal picture.
    Hidden files and folders are left out, and what training left behind: run folders, and ``out``, that of this run.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        size: int,
        *,
        labels: LabelUse = "unused",
        frontal: bool = False,
        out: Path | None = None,
    ) -> None:
        self.size, self._turned = size, frontal
        self._entries: list[_Entry] = []
        for path in map(Path, paths):
            if not path.exists():
                raise UsageError(f"no training data at {path}", DATA_HINT)
            for file in _files_below(path, out) if path.is_dir() else [path]:
                if file.suffix == ".npz":
                    self._entries += _read_shard(file)
                elif looks_like_image(file):
                    self._entries.append(_Entry(str(file), file, None))
        if not self._entries:
            raise UsageError(f"no pictures in {', '.join(map(str, paths))}", DATA_HINT)
        if labels == "required":
            self._entries = [entry for entry in self._entries if entry.labels is not None]
            if not self._entries:
                raise UsageError(f"no label maps in {', '.join(map(str, paths))}", "give packed shards with mask_blob")
        if frontal:
            self._entries = [entry for entry in self._entries if entry.frontal is not None and len(entry.frontal)]
            if not self._entries:
                raise UsageError(
                    f"no frontal pictures in {', '.join(map(str, paths))}", "give packed shards with frontal_blob"
                )
        self.labelled = labels != "unused" and all(entry.labels is not None for entry in self._entries)
        lengths = {None if entry.z is None else len(entry.z) for entry in self._entries}
        # Length of the rendering vectors; None where a picture has none, or one of another length than the rest.
        self.z_dim = lengths.pop() if len(lengths) == 1 else None

    def __len__(self) -> int:
        return len(self._entries)

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """One picture, uint8 (S, S, 3)."""
        return resize_photo(self._stored(index), self.size)

    def stored_side(self, index: int) -> int:
        """The side of a picture as it is stored, which may be larger or smaller than what is read of it."""
        return len(self._stored(index))

    def _stored(self, index: int) -> NDArray[np.uint8]:
        entry = self._entries[index]
        content = entry.content if isinstance(entry.content, Path) else entry.content.tobytes()
        image = read_image(content, name=entry.name).pixels
        height, width = image.shape[:2]
        if height != width:
            raise InputError(f"{entry.name} is {width}x{height}, training pictures are square", "align it first")
        return image

    def frontal(self, index: int) -> NDArray[np.uint8]:
        """The same face from the front, uint8 (S, S, 3)."""
        entry = self._entries[index]
        assert entry.frontal is not None  # the others were left out
        return resize_photo(read_image(entry.frontal.tobytes(), name=entry.name).pixels, self.size)

    def labels(self, index: int) -> NDArray[np.uint8]:
        """The label map of a picture, uint8 (S, S)."""
        entry = self._entries[index]
        assert entry.labels is not None  # self.labelled, or the caller's mistake
        return resize_labels(decode_labels(entry.labels.tobytes(), name=entry.name), self.size, name=entry.name)

    def batch(self, indices: Sequence[int], flips: Sequence[bool]) -> Batch:
        """Several pictures as one batch, each mirrored where asked."""
        import torch

        images = [self.pixels(i) for i in indices]
        images = [image[:, ::-1] if flip else image for image, flip in zip(images, flips, strict=True)]
        vectors = [z for z in (self._entries[i].z for i in indices) if z is not None]
        z = None if self.z_dim is None else torch.from_numpy(np.stack(vectors))
        labels = None
        if self.labelled:
            maps = [self.labels(i) for i in indices]
            maps = [mirror_labels(m) if flip else m for m, flip in zip(maps, flips, strict=True)]
            labels = torch.from_numpy(np.stack(maps))
        frontal = None
        if self._turned:
            faces = [self.frontal(i) for i in indices]
            frontal = to_float([face[:, ::-1] if flip else face for face, flip in zip(faces, flips, strict=True)])
        return Batch(to_float(images), z, torch.tensor([not flip for flip in flips]), labels, frontal)


def _files_below(folder: Path, out: Path | None) -> list[Path]:
    """The files of a folder of data, sorted; UsageError where it is the run folder, or cannot be read."""
    left_out = None if out is None else out.resolve()
    if left_out is not None and (folder.resolve() == left_out or left_out in folder.resolve().parents):
        raise UsageError(
            f"{folder} is the run folder: its sample sheets would become data", "choose another --out, or other data"
        )

    def refuse(error: OSError) -> None:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}", DATA_HINT) from error

    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        here = Path(place)
        if here != folder and (here.resolve() == left_out or not RUN_MARKS.isdisjoint(names)):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [here / name for name in names if not name.startswith(".")]
    return sorted(found)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One picture: what to call it, its file or its encoded bytes, and what a packed shard knows beside it."""

    name: str
    content: Path | NDArray[np.uint8]
    z: NDArray[np.float32] | None
    labels: NDArray[np.uint8] | None = None
    frontal: NDArray[np.uint8] | None = None


def _read_shard(path: Path) -> list[_Entry]:
    try:
        with np.load(path, allow_pickle=False) as shard:
            blob, offsets = shard["image_blob"], shard["image_off"]
            count = len(offsets) - 1
            vectors = shard["z"].astype(np.float32) if "z" in shard else [None] * count
            labels = _slices(shard["mask_blob"], shard["mask_off"]) if "mask_off" in shard else [None] * count
            turned = _slices(shard["frontal_blob"], shard["frontal_off"]) if "frontal_off" in shard else [None] * count
            columns = (_slices(blob, offsets), vectors, labels, turned)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UsageError(f"{path} is not a packed shard of pictures: {in_one_line(error)}", DATA_HINT) from error
    return [_Entry(f"{path} picture {i}", *parts) for i, parts in enumerate(zip(*columns, strict=True))]


def _slices(blob: NDArray[np.uint8], offsets: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
    return [blob[first:last] for first, last in itertools.pairwise(offsets)]


def training_batches(
    source: PictureSource, *, batch: int, seed: int, start: int, held_out: int, flip: bool
) -> Iterator[Batch]:
    """Endless batches from step ``start`` on, decoded one step ahead; the last ``held_out`` pictures are never used.

    Each epoch is a permutation drawn from the seed and the epoch's number, so a resumed run sees the same pictures.
    """
    usable = len(source) - held_out
    if usable < batch:
        raise UsageError(
            f"{len(source)} pictures, {held_out} held out: not enough for a batch of {batch}",
            "add pictures, or set run.held_out or run.batch lower",
        )
    per_epoch = usable // batch

    def load(step: int) -> Batch:
        epoch, position = divmod(step, per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(usable)
        indices = order[position * batch : (position + 1) * batch]
        flips = np.random.default_rng([seed, epoch, position]).random(batch) < (0.5 if flip else 0.0)
        return source.batch([int(i) for i in indices], [bool(f) for f in flips])

    with ThreadPoolExecutor(1) as pool:
        step = start
        following = pool.submit(load, step)
        while True:
            current = following.result()
            step += 1
            following = pool.submit(load, step)
            yield current


def held_out_batches(source: PictureSource, *, batch: int, held_out: int) -> Iterator[Batch]:
    """The last ``held_out`` pictures, once."""
    for start in range(len(source) - held_out, len(source), batch):
        indices = range(start, min(start + batch, len(source)))
        yield source.batch(indices, [False] * len(indices))


def preview_batch(source: PictureSource, held_out: int, count: int = 8) -> Batch:
    """The pictures of the sample sheets: the first held-out ones, or the last of all where too few are held out."""
    first = max(0, len(source) - max(count, held_out))
    indices = range(first, min(first + count, len(source)))
    return source.batch(indices, [False] * len(indices))
