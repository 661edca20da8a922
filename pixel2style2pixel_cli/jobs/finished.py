"""Under ``--existing skip``: which inputs need nothing any more, and which existing files are damaged."""

# Strings and os.path: a plan may hold 100 000 paths, and a Path for each step would cost seconds.
# ruff: noqa: PTH110

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pixel2style2pixel_cli.files.glance import Glance, glance
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.jobs.naming import OutputNames
from pixel2style2pixel_cli.variants import Variant

FACES = "faces"  # the option of a recipe that says which faces of the input were chosen


class Finished:
    """Looks into the existing files of a plan; ``damaged`` says what is wrong with those that are made again."""

    def __init__(self, variants: Sequence[Variant], endings: Sequence[str], once: Sequence[str]) -> None:
        self._variants, self._endings, self._once = variants, endings, once
        self.damaged: list[str] = []
        self.replaced: list[str] = []  # files that a run has once, and draws again if it draws all inputs

    def has_all(self, names: OutputNames, there: Iterable[str], faces: Mapping[int, str]) -> bool:
        """Whether every file planned for an input is there and whole.

        ``there`` are the existing files of all its faces, ``faces`` a picture of each face that has one. How many faces
        an input has stands in the recipe of each; where none says it, the input has to be read again.
        """
        looks = {path: glance(Path(path)) for path in there}
        damaged = {path: look.damage for path, look in looks.items() if look.damage is not None}
        self.damaged += [f"{display(path)} {damage} and is made again" for path, damage in damaged.items()]
        wanted: Iterable[int] | None = (0,)
        if names.many_faces:
            shown = [names.path(names.suffix, variant=each) for each in self._variants] if names.joined else []
            pictures = (*faces.values(), *shown)
            wanted = next((found for path in pictures if (found := _chosen_faces(looks.get(path)))), None)
        if wanted is None:
            return False
        files = [file for n in wanted for file in names.files(self._variants, self._endings, self._once, face=n)]
        return all(file in looks and file not in damaged and os.path.exists(file) for file in files)  # no broken link


def _chosen_faces(look: Glance | None) -> list[int] | None:
    """The numbers of all faces that were chosen together with the one of this picture."""
    if look is None or look.recipe is None or look.damage is not None:
        return None
    try:
        return [int(number) for number in json.loads(look.recipe)["options"][FACES].split(",")]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
