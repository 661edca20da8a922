"""Training pictures: folders of images or packed shards, read in an order that depends on seed and step alone.

A picture that cannot be read, or whose partner cannot, is left out, and the one before it takes its place: which one
that is depends on the data alone, so that a resumed run sees the same pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.files.image import read_image
from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.inputs.labels import LabelSchema, mirror_labels, resize_labels
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.training.gather import PartnerFolders, gather
from pixel2style2pixel_cli.training.partners import PARTNERS, PartnerKind, Pixels, read_label_map, square
from pixel2style2pixel_cli.training.shards import Entry
from pixel2style2pixel_cli.training.share import WHOLE, Share

if TYPE_CHECKING:
    from torch import Tensor

# Label maps: not read; read where every picture has one; or asked for, and pictures without one left out.
LabelUse = Literal["unused", "found", "required"]
MOST_NAMED = 10  # pictures that cannot be read; the others are counted


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures (B, 3, S, S) in [-1, 1], and the vectors (B, Z) they were rendered from, if known.

    A mirrored picture has another vector than the one stored: ``paired`` (B,) is False there. ``labels`` (B, S, S),
    uint8, are the classes of the pixels, ``frontal`` (B, 3, S, S) the same faces from the front, where asked for.
    ``given`` are the inputs of the encoder that the data hold, None for a picture without one. ``person`` (B,) numbers
    whom each picture shows, where the data are persons.
    """

    image: Tensor
    z: Tensor | None
    paired: Tensor
    labels: Tensor | None = None
    frontal: Tensor | None = None
    given: Sequence[Pixels | None] | None = None
    person: Tensor | None = None

    def part(self, number: int, of: int) -> Batch:
        """Every ``of``-th picture from one on, with what belongs to it."""
        chosen = slice(number, None, of)
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: value[chosen] for name, value in found.items() if value is not None})


@dataclass(frozen=True, slots=True)
class _Example:
    """One picture as it was read, uint8, with what belongs to it."""

    image: Pixels
    z: NDArray[np.float32] | None
    labels: Pixels | None
    frontal: Pixels | None
    given: Pixels | None
    person: int | None


