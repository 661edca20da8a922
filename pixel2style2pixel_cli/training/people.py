"""Training pictures of persons: a folder with one sub-folder a person, or shards that say whom each picture shows.

Some persons are held out, with all their pictures: a recogniser is judged by people that it never saw.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.training.data import Batch, PictureSource
from pixel2style2pixel_cli.training.gather import name_some
from pixel2style2pixel_cli.training.shards import PERSONS, Entry

LEAST_PICTURES = 2  # of a person: one alone is never the same person as another picture
LEAST_PERSONS = 2
SHARE_HELD_OUT = 5  # one of so many is held out where the number asked for would take most of them
LAYOUT_HINT = f"give a folder with one sub-folder a person, or packed shards with an array {PERSONS}"


class PeopleSource(PictureSource):
    """Pictures of persons, those of the held-out ones last.

    A name stands for one person in all folders and shards. Which persons are held out depends on their names alone, so
    that more pictures of the same persons change nothing; without ``exactly``, fewer are where they would be more than
    half of all. ``trained`` counts the others, numbered from 0 on.
    Raises UsageError where pictures show nobody in particular, or where there are fewer than two persons to train on,
    or to hold out.
    """

    def __init__(
        self, paths: Sequence[str | Path], size: int, *, held_out: int, exactly: bool = True, out: Path | None = None
    ) -> None:
        super().__init__(paths, size, out=out)
        self.people_of = self._named(", ".join(map(str, paths)))
        names = sorted(set(self.people_of), key=_lot)
        if not exactly and held_out > len(names) // 2:
            fewer = max(LEAST_PERSONS, len(names) // SHARE_HELD_OUT)
            self._news.append(f"{fewer} of {len(names)} persons are held out, not the {held_out} of the preset")
            held_out = fewer
        if len(names) < LEAST_PERSONS + held_out:
            raise UsageError(
                f"{len(names)} persons with {LEAST_PICTURES} pictures or more, {held_out} of them held out: too few",
                f"add persons, or set people.held_out to {max(0, len(names) - LEAST_PERSONS)} or less",
            )
        self.trained, self.held_out_persons = len(names) - held_out, held_out
        number = {name: i for i, name in enumerate(names)}
        order = sorted(range(len(self._entries)), key=lambda i: (number[self.people_of[i]], self._entries[i].key))
        self._entries = [self._entries[i] for i in order]
        self.people_of = [self.people_of[i] for i in order]
        self._persons = [number[name] for name in self.people_of]

    @property
    def held_out_pictures(self) -> int:
        """How many pictures show persons that are held out."""
        assert self._persons is not None
        return sum(number >= self.trained for number in self._persons)

    def sound_batches(self, batch: int) -> Iterator[Batch]:
        """The pictures of the persons that are held out, once, without those that cannot be read."""
        sound = [i for i in range(len(self) - self.held_out_pictures, len(self)) if self.can_be_read(i)]
        for start in range(0, len(sound), batch):
            indices = sound[start : start + batch]
            yield self.batch(indices, [False] * len(indices))

    @property
    def fingerprint(self) -> str:
        """Tells data apart also where the same pictures show others."""
        return hashlib.sha256(json.dumps([super().fingerprint, self.people_of]).encode()).hexdigest()

    def _named(self, where: str) -> list[str]:
        """Whom each picture shows; those that cannot be used are left out."""
        people = [_person_of(entry) for entry in self._entries]
        nameless = sum(not person for person in people)
        if nameless == len(people):
            raise UsageError(f"the pictures in {where} show nobody in particular", LAYOUT_HINT)
        if nameless:
            self._news.append(f"left out, of nobody in particular: {nameless} pictures; {LAYOUT_HINT}")
        counts = Counter(person for person in people if person)
        alone = sorted(person for person, count in counts.items() if count < LEAST_PICTURES)
        if alone:
            self._news.append(f"left out, persons with a single picture: {len(alone)} ({name_some(alone)})")
        usable = [i for i, person in enumerate(people) if counts[person] >= LEAST_PICTURES]
        self._entries = [self._entries[i] for i in usable]
        return [people[i] for i in usable]


def _person_of(entry: Entry) -> str:
    """The name of whom a picture shows, empty where nothing says it."""
    if not isinstance(entry.content, Path):
        return entry.person
    folder = PurePosixPath(entry.key).parent.as_posix()
    return "" if folder == "." else folder


def _lot(name: str) -> tuple[str, str]:
    """What persons are ordered by: chance that depends on the name."""
    return hashlib.sha256(name.encode()).hexdigest(), name
