"""A tuning over files: pictures in, one file of changes out, and in between what an interrupted one goes on from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel2style2pixel_cli.errors import InputError, IntegrityError, P2S2PError, UsageError
from pixel2style2pixel_cli.events import Notice, Phase, Progress
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.files.image import check_picture
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.jobs.expand import DEFAULT_FOLDER, Source, expand_inputs
from pixel2style2pixel_cli.options.task import Existing
from pixel2style2pixel_cli.options.tuning import TuneOptions
from pixel2style2pixel_cli.session import Session
from pixel2style2pixel_cli.tasks.base import Prepared
from pixel2style2pixel_cli.tasks.choose import Chosen, choose
from pixel2style2pixel_cli.tasks.outcome import as_outcome
from pixel2style2pixel_cli.tasks.tuned import Outcome, Tuner, pivot_options
from pixel2style2pixel_cli.weights.changes import CHANGES_SUFFIX, save_changes

if TYPE_CHECKING:
    # imports torch, which a refused command line should not wait for
    from torch import Tensor

UNFINISHED = ".unfinished"  # ends the name of what an interrupted tuning goes on from
SAVE_SECONDS = 20.0
_MARK = "tuning"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a tuning goes: the changes, the comparison beside them, and the state of an unfinished one."""

    out: Path

    @property
    def picture(self) -> Path:
        """The comparison of input, before and after."""
        return self.out.with_suffix(".png")

    @property
    def unfinished(self) -> Path:
        """What an interrupted tuning goes on from."""
        return self.out.with_name(self.out.name + UNFINISHED)


def tune_files(inputs: Sequence[str], options: TuneOptions) -> dict[str, Any]:
    """Tune a generator on pictures and write what changed; returns what a command reports.

    An interrupt keeps the best so far in the file. Raises P2S2PError for anything that prevents the tuning: unlike
    elsewhere one picture that cannot be used prevents all of it, because the result would be another.
    """
    started = time.perf_counter()
    chosen = choose(pivot_options(options))
    found = expand_inputs(inputs, recursive=False, output_root=None, stdin=options.stdin)
    for source in found.sources:
        if source.problem is not None:
            raise InputError(source.problem, source.hint or "check it")
    place, skipped = _choose_place(options, found.sources)
    if skipped:
        return {"status": "skipped", "output": str(place.out)}
    _check_files(options, found.sources)
    on_event = options.on_event
    on_event(Notice(message=chosen.announced))
    on_event(Progress(done=0, total=len(found.sources), label="tune"))
    on_event(Phase(name="loading"))
    tuner = _prepare(options, chosen, found.sources)
    try:
        done = _run(tuner, place, options)
    except KeyboardInterrupt:
        _keep_best(tuner, place, options, "the tuning was interrupted")
        raise
    except P2S2PError:
        _keep_best(tuner, place, options, "the tuning has failed")
        raise
    place.unfinished.unlink(missing_ok=True)
    return {**done, "pictures": len(tuner.prepared), "seconds": round(time.perf_counter() - started, 1)}


def _choose_place(options: TuneOptions, sources: Sequence[Source]) -> tuple[Place, bool]:
    """Where the result goes, and whether it is there already and stays; UsageError where it must not be replaced."""
    if options.out is None:
        stem = "stdin" if sources[0].path is None else Path(sources[0].path).stem
        place = Place(out=Path(DEFAULT_FOLDER, "tune", stem + CHANGES_SUFFIX))
    else:
        place = Place(out=Path(options.out).expanduser())
    if place.out.suffix.lower() != CHANGES_SUFFIX:
        raise UsageError(
            f"{display(place.out)} does not end in {CHANGES_SUFFIX}",
            f"name a file: -o {display(place.out.with_suffix(CHANGES_SUFFIX))}",
        )
    read = {Path(source.path).resolve() for source in sources if source.path is not None}
    if {place.out.resolve(), place.picture.resolve()} & read:
        raise UsageError(f"{display(place.picture)} is an input, and would be replaced", "choose another name with -o")
    taken = [path for path in (place.out, place.picture) if path.exists() and (options.picture or path is place.out)]
    if not taken or (options.resume and place.unfinished.exists()):
        return place, False
    return _settle(place, taken[0], options.existing)


def _settle(place: Place, taken: Path, existing: Existing) -> tuple[Place, bool]:
    """What becomes of a result that is there already."""
    if existing == "skip":
        return place, True
    if existing == "overwrite":
        return place, False
    if existing == "rename":
        number = 1
        while (other := Place(out=place.out.with_stem(f"{place.out.stem}-{number}"))).out.exists():
            number += 1
        return other, False
    raise UsageError(
        f"{display(taken)} exists already", "use --skip-existing, --overwrite, --existing rename or another -o"
    )