class PictureSource:
    """All pictures below some paths, addressed by number.

    Where ``labels`` are required, those that have a label map; with ``frontal``, those that have a frontal picture.
    ``given``: a kind of partner that is the encoder's input, and the side at which it is read; pictures may lack it.
    ``partners`` are folders that hold partners of the pictures; then only pictures that have one are taken.
    Hidden files and folders are left out, and what training left behind: run folders, and ``out``, that of this run.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        size: int,
        *,
        labels: LabelUse = "unused",
        frontal: bool = False,
        given: tuple[PartnerKind, int] | None = None,
        partners: PartnerFolders | None = None,
        out: Path | None = None,
    ) -> None:
        self.size, self._turned, self._given = size, frontal, given
        self._schema: LabelSchema | None = None if partners is None else partners.schema
        found = gather([Path(path) for path in paths], out, () if partners is None else (partners,))
        self._entries, self.unpaired = found.entries, found.unpaired
        self._news = list(found.left_out)
        self._broken: dict[int, str] = {}
        self._persons: list[int] | None = None  # of each picture, where the data are persons
        where = ", ".join(map(str, paths))
        if labels == "required":
            self._keep("labels", where)
        if frontal:
            self._keep("frontal", where)
        self.labelled = labels != "unused" and all("labels" in entry.partners for entry in self._entries)
        lengths = {None if entry.z is None else len(entry.z) for entry in self._entries}
        # Length of the rendering vectors; None where a picture has none, or one of another length than the rest.
        self.z_dim = lengths.pop() if len(lengths) == 1 else None

    def _keep(self, kind: PartnerKind, where: str) -> None:
        """Leave out pictures without a partner of this kind."""
        self._entries = [entry for entry in self._entries if kind in entry.partners]
        if not self._entries:
            row = PARTNERS[kind]
            raise UsageError(
                f"no {row.several} in {where}",
                f"name the folder that holds them: --partners DIR; or give packed shards with {row.shard}_blob",
            )

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def fingerprint(self) -> str:
        """Tells data apart whose files have other names or lengths; the same wherever the folder lies."""
        rows = [(e.key, _length(e.content), [(k, _length(c)) for k, c in e.partners.items()]) for e in self._entries]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    @property
    def left_out(self) -> int:
        """How many pictures could not be read so far."""
        return len(self._broken)

    @property
    def broken(self) -> dict[int, str]:
        """The pictures that could not be read so far, by number, and why."""
        return dict(self._broken)

    def learn_of_broken(self, found: Mapping[int, str]) -> None:
        """What other processes have found out about pictures becomes news here."""
        for index, message in found.items():
            self._note(index, message)

    def take_news(self) -> list[str]:
        """What was left out since this was asked last, a sentence each."""
        news, self._news = self._news, []
        return news

    def pixels(self, index: int) -> Pixels:
        """One picture, uint8 (S, S, 3); InputError where it cannot be read."""
        return resize_photo(self._stored(self._entries[index]), self.size)

    def stored_side(self, index: int) -> int:
        """The side of a picture as it is stored, which may be larger or smaller than what is read of it."""
        return len(self._stored(self._entries[index]))

    def can_be_read(self, index: int) -> bool:
        """Whether a picture and what belongs to it can be read; if not, the news say why."""
        if index in self._broken:
            return False
        try:
            self._read(index)
        except InputError as error:
            self._leave_out(index, error)
            return False
        return True

    def _stored(self, entry: Entry) -> Pixels:
        return square(read_image(_bytes_of(entry.content), name=entry.name).pixels, entry.name)

    def _partner(self, entry: Entry, kind: PartnerKind, size: int) -> Pixels:
        content, row = entry.partners[kind], PARTNERS[kind]
        name = str(content) if isinstance(content, Path) else f"{entry.name}: the {row.one}"
        if kind == "labels" and isinstance(content, Path):
            assert self._schema is not None  # files come from folders of partners
            return resize_labels(read_label_map(content, name, self._schema), size, name=name)
        return row.read(_bytes_of(content), name, size)

    def _read(self, index: int) -> _Example:
        entry, given = self._entries[index], None
        if self._given is not None and self._given[0] in entry.partners:
            given = self._partner(entry, *self._given)
        return _Example(
            image=self.pixels(index),
            z=entry.z,
            labels=self._partner(entry, "labels", self.size) if self.labelled else None,
            frontal=self._partner(entry, "frontal", self.size) if self._turned else None,
            given=given,
            person=None if self._persons is None else self._persons[index],
        )

    def _sound(self, index: int) -> _Example:
        """A picture, or the nearest before it that can be read; after it where none before it can."""
        for candidate in (*range(index, -1, -1), *range(index + 1, len(self))):
            if candidate not in self._broken:
                try:
                    return self._read(candidate)
                except InputError as error:
                    self._leave_out(candidate, error)
        raise UsageError(
            f"none of the {len(self)} pictures can be used: {next(iter(self._broken.values()))}",
            "correct them, or pack them with p2s2p data pack --crop",
        )

    def _leave_out(self, index: int, error: InputError) -> None:
        self._note(index, error.message)

    def _note(self, index: int, message: str) -> None:
        if index in self._broken:
            return
        self._broken[index] = message
        count = len(self._broken)
        if count <= MOST_NAMED:
            last = "; further ones are only counted" if count == MOST_NAMED else ""
            self._news.append(f"left out, cannot be used: {message}{last}")

    def batch(self, indices: Sequence[int], flips: Sequence[bool]) -> Batch:
        """Several pictures as one batch, each mirrored where asked."""
        import torch

        rows = [(self._sound(index), flip) for index, flip in zip(indices, flips, strict=True)]
        vectors = [row.z for row, _ in rows if row.z is not None]
        labels = [mirror_labels(r.labels) if flip else r.labels for r, flip in rows if r.labels is not None]
        frontal = [_mirrored(r.frontal, flip) for r, flip in rows if r.frontal is not None]
        return Batch(
            image=to_float([_mirrored(row.image, flip) for row, flip in rows]),
            z=None if self.z_dim is None else torch.from_numpy(np.stack(vectors)),
            paired=torch.tensor([not flip for flip in flips]),
            labels=torch.from_numpy(np.stack(labels)) if labels else None,
            frontal=to_float(frontal) if frontal else None,
            given=None
            if self._given is None
            else [None if row.given is None else _mirrored(row.given, flip) for row, flip in rows],
            person=None if self._persons is None else torch.tensor([row.person for row, _ in rows]),
        )


def _mirrored(pixels: Pixels, flip: bool) -> Pixels:
    return np.ascontiguousarray(pixels[:, ::-1]) if flip else pixels


def _bytes_of(content: Path | NDArray[np.uint8]) -> Path | bytes:
    return content if isinstance(content, Path) else content.tobytes()


def _length(content: Path | NDArray[np.uint8]) -> int:
    if not isinstance(content, Path):
        return len(content)
    try:
        return content.stat().st_size
    except OSError:
        return -1  # a link that leads nowhere, which reading will name


def require_enough(source: PictureSource, batch: int, held_out: int) -> None:
    """Raise UsageError for fewer pictures than a batch takes."""
    count = len(source)
    if count - held_out >= batch:
        return
    spare = f"--set run.held_out={count - batch}" if count >= batch else f"--set run.held_out=0 --set run.batch={count}"
    raise UsageError(
        f"{count} pictures, {held_out} held out: not enough for a batch of {batch}", f"add pictures, or type {spare}"
    )


def training_batches(
    source: PictureSource, *, batch: int, seed: int, start: int, held_out: int, flip: bool, share: Share = WHOLE
) -> Iterator[Batch]:
    """Endless batches from step ``start`` on, decoded one step ahead; the last ``held_out`` pictures are never used.

    Each epoch is a permutation drawn from the seed and the epoch's number, so a resumed run sees the same pictures. Of
    each batch the pictures of the ``share`` are read.
    """
    require_enough(source, batch, held_out)
    usable = len(source) - held_out
    per_epoch = usable // batch

    def load(step: int) -> Batch:
        epoch, position = divmod(step, per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(usable)
        indices = order[position * batch : (position + 1) * batch]
        flips = np.random.default_rng([seed, epoch, position]).random(batch) < (0.5 if flip else 0.0)
        mine = slice(share.index, None, share.shares)
        return source.batch([int(i) for i in indices[mine]], [bool(f) for f in flips[mine]])

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
