"""Directions learned from a folder of pictures and a table of labels; one file for each label."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.engine.rows import parse_layers
from pixel2style2pixel_cli.errors import InputError, P2S2PError, UsageError
from pixel2style2pixel_cli.events import ImageDone, Notice, OnEvent, Phase, Progress
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.files.suffixes import IMAGE_SUFFIXES
from pixel2style2pixel_cli.files.table import LabelTable, as_number, read_labels
from pixel2style2pixel_cli.jobs.expand import DEFAULT_FOLDER, Source, expand_inputs
from pixel2style2pixel_cli.options.learning import LearnOptions
from pixel2style2pixel_cli.session import Session
from pixel2style2pixel_cli.tasks.base import Prepared
from pixel2style2pixel_cli.tasks.choose import Chosen, choose
from pixel2style2pixel_cli.tasks.outcome import as_outcome
from pixel2style2pixel_cli.tasks.pictured import PicturedOptions
from pixel2style2pixel_cli.weights.directions import DIRECTION_SUFFIX, DirectionFile, save_direction
from pixel2style2pixel_cli.weights.latents import LATENT_SUFFIX

if TYPE_CHECKING:
    # imports NumPy's linear algebra and torch, which a refused command line should not wait for
    from pixel2style2pixel_cli.engine.learning import Label, Learned

ALL = "all"
MOST_CLASSES = 20
_UNSAFE = re.compile(r"[^\w.-]+")


def learn_directions(inputs: Sequence[str], options: LearnOptions) -> list[dict[str, Any]]:
    """Learn the directions of labels; returns a row for each with what it is worth on pictures that were held out.

    A picture that cannot be used is reported and left out. Raises P2S2PError where nothing can be learned.
    """
    table = read_labels(Path(options.labels).expanduser())
    chosen = choose(PicturedOptions.of(options, optimize=options.optimize))
    spec = chosen.installed.generator
    if options.layers is not None:
        parse_layers(options.layers, spec.n_styles)
    wanted = _columns(table, options.label or table.columns)
    kept = _columns(table, [each for each in options.orthogonal_to or () if each != ALL])
    sources = _labelled(inputs, options, table)
    options.on_event(Notice(message=chosen.announced))
    codes, texts, digest = _codes_of(chosen, sources, table, options)
    labels = [label for name in table.columns for label in _labels(name, [row[name] for row in texts])]
    targets = [label for label in labels if label.name.split("=")[0] in wanted]
    places = _places(options, [label.name for label in targets])
    if places is None:
        return []
    others = [
        label.name for label in labels if ALL in (options.orthogonal_to or ()) or label.name.split("=")[0] in kept
    ]
    flat = codes.mean(axis=1) if options.space == "w" else codes.reshape(len(codes), -1)
    return _learn(flat.astype(np.float64), labels, targets, others, places, digest, codes.shape[1:], options)


def _learn(
    flat: NDArray[np.float64],
    labels: Sequence[Label],
    targets: Sequence[Label],
    others: Sequence[str],
    places: Sequence[Path],
    digest: str,
    shape: tuple[int, ...],
    options: LearnOptions,
) -> list[dict[str, Any]]:
    from pixel2style2pixel_cli.engine.learning import Learner

    learner = Learner(flat, labels, options.seed)
    rows = []
    for label, path in zip(targets, places, strict=True):
        column = label.name.split("=")[0]
        found = learner.learn(label.name, [other for other in others if other.split("=")[0] != column], options.method)
        step = found.step.astype(np.float32).reshape(1 if options.space == "w" else shape[0], shape[1])
        row = _row(found, options, others)
        save_direction(path, DirectionFile(
            name=label.name, step=step, space="W" if options.space == "w" else "W+", generators=(digest,),
            rows=options.layers or "", made=row,
        ))  # fmt: skip
        rows.append({**row, "output": str(path)})
    return rows


def _row(found: Learned, options: LearnOptions, others: Sequence[str]) -> dict[str, Any]:
    """What was measured, as the file and the report hold it."""
    known = {name: value for name, value in found.leakage.items() if math.isfinite(value)}
    worst = max(known, key=lambda name: abs(known[name]), default=None)
    return {
        "label": found.name,
        "pictures": found.pictures,
        "method": options.method,
        "held_fixed": ",".join(others),
        "correlation": _rounded(found.correlation),
        "leaks_most_to": worst,
        "leakage": None if worst is None else _rounded(known[worst]),
    }


def _rounded(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def _columns(table: LabelTable, names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in table.columns:
            raise UsageError(
                f"{display(table.path)} has no column {name!r}", f"its columns: {', '.join(table.columns[:20])}"
            )
    return tuple(names)


def _labelled(inputs: Sequence[str], options: LearnOptions, table: LabelTable) -> list[Source]:
    """The inputs that the table names."""
    found = expand_inputs(
        inputs, recursive=options.recursive, output_root=None, stdin=options.stdin,
        suffixes=IMAGE_SUFFIXES | {LATENT_SUFFIX},
    )  # fmt: skip
    sources = [source for source in found.sources if table.of(source.relative) is not None]
    if not sources:
        first = next(iter(table.rows))
        raise UsageError(
            f"none of the {len(found.sources)} inputs is in {display(table.path)}, "
            f"whose first picture is {display(Path(first))}",
            "write the names of the pictures into its first column",
        )
    left = len(found.sources) - len(sources)
    if left:
        options.on_event(Notice(message=f"{left} inputs are not in {display(table.path)}, and left out"))
    return sources


def _codes_of(
    chosen: Chosen, sources: Sequence[Source], table: LabelTable, options: LearnOptions
) -> tuple[NDArray[np.float32], list[dict[str, str]], str]:
    """The codes (M, N, D) of the pictures that could be read, their labels, and the digest of the generator."""
    session = Session(chosen.options.model, device=options.device, backend="torch", on_event=options.on_event)
    options.on_event(Progress(done=0, total=len(sources), label="learn"))
    options.on_event(Phase(name="loading"))
    translator = session.translator(chosen, [str(source.path) for source in sources])
    codes: list[NDArray[np.float32]] = []
    texts: list[dict[str, str]] = []
    for done, source in enumerate(sources, 1):
        try:
            prepared = _prepare(translator.task.preparer, source, options)
            found = translator.encode([prepared])
        except Exception as error:
            _tell_failed(as_outcome(error, source.label), source, chosen, options.on_event)
        else:
            if found.stopped:
                raise KeyboardInterrupt
            codes.append(found.w_plus[0].float().cpu().numpy())
            texts.append(dict(zip(table.columns, table.of(source.relative) or (), strict=True)))
        options.on_event(Progress(done=done, total=len(sources), label="learn"))
    if not codes:
        raise InputError("none of the pictures could be used", "see the messages above")
    return np.stack(codes), texts, translator.engine.model.generator_digest


def _prepare(preparer: Any, source: Source, options: LearnOptions) -> Prepared:
    if source.problem is not None:
        raise InputError(source.problem, source.hint)
    content = options.stdin() if source.path is None else Path(source.path)
    photo = preparer.read(content, name=source.label, max_pixels=options.max_pixels)
    prepared: Prepared = preparer.prepare(photo, source.relative)[0]
    return prepared


def _tell_failed(error: P2S2PError, source: Source, chosen: Chosen, on_event: OnEvent) -> None:
    on_event(
        ImageDone(
            input=source.label, status="failed", model=chosen.label, message=error.message, hint=error.hint or None
        )
    )


def _labels(name: str, texts: Sequence[str]) -> list[Label]:
    """A column as one label of numbers, one of a class where there are two words, or one for each of more words."""
    from pixel2style2pixel_cli.engine.learning import Label

    numbers = [as_number(text) for text in texts]
    if all(number is not None for number in numbers):
        values = np.array(numbers, dtype=np.float64)
        known = set(values[np.isfinite(values)].tolist())
        return [Label(name=name, values=values, is_class=known <= {0.0, 1.0})]
    words = sorted({text for text in texts if text})
    if len(words) > MOST_CLASSES:
        raise InputError(
            f"the column {name!r} has {len(words)} different words, expected numbers or at most {MOST_CLASSES} classes",
            "write numbers, or leave the column out",
        )
    positive = _positive(words)
    chosen = [positive] if positive is not None else words
    return [
        Label(
            name=name if positive is not None else f"{name}={word}",
            values=np.array([math.nan if not text else float(text == word) for text in texts]),
            is_class=True,
        )
        for word in chosen
    ]


def _positive(words: Sequence[str]) -> str | None:
    """Of two words the one that a direction leads to; None for other counts, and for two that are equals."""
    yes = [word for word in words if word.lower() in ("yes", "true", "with")]
    return yes[0] if len(words) == 2 and len(yes) == 1 else None


def _places(options: LearnOptions, names: Sequence[str]) -> list[Path] | None:
    """Where each direction goes; None where all are there already and stay."""
    out = None if options.out is None else Path(options.out).expanduser()
    if out is not None and out.suffix.lower() == DIRECTION_SUFFIX:
        if len(names) > 1:
            raise UsageError(f"{len(names)} directions for the file {display(out)}", "name a folder, or one --label")
        places = [out]
    else:
        folder = out or Path(DEFAULT_FOLDER, "directions")
        places = [folder / (_UNSAFE.sub("_", name.replace("=", "-")) + DIRECTION_SUFFIX) for name in names]
    if len(set(places)) < len(places):
        raise UsageError("two labels would have one file", "name the columns with letters and digits")
    taken = [place for place in places if place.exists()]
    if not taken or options.existing == "overwrite":
        return places
    if options.existing == "skip" and len(taken) == len(places):
        return None
    raise UsageError(f"{display(taken[0])} exists already", "use --overwrite, or another -o")
