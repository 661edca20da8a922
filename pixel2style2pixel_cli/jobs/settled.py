"""Outcomes that a plan knows before anything is loaded: unusable inputs, and outputs that exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.events import ImageDone
from pixel2style2pixel_cli.files.image import read_metadata
from pixel2style2pixel_cli.files.recipe import parse_recipe
from pixel2style2pixel_cli.jobs.plan import Plan
from pixel2style2pixel_cli.tasks.recipe import RecipeMaker


def report_settled(plan: Plan, recipes: RecipeMaker, model: str) -> Iterator[ImageDone]:
    """One outcome for each input that cannot be read, and for each picture that is there already."""
    for item in plan.items:
        if item.problem is not None:
            yield ImageDone(input=item.label, status="failed", model=model, message=item.problem, hint=item.hint)
        elif item.status == "skip":
            for variant in plan.variants:
                output = item.face_output(variant=variant)
                other = "kept, but made with other options or another model" if _differs(output, recipes) else None
                yield ImageDone(
                    input=item.label, status="skipped", model=model, variant=variant, output=str(output), message=other
                )


def _differs(output: Path, recipes: RecipeMaker) -> bool:
    """Whether an existing output was made by another recipe, as far as that can be told without its input."""
    try:
        text, _ = read_metadata(output)
        return text is not None and recipes.differs(parse_recipe(text))
    except P2S2PError:
        return False
