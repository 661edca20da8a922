"""The Python facade: one function per command, with the command's names and defaults."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.events import ImageDone, Notice, OnEvent, Status, Summary, ignore_event

if TYPE_CHECKING:
    from pixel2style2pixel_cli.convert.adopt import Imported
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.face.detect import Detector
    from pixel2style2pixel_cli.files.plan import Plan
    from pixel2style2pixel_cli.tasks.base import RunOptions
    from pixel2style2pixel_cli.zoo.cards import Card

MAX_PIXELS = 200_000_000


def _read_stdin() -> bytes:
    return sys.stdin.buffer.read()


def _write_stdout(data: bytes) -> object:
    return sys.stdout.buffer.write(data)


def invert(
    inputs: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    model: str = "auto",
    align: Literal["auto", "always", "never"] = "auto",
    face: str = "best",
    on_no_face: Literal["skip", "fail", "crop"] = "skip",
    detector: str = "dlib",
    detector_threshold: float = 0.0,
    paste: bool = False,
    debug_align: bool = False,
    optimize: int = 0,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | Literal["auto"] = "auto",
    seed: int = 0,
    noise: Literal["fixed", "random", "off"] = "fixed",
    recursive: bool = False,
    existing: Literal["error", "skip", "overwrite", "rename"] = "error",
    name: str = "{stem}",
    format: Literal["png", "jpg", "webp"] = "png",
    save_latents: bool = False,
    grid: Literal["none", "pair", "sheet"] = "none",
    keep_exif: bool = False,
    metadata: bool = True,
    fail_fast: bool = False,
    dry_run: bool = False,
    shard: str | None = None,
    max_pixels: int = MAX_PIXELS,
    offline: bool = False,
    stdin: Callable[[], bytes] = _read_stdin,
    stdout: Callable[[bytes], object] = _write_stdout,
    on_event: OnEvent = ignore_event,
) -> Summary:
    """Find the code of each face in ``inputs`` and write its reconstruction; ``p2s2p invert`` explains the options.

    Failures of single inputs are events and counts of the summary; everything else raises a P2S2PError. ``offline`` is
    a promise that holds anyway: no model is fetched by this function.
    """
    from pixel2style2pixel_cli.tasks.base import RunOptions
    from pixel2style2pixel_cli.zoo.find import choose_model

    options = RunOptions(
        command="invert",
        format=format,
        seed=seed,
        noise=noise,
        optimize=optimize,
        paste=paste,
        debug_align=debug_align,
        save_latents=save_latents,
        grid=grid,
        keep_exif=keep_exif,
        metadata=metadata,
        fail_fast=fail_fast,
        max_pixels=max_pixels,
        many_faces=face in ("all", "left-to-right"),
    )
    card = choose_model("invert", model)
    plan = _make_plan(inputs, out, options, card, recursive, name, existing, shard, stdin, face)
    on_event(Notice(message=f"model: {card.name} ({_origin(card)})"))
    if dry_run:
        return _report_plan(plan, card, on_event)
    finder = None if align == "never" else _load_detector(detector, detector_threshold)
    # Hundreds of small steps add up; half precision would round them away.
    engine = _load_engine(card, device, "float32" if optimize and dtype == "auto" else dtype, batch_size, on_event)

    from pixel2style2pixel_cli.tasks.invert import InvertTask
    from pixel2style2pixel_cli.tasks.run import TaskRun

    task = InvertTask(
        input_size=engine.model.encoder_spec.input_size,
        target_size=engine.model.generator_spec.resolution if options.needs_target else None,
        detector=finder,
        align=align,
        face=face,
        on_no_face=on_no_face,
    )
    run = TaskRun(
        task,
        engine,
        plan,
        options,
        stdin=stdin,
        stdout=stdout,
        on_event=on_event,
        stop_at_no_face=on_no_face == "fail",
    )
    return run.run()


def list_faces(
    inputs: Sequence[str | Path],
    *,
    recursive: bool = False,
    detector: str = "dlib",
    detector_threshold: float = 0.0,
    max_pixels: int = MAX_PIXELS,
    shard: str | None = None,
    offline: bool = False,
    stdin: Callable[[], bytes] = _read_stdin,
    on_event: OnEvent = ignore_event,
) -> list[dict[str, Any]]:
    """Every face of every input: input, face (its index, best first), score, box (left, top, right, bottom)."""
    from pixel2style2pixel_cli.files.expand import expand_inputs
    from pixel2style2pixel_cli.files.image import read_image
    from pixel2style2pixel_cli.files.plan import in_shard, parse_shard

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
    from pixel2style2pixel_cli.convert.pull import pull_model
    from pixel2style2pixel_cli.zoo.find import find_card

    rows = []
    for card in [find_card(name) for name in names]:  # a misspelt name is found before anything is fetched
        done = pull_model(card, accept_licence=accept_licence, offline=offline, ask=ask, on_event=on_event)
        status = "installed" if done else "already installed"
        rows.append({"name": card.name, "status": status, **(_import_fields(done) if done else {})})
    return rows


def remove_models(names: Sequence[str]) -> list[dict[str, Any]]:
    """Remove what was imported or pulled under these names; one row a model, with the bytes freed."""
    from pixel2style2pixel_cli.convert.pull import check_removable, remove_model

    unique = list(dict.fromkeys(names))
    for name in unique:
        check_removable(name)
    return [{"name": name, "freed": remove_model(name)} for name in unique]


def import_model(name: str, file: str | Path, on_event: OnEvent = ignore_event) -> dict[str, Any]:
    """Check a published weight file, convert it and install it under a name."""
    from pixel2style2pixel_cli.convert.adopt import import_model as adopt

    return _import_fields(adopt(name, Path(file), on_event))


def show_file(path: str | Path) -> dict[str, Any]:
    """How a picture was made, or what a latent or weight file holds."""
    from pixel2style2pixel_cli.files.describe import describe_file

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

    if task != "invert":
        raise UsageError(f"no training task {task!r}", "use --task invert")
    return start_encoder(
        data, out, generator=generator, preset=preset or "psp-invert", overrides=_with_steps(overrides, steps),
        start=start, device=device, seed=seed, resume=resume, check=check, on_event=on_event,
    )  # fmt: skip


def _make_plan(
    inputs: Sequence[str | Path],
    out: str | Path | None,
    options: RunOptions,
    card: Card,
    recursive: bool,
    name: str,
    existing: Literal["error", "skip", "overwrite", "rename"],
    shard: str | None,
    stdin: Callable[[], bytes],
    face: str,
) -> Plan:
    from pixel2style2pixel_cli.files.plan import make_plan, parse_shard

    return make_plan(
        [str(i) for i in inputs],
        out=None if out is None else str(out),
        command=options.command,
        recursive=recursive,
        name=name,
        format=options.format,
        existing=existing,
        many_faces=options.many_faces,
        latents=options.save_latents,
        shard=parse_shard(shard) if shard else None,
        stdin=stdin,
        model=card.name,
        seed=options.seed,
        face=int(face) if face.isdigit() else 0,
        companions=options.companions,
        shared=("sheet",) if options.grid == "sheet" else (),
    )


def _load_detector(name: str, threshold: float) -> Detector:
    from pixel2style2pixel_cli.face.detect import load_detector
    from pixel2style2pixel_cli.zoo.landmarks import find_landmarks

    return load_detector(name, landmarks=find_landmarks(), threshold=threshold)


def _load_engine(card: Card, device: str, dtype: str, batch_size: int | Literal["auto"], on_event: OnEvent) -> Engine:
    from pixel2style2pixel_cli.device import keep_freed_memory, resolve_device, resolve_dtype
    from pixel2style2pixel_cli.engine.batching import BatchSize, first_batch_size
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import load_model

    chosen = resolve_device(device)
    if device == "auto":
        on_event(Notice(message=f"device: {chosen}"))
    if chosen.type == "cpu":
        keep_freed_memory()
    low_precision_ok = bool(card.measured.get("bfloat16_ok", False))
    precision = resolve_dtype(dtype, chosen, low_precision_ok=low_precision_ok)
    per_image = card.measured.get("bytes_per_image")
    asked = None if batch_size == "auto" else batch_size
    size = first_batch_size(asked, chosen, per_image if isinstance(per_image, int) else None)
    return Engine(load_model(card, chosen, precision), chosen, precision, BatchSize(size, on_event))


def _report_plan(plan: Plan, card: Card, on_event: OnEvent) -> Summary:
    for item in plan.items:
        status: Status = "failed" if item.problem is not None else "skipped" if item.status == "skip" else "ok"
        done = ImageDone(
            input=item.label, status=status, model=card.name, output=str(item.output), message=item.problem,
            latent=None if item.latent is None else str(item.latent), hint=item.hint or None,
        )  # fmt: skip
        on_event(done)
    return Summary(
        ok=len(plan.todo), skipped=len(plan.skipped), no_face=0, failed=len(plan.problems), ignored=plan.ignored,
        seconds=0.0, device="none", dtype="none", model=card.name,
    )  # fmt: skip


def _origin(card: Card) -> str:
    resolution = card.generator.get("resolution")
    if resolution is None:
        from pixel2style2pixel_cli.zoo.find import generator_card_of

        resolution = generator_card_of(card).generator.get("resolution")
    return f"{'bundled' if card.bundled else 'installed'}, {resolution} px"


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
