"""The Python facade: one function per command, with the command's names and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.events import ImageDone, OnEvent, Summary, ignore_event
from pixel2style2pixel_cli.options.task import MAX_PIXELS, TaskOptions, read_stdin
from pixel2style2pixel_cli.tasks.frontalize import FrontalizeOptions
from pixel2style2pixel_cli.tasks.inpaint import InpaintOptions
from pixel2style2pixel_cli.tasks.invert import InvertOptions
from pixel2style2pixel_cli.tasks.mix import MixOptions
from pixel2style2pixel_cli.tasks.seg2face import Seg2FaceOptions
from pixel2style2pixel_cli.tasks.sketch2face import Sketch2FaceOptions
from pixel2style2pixel_cli.tasks.superres import SuperresOptions
from pixel2style2pixel_cli.tasks.table import TRAINED, options_of
from pixel2style2pixel_cli.tasks.toonify import ToonifyOptions

if TYPE_CHECKING:
    from pixel2style2pixel_cli.face.detect import Detector
    from pixel2style2pixel_cli.install.adopt import Imported

P = ParamSpec("P")


def _task(make_options: Callable[P, TaskOptions]) -> Callable[Concatenate[Sequence[str | Path], P], Summary]:
    """The function of one task: inputs, then the options of its command as keywords."""

    def run(inputs: Sequence[str | Path], /, *args: P.args, **options: P.kwargs) -> Summary:
        from pixel2style2pixel_cli.jobs.start import run_task

        return run_task(inputs, make_options(*args, **options))

    run.__doc__ = make_options.__doc__
    first = inspect.Parameter("inputs", inspect.Parameter.POSITIONAL_ONLY)
    shown = inspect.Signature([first, *inspect.signature(make_options).parameters.values()])
    run.__signature__ = shown  # type: ignore[attr-defined]
    return run


# Each takes its inputs and the options of the command of the same name, and returns the counts of the run. Failures of
# single inputs are events and counts; everything else raises a P2S2PError. None of them fetches a model.
invert = _task(InvertOptions)
frontalize = _task(FrontalizeOptions)
sketch2face = _task(Sketch2FaceOptions)
seg2face = _task(Seg2FaceOptions)
superres = _task(SuperresOptions)
inpaint = _task(InpaintOptions)
toonify = _task(ToonifyOptions)
mix = _task(MixOptions)


def list_faces(
    inputs: Sequence[str | Path],
    *,
    recursive: bool = False,
    detector: str = "dlib",
    detector_threshold: float = 0.0,
    max_pixels: int = MAX_PIXELS,
    shard: str | None = None,
    offline: bool = False,
    stdin: Callable[[], bytes] = read_stdin,
    on_event: OnEvent = ignore_event,
) -> list[dict[str, Any]]:
    """Every face of every input: input, face (its index, best first), score, box (left, top, right, bottom)."""
    from pixel2style2pixel_cli.files.image import read_image
    from pixel2style2pixel_cli.jobs.expand import expand_inputs
    from pixel2style2pixel_cli.jobs.plan import in_shard, parse_shard

    part = parse_shard(shard) if shard else None
    expanded = expand_inputs([str(i) for i in inputs], recursive=recursive, output_root=None, stdin=stdin)
    finder = _load_detector(detector, detector_threshold)
    rows: list[dict[str, Any]] = []
    for item in expanded.sources:
        if part is not None and not in_shard(item.relative, *part):
            continue
        try:
            if item.problem is not None:
                raise InputError(item.problem, item.hint)
            source = stdin() if item.path is None else Path(item.path)
            faces = finder.detect(read_image(source, name=item.label, max_pixels=max_pixels).pixels)
        except InputError as error:
            failed = ImageDone(
                input=item.label, status="failed", model=detector, message=error.message, hint=error.hint
            )
            on_event(failed)
            continue
        if not faces:
            on_event(ImageDone(input=item.label, status="no_face", model=detector, message="no face found"))
        for index, found in enumerate(faces):
            box = [round(v, 1) for v in found.box]
            rows.append({"input": item.label, "face": index, "score": round(found.score, 4), "box": box})
    return rows


def list_models() -> list[dict[str, Any]]:
    """One row per model card, best rank first."""
    from pixel2style2pixel_cli.zoo.catalogue import model_rows

    return model_rows()


def show_model(name: str) -> dict[str, Any]:
    """The card of one model, and where its files are installed."""
    from pixel2style2pixel_cli.zoo.catalogue import card_fields

    return card_fields(name)


def verify_models(names: Sequence[str]) -> list[tuple[str, bool, str]]:
    """Hash the files of the named models, or of all installed ones: (name, whether they are right, what was found)."""
    from pixel2style2pixel_cli.zoo.catalogue import verified

    return verified(names)


def pull_models(
    names: Sequence[str],
    *,
    accept_licence: bool = False,
    offline: bool = False,
    ask: Callable[[str], bool] | None = None,
    on_event: OnEvent = ignore_event,
) -> list[dict[str, Any]]:
    """Fetch the published weights of the named models, check, convert and install them; one row a model.

    ``ask`` is given a question about a licence that was neither accepted before nor by ``accept_licence``. The first
    model that cannot be had raises a P2S2PError; those before it are installed.
    """
    from pixel2style2pixel_cli.install.pull import pull_model
    from pixel2style2pixel_cli.zoo.find import find_card

    rows = []
    for card in [find_card(name) for name in names]:  # a misspelt name is found before anything is fetched
        done = pull_model(card, accept_licence=accept_licence, offline=offline, ask=ask, on_event=on_event)
        status = "installed" if done else "already installed"
        rows.append({"name": card.name, "status": status, **(_import_fields(done) if done else {})})
    return rows


def remove_models(names: Sequence[str]) -> list[dict[str, Any]]:
    """Remove what was imported or pulled under these names; one row a model, with the bytes freed."""
    from pixel2style2pixel_cli.install.pull import check_removable, remove_model

    unique = list(dict.fromkeys(names))
    for name in unique:
        check_removable(name)
    return [{"name": name, "freed": remove_model(name)} for name in unique]


def import_model(name: str, file: str | Path, on_event: OnEvent = ignore_event) -> dict[str, Any]:
    """Check a published weight file, convert it and install it under a name."""
    from pixel2style2pixel_cli.install.adopt import import_model as adopt

    return _import_fields(adopt(name, Path(file), on_event))


def blend_models(structure: str, look: str, name: str, *, at: int, width: float = 0.0) -> dict[str, Any]:
    """Install a generator with the layers of ``structure`` below ``at`` px and of ``look`` from there on."""
    from pixel2style2pixel_cli.install.blend import install_blend

    return install_blend(structure, look, name, at=at, width=width)


def show_file(path: str | Path) -> dict[str, Any]:
    """How a picture was made, or what a latent or weight file holds."""
    from pixel2style2pixel_cli.weights.describe import describe_file

    return describe_file(Path(path))


def train_generator(
    data: Sequence[str | Path],
    out: Path,
    *,
    preset: str | None = None,
    overrides: Mapping[str, str] | None = None,
    steps: int | None = None,
    start: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    resume: bool = True,
    check: bool = False,
    on_event: OnEvent = ignore_event,
) -> dict[str, Any]:
    """Train a generator on aligned pictures; ``p2s2p train generator`` explains the options."""
    from pixel2style2pixel_cli.training.start import start_generator

    return start_generator(
        data, out, preset=preset or "stylegan2-128", overrides=_with_steps(overrides, steps), start=start,
        device=device, seed=seed, resume=resume, check=check, on_event=on_event,
    )  # fmt: skip


def train_encoder(
    data: Sequence[str | Path],
    out: Path,
    *,
    generator: str,
    task: str = "invert",
    teacher: str | None = None,
    preset: str | None = None,
    overrides: Mapping[str, str] | None = None,
    steps: int | None = None,
    start: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    resume: bool = True,
    check: bool = False,
    on_event: OnEvent = ignore_event,
) -> dict[str, Any]:
    """Train an encoder into W+ of a frozen generator; ``p2s2p train encoder`` explains the options."""
    from pixel2style2pixel_cli.training.start import start_encoder

    if task not in TRAINED:
        raise UsageError(f"no training task {task!r}", f"tasks: {', '.join(TRAINED)}")
    return start_encoder(
        data, out, generator=generator, kind=options_of(task).kind, teacher=teacher, preset=preset or f"psp-{task}",
        overrides=_with_steps(overrides, steps), start=start, device=device, seed=seed, resume=resume, check=check,
        on_event=on_event,
    )  # fmt: skip


def _load_detector(name: str, threshold: float) -> Detector:
    from pixel2style2pixel_cli.face.detect import load_detector
    from pixel2style2pixel_cli.zoo.landmarks import find_landmarks

    return load_detector(name, landmarks=find_landmarks(), threshold=threshold)


def _import_fields(done: Imported) -> dict[str, Any]:
    return {
        "name": done.card.name,
        "tasks": list(done.card.tasks),
        "licence": done.card.licence,
        "checked_by": done.checked_by,
        "source_sha256": done.source_sha256,
        "files": {role: str(path) for role, path in done.files.items()},
        "digests": done.digests,
    }


def _with_steps(overrides: Mapping[str, str] | None, steps: int | None) -> dict[str, str]:
    chosen = dict(overrides or {})
    return chosen if steps is None else {**chosen, "run.steps": str(steps)}
