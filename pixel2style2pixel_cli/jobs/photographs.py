"""Finding the photograph that a recipe is about: by its name first, and in any case by its bytes."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.jobs.expand import expand_inputs
from pixel2style2pixel_cli.zoo.verify import sha256_file

OTHER = "name the photograph itself; a copy that was saved again has other bytes"


class Photographs:
    """A photograph, or a folder of them; each is hashed at most once, and only where a recipe may mean it."""

    def __init__(self, place: str, *, recursive: bool) -> None:
        self.place = place
        found = expand_inputs([place], recursive=recursive, output_root=None, stdin=lambda: b"")
        broken = [source for source in found.sources if source.problem is not None]
        if broken and len(broken) == len(found.sources):
            raise UsageError(broken[0].problem or "", broken[0].hint)
        self._paths = [Path(source.path) for source in found.sources if source.path and source.problem is None]
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in self._paths:
            self._by_name[path.name].append(path)
        self._hashes: dict[Path, str | None] = {}

    def find(self, name: str, sha256: str, result: str) -> Path:
        """The photograph with these bytes; InputError names what was found in its place."""
        candidates: list[Path] = [*self._by_name.get(name, ()), *self._paths]
        for path in candidates:
            if self._hash(path) == sha256:
                return path
        if len(self._paths) == 1:
            path = self._paths[0]
            raise InputError(
                f"{result} was made from {name} with sha256 {sha256}, and {path.name} has {self._hash(path)}", OTHER
            )
        namesakes = ", ".join(f"one of that name has {self._hash(path)}" for path in self._by_name.get(name, ()))
        raise InputError(
            f"{result} was made from {name} with sha256 {sha256}, and {self.place} holds no such file"
            + (f" ({namesakes})" if namesakes else ""),
            OTHER,
        )

    def _hash(self, path: Path) -> str | None:
        """sha256 of a file; None where it cannot be read."""
        if path not in self._hashes:
            try:
                self._hashes[path] = sha256_file(path)
            except OSError:
                self._hashes[path] = None
        return self._hashes[path]
