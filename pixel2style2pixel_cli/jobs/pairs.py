"""Which result belongs to which target: by their names, or by the recipe that the result carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pixel2style2pixel_cli.errors import InputError, P2S2PError, UsageError
from pixel2style2pixel_cli.events import ImageDone, OnEvent
from pixel2style2pixel_cli.files.glance import glance
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.files.recipe import Recipe, parse_recipe
from pixel2style2pixel_cli.jobs.expand import Source, expand_inputs
from pixel2style2pixel_cli.jobs.paste import without_companions
from pixel2style2pixel_cli.options.evaluation import EvaluationOptions

NO_MODEL = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A result and its target; ``recipe`` where the target is the photograph that the result was made from.

    ``input`` is what it was made from, where that is given beside the targets.
    """

    result: Source
    target: Path
    recipe: Recipe | None = None
    input: Path | None = None


def find_pairs(results: str, options: EvaluationOptions) -> tuple[list[Pair], int]:
    """Each result with its target, and how many results have none, which are reported.

    Raises UsageError where none has one.
    """
    found = _expand(results, options)
    targets = [source for source in _expand(str(options.targets), options) if source.path is not None]
    if len(found) == len(targets) == 1 and targets[0].path is not None:
        pairs = [Pair(result=found[0], target=Path(targets[0].path), recipe=_recipe(found[0]))]
        return _with_inputs(pairs, options), 0
    by_name, by_stem = _by_key(targets), _by_stem(targets)
    pairs = []
    missing: list[Source] = []
    for result in found:
        recipe = _recipe(result)
        named = by_name.get(_key_of(result.relative), [])
        if not named and recipe is not None:
            named = by_stem.get(PurePosixPath(recipe.input_name).stem, [])
        if len(named) == 1 and named[0].path is not None:
            pairs.append(Pair(result=result, target=Path(named[0].path), recipe=recipe))
        else:
            missing.append(result)
            what = "several targets have its name" if named else "no target has its name"
            tell_failed(options.on_event, result.label, InputError(what, "give both files the same name"))
    if not pairs:
        first = missing[0].label if missing else results
        raise UsageError(
            f"no result has a target: {display(Path(first))} and {len(found) - 1} others have no partner of their "
            f"name in {options.targets}",
            "give results and targets the same names",
        )
    return _with_inputs(pairs, options), len(missing)


def _with_inputs(pairs: list[Pair], options: EvaluationOptions) -> list[Pair]:
    """The pairs with what each result was made from, by the name of its target; None where that is absent."""
    if options.inputs is None:
        return pairs
    inputs = _expand(str(options.inputs), options)
    if len(inputs) == len(pairs) == 1:
        return [replace(pairs[0], input=Path(inputs[0].path or ""))]
    by_stem = _by_stem(inputs)
    found = []
    for pair in pairs:
        named = by_stem.get(pair.target.stem, [])
        below = [each for each in named if _key_of(each.relative) == _key_of(pair.result.relative)]
        chosen = below or (named if len(named) == 1 else [])
        found.append(replace(pair, input=Path(chosen[0].path)) if chosen and chosen[0].path else pair)
    return found


def _expand(place: str, options: EvaluationOptions) -> Sequence[Source]:
    if place == "-":
        raise UsageError("evaluate reads its pictures from files, not from standard input", "save them first")
    found = expand_inputs([place], recursive=options.recursive, output_root=None, stdin=lambda: b"")
    return without_companions(found)


def _by_key(sources: Sequence[Source]) -> Mapping[str, list[Source]]:
    """Pictures by their path without its ending."""
    found: dict[str, list[Source]] = {}
    for source in sources:
        found.setdefault(_key_of(source.relative), []).append(source)
    return found


def _by_stem(sources: Sequence[Source]) -> Mapping[str, list[Source]]:
    found: dict[str, list[Source]] = {}
    for source in sources:
        found.setdefault(PurePosixPath(source.relative).stem, []).append(source)
    return found


def _key_of(relative: str) -> str:
    """The path of a picture without its ending."""
    return str(PurePosixPath(relative).with_suffix(""))


def _recipe(source: Source) -> Recipe | None:
    """What a result says of its photograph; None where it says nothing."""
    if source.path is None or source.problem is not None:
        return None
    text = glance(Path(source.path)).recipe
    try:
        return None if text is None else parse_recipe(text)
    except P2S2PError:
        return None


def tell_failed(on_event: OnEvent, label: str, error: P2S2PError) -> None:
    """Report what could not be compared."""
    on_event(ImageDone(input=label, status="failed", model=NO_MODEL, message=error.message, hint=error.hint or None))
