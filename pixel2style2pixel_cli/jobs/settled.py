"""Outcomes that are known before anything is drawn: unusable inputs, and outputs that exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.events import ImageDone, Notice
from pixel2style2pixel_cli.files.glance import glance
from pixel2style2pixel_cli.files.recipe import parse_recipe
from pixel2style2pixel_cli.jobs.plan import Plan, PlanItem
from pixel2style2pixel_cli.tasks.recipe import RecipeMaker
from pixel2style2pixel_cli.variants import Variant


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What is there of one face under ``--existing skip``.

    ``kept`` are the pictures that are complete, ``drawn`` those to be drawn: the others, or all of them where what
    shows them all is missing (``together``). ``replaces`` are files that an earlier run left incomplete.
    """

    kept: Sequence[Variant] = ()
    drawn: Sequence[Variant]
    together: bool = True
    replaces: frozenset[Path] = frozenset()


def find_standing(plan: Plan, item: PlanItem, faces: Sequence[int]) -> Standing:
    """Look at the files of a face, or of faces that share a picture, when their input is about to be drawn.

    Other runs may write to the same folder: what exists now and did not when the plan was made is another run's, and
    is not replaced.
    """
    kept, incomplete = list[Variant](), list[str]()
    for variant in plan.variants:
        once = plan.once if variant is plan.variants[0] else ()
        files = [path for face in faces for path in item.names.files([variant], plan.endings, once, face=face)]
        if all(_is_whole(Path(path)) for path in files):
            kept.append(variant)
        else:
            incomplete += files
    rows = [path for face in faces for path in item.names.files([], [], plan.whole, face=face)]
    together = not (rows and all(_is_whole(Path(path)) for path in rows))
    drawn = list(plan.variants) if rows and together else [each for each in plan.variants if each not in kept]
    replaces = item.present.intersection(map(Path, [*incomplete, *(rows if together else ())]))
    return Standing(kept=kept, drawn=drawn, together=together, replaces=replaces)


def report_settled(plan: Plan, recipes: RecipeMaker, model: str) -> Iterator[ImageDone]:
    """One outcome for each input that cannot be read, and for each picture that is there already."""
    for item in plan.items:
        if item.problem is not None:
            yield ImageDone(input=item.label, status="failed", model=model, message=item.problem, hint=item.hint)
        elif item.status == "skip":
            for variant in plan.variants:
                output = item.face_output(variant=variant)
                differs = _differs(output, item, recipes)
                other = "kept, but made with other options or another model" if differs else None
                yield ImageDone(
                    input=item.label, status="skipped", model=model, variant=variant, output=str(output), message=other
                )


def no_sheet(skipped: int) -> Notice:
    """Why a sheet that was asked for is not there."""
    why = f"{skipped} pictures were skipped" if skipped else "some files are of an earlier run"
    return Notice(message=f"no sheet is drawn, because {why}; --overwrite draws all of them", level="warning")


def _is_whole(path: Path) -> bool:
    return path.exists() and glance(path).damage is None


def _differs(output: Path, item: PlanItem, recipes: RecipeMaker) -> bool:
    """Whether an existing output was made by another recipe, as far as that can be told without reading its input."""
    text = glance(output).recipe
    try:
        return text is not None and recipes.differs(parse_recipe(text), item.relative)
    except (P2S2PError, RecursionError):  # of another program, or hostile: nothing to compare with
        return False