def _check_files(options: TuneOptions, sources: Sequence[Source]) -> None:
    """Raise what is wrong with pictures and pivots and can be told before a model is loaded."""
    for source in sources:
        if source.path is not None and not source.path.lower().endswith(CHANGES_SUFFIX):
            check_picture(Path(source.path), name=source.label)
    codes = [Path(each) for each in options.pivot if each not in ("encoder", "w")]
    for path in codes:
        if not path.exists():
            raise InputError(f"the pivot {display(path)} does not exist", "check the spelling")
    if codes and len(options.pivot) != len(sources):
        raise UsageError(
            f"{len(options.pivot)} pivots for {len(sources)} pictures", "give one saved code for each input"
        )


def _prepare(options: TuneOptions, chosen: Chosen, sources: Sequence[Source]) -> Tuner:
    """The pictures read, their faces cut out, and the model that they are tuned on."""
    session = Session(
        chosen.options.model, device=options.device, dtype="float32", backend="torch", on_event=options.on_event
    )
    translator = session.translator(chosen, [str(source.path) for source in sources])
    prepared: list[Prepared] = []
    options.on_event(Phase(name="reading"))
    for source in sources:
        try:
            content = options.stdin() if source.path is None else Path(source.path)
            photo = translator.task.preparer.read(content, name=source.label, max_pixels=options.max_pixels)
            found = translator.task.preparer.prepare(photo, source.relative)
            if any(each.codes is not None for each in found):
                raise InputError(
                    f"{source.label} is a saved code, which has no picture to tune towards",
                    "give the photograph, and its code with --pivot",
                )
            prepared += found
        except Exception as error:
            raise _named(as_outcome(error, source.label), source.label) from error
    return Tuner(translator, prepared, options)


def _named(error: P2S2PError, label: str) -> P2S2PError:
    """The error with the name of its input, and what to do, since nothing is tuned without it."""
    if label in error.message:
        return error
    return type(error)(f"{label}: {error.message}", error.hint or "leave this picture out")


def _run(tuner: Tuner, place: Place, options: TuneOptions) -> dict[str, Any]:
    state = _unfinished_state(tuner, place, options)
    options.on_event(Notice(message=f"compared by {tuner.compared_by}"))
    tuning = tuner.start(state)
    if state is not None:
        options.on_event(Notice(message=f"going on after step {tuning.step} of {options.steps}"))
    saved = time.monotonic()

    def between() -> None:
        nonlocal saved
        if time.monotonic() - saved >= SAVE_SECONDS:
            _save_state(tuner, place)
            saved = time.monotonic()

    place.out.parent.mkdir(parents=True, exist_ok=True)
    tuner.run(between)
    outcome = tuner.outcome()
    size = _write(outcome, place, options)
    made = outcome.changes.header.made
    return {
        "status": "ok", "output": str(place.out), "picture": str(place.picture) if options.picture else None,
        "size": size, "steps": made["steps_made"], "loss": made["loss"],
    }  # fmt: skip


def _unfinished_state(tuner: Tuner, place: Place, options: TuneOptions) -> dict[str, Tensor] | None:
    """The state of an unfinished tuning of the same pictures; UsageError where it is one of others."""
    from safetensors import SafetensorError, safe_open

    if not (options.resume and place.unfinished.exists()):
        return None
    try:
        with safe_open(place.unfinished, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dictionary
    except (OSError, SafetensorError) as error:
        raise IntegrityError(
            f"{display(place.unfinished)} cannot be read: {error}", "delete it, or begin again with --no-resume"
        ) from error
    if metadata.get(_MARK) != tuner.fingerprint:
        raise UsageError(
            f"{display(place.unfinished)} is of a tuning with other pictures or options",
            "repeat that command, begin again with --no-resume, or choose another -o",
        )
    return state


def _save_state(tuner: Tuner, place: Place) -> None:
    from safetensors.torch import save

    write_atomic(place.unfinished, save(tuner.state(), {_MARK: tuner.fingerprint}))


def _keep_best(tuner: Tuner, place: Place, options: TuneOptions, why: str) -> None:
    """Write what there is of a tuning that ends early, where it has come to anything."""
    if not tuner.begun or tuner.tuning.step == 0:
        return
    tuning = tuner.tuning
    _save_state(tuner, place)
    _write(tuner.outcome(), place, options)
    options.on_event(
        Notice(
            message=f"{why} after {tuning.step} of {options.steps} steps; the best so far, of step {tuning.best_step}, "
            f"is in {display(place.out)}",
            level="warning",
        )
    )


def _write(outcome: Outcome, place: Place, options: TuneOptions) -> int:
    """The changes, and the picture that shows them; returns the size of the changes in bytes."""
    from pixel2style2pixel_cli.files.image import encode_image
    from pixel2style2pixel_cli.files.recipe import xmp_packet
    from pixel2style2pixel_cli.files.sheet import lines_image

    if options.picture:
        rows = zip(outcome.targets, outcome.before, outcome.after, strict=True)
        picture = lines_image([(("input", "inversion", "tuned"), row) for row in rows])
        write_atomic(place.picture, encode_image(picture, "png", xmp=xmp_packet()))
    return save_changes(place.out, outcome.changes)
