"""An installed model as a file for other programs, with a report of how far what was written is from the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from pixel2style2pixel_cli.engine.graphs import Graph, Part
from pixel2style2pixel_cli.engine.loading import load_generator, load_model
from pixel2style2pixel_cli.errors import IntegrityError, MissingError, UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent, ignore_event
from pixel2style2pixel_cli.files.atomic import write_together
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.install.export_formats import SUFFIXES, WRITERS, Format, Subject, Written
from pixel2style2pixel_cli.weights.changes import CHANGES_SUFFIX
from pixel2style2pixel_cli.zoo.choose import choose_model, find_model, how_to_install
from pixel2style2pixel_cli.zoo.resolve import InstalledModel, locate

CPU = torch.device("cpu")
MOST_GREY = 1  # grey levels that an exported network may differ by


def export_model(
    name: str,
    out: Path,
    *,
    format: Format | None = None,
    part: Part | None = None,
    overwrite: bool = False,
    on_event: OnEvent = ignore_event,
) -> dict[str, Any]:
    """Write an installed model to ``out``; the format is what its name says where none is given.

    Raises UsageError for a name of another format, a file that exists, and a part or a layout that the model does not
    have; MissingError for a model or a package that is not installed; IntegrityError where what was written draws
    something else than the model, in which case no file is left.
    """
    chosen = _format(out, format)
    paths = [out, out.with_suffix(".bin")] if chosen == "openvino" else [out]
    for path in paths:
        if path.exists() and not overwrite:
            raise UsageError(f"{display(path)} exists already", "choose another name, or add --overwrite")
    subject = _load(_installed(name), part)
    on_event(Notice(message=f"writing {subject.part} of {subject.card.name} as {chosen}"))
    suffix = out.suffix
    written = WRITERS[chosen](subject, suffix)
    report = _report(subject.graph, written)
    if report["same"] is False:
        raise IntegrityError(
            f"what was written as {chosen} does not draw what {subject.card.name} draws: {report}",
            "nothing was kept; try another version of the package that wrote it",
        )
    files = [(out.with_suffix(ending) if ending != suffix else out, data) for ending, data in written.files.items()]
    # the weights first: where the graph is, they are
    write_together(files[::-1], may_replace=lambda path: overwrite)
    return {
        "name": subject.card.name, "format": chosen, "part": subject.part, "licence": subject.card.licence,
        "files": {path.suffix.lstrip("."): str(path) for path, _ in files},
        "bytes": sum(len(data) for _, data in files), **report,
    }  # fmt: skip


def _format(out: Path, asked: Format | None) -> Format:
    suffix = out.suffix.lower()
    if asked is None:
        for name, suffixes in SUFFIXES.items():
            if suffix in suffixes:
                return name
        known = ", ".join(ending for suffixes in SUFFIXES.values() for ending in suffixes)
        raise UsageError(f"the name {out.name!r} says no format", f"end it with one of {known}, or add --format")
    if suffix not in SUFFIXES[asked]:
        raise UsageError(
            f"a file of format {asked} ends with {' or '.join(SUFFIXES[asked])}, found {out.name!r}", "change its name"
        )
    return asked


def _installed(name: str) -> InstalledModel:
    if Path(name).suffix.lower() == CHANGES_SUFFIX:
        return choose_model("invert", name)
    card = find_model(name)
    model = locate(card)
    if model is None:
        raise MissingError(f"the model {card.name} is not installed", how_to_install(card))
    return model


def _load(installed: InstalledModel, part: Part | None) -> Subject:
    if installed.encoder is None:
        if part in ("encoder", "whole"):
            raise UsageError(f"the model {installed.name} has no encoder", "use --part generator, or leave it out")
        generator, _ = load_generator(installed, CPU, torch.float32)
        return Subject(card=installed.card, encoder=None, generator=generator, part="generator")
    model = load_model(installed, CPU, torch.float32)
    return Subject(card=installed.card, encoder=model.encoder, generator=model.generator, part=part or "whole")


def _report(graph: Graph, written: Written) -> dict[str, Any]:
    """How far what was written is from the module, on two pictures; of tensors alone, whether all are there."""
    if written.run is None:
        return {"same": written.same, "compared": written.unread or "every tensor read again"}
    inputs = [torch.cat([tensor, tensor.flip(-1)]) for tensor in graph.example]
    with torch.inference_mode():
        found = graph.module(*inputs)
    wanted = [found] if isinstance(found, torch.Tensor) else list(found)
    given = written.run([tensor.contiguous().numpy() for tensor in inputs])
    report: dict[str, Any] = {"compared": "two pictures"}
    same = True
    for name, ours, theirs in zip(graph.outputs, wanted, given, strict=True):
        if not np.isfinite(theirs).all() or ours.shape != theirs.shape:
            return {"same": False, "compared": f"{name} has numbers that are none, or another shape"}
        difference = float(np.abs(ours.numpy() - theirs).max())
        report[f"{name}_difference"] = difference
        if name == "codes":
            same = same and difference <= 1e-3 * max(1.0, float(ours.std()))
        else:
            pairs = zip(to_uint8(ours), to_uint8(torch.from_numpy(theirs)), strict=True)
            report["grey_levels"] = max(int(np.abs(a.astype(int) - b.astype(int)).max()) for a, b in pairs)
            same = same and report["grey_levels"] <= MOST_GREY
    return {"same": same, **report}
