"""The faces of photographs, found and listed without a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.events import ImageDone, Progress
from pixel2style2pixel_cli.face.detectors import load_detector
from pixel2style2pixel_cli.files.image import read_image
from pixel2style2pixel_cli.jobs.expand import expand_inputs
from pixel2style2pixel_cli.jobs.plan import in_shard, parse_shard
from pixel2style2pixel_cli.options.task import FaceOptions
from pixel2style2pixel_cli.tasks.outcome import UnforeseenError, as_outcome
from pixel2style2pixel_cli.zoo.landmarks import find_landmarks


def found_faces(inputs: Sequence[str], options: FaceOptions) -> list[dict[str, Any]]:
    """One row a face: input, index (best first), score, box; an input that cannot be searched is an event."""
    part = parse_shard(options.shard) if options.shard else None
    expanded = expand_inputs(inputs, recursive=options.recursive, output_root=None, stdin=options.stdin)
    chosen = [item for item in expanded.sources if part is None or in_shard(item.relative, *part)]
    options.on_event(Progress(done=0, total=len(chosen), label="list faces"))
    finder = load_detector(options.detector, landmarks=find_landmarks(), threshold=options.detector_threshold)
    rows: list[dict[str, Any]] = []
    for number, item in enumerate(chosen):
        options.on_event(Progress(done=number, total=len(chosen), label="list faces"))
        try:
            if item.problem is not None:
                raise InputError(item.problem, item.hint)
            source = options.stdin() if item.path is None else Path(item.path)
            faces = finder.detect(read_image(source, name=item.label, max_pixels=options.max_pixels).pixels)
        except Exception as error:
            outcome = as_outcome(error, item.label)
            failed = ImageDone(
                input=item.label, status="failed", model=options.detector, message=outcome.message, hint=outcome.hint,
                details=outcome.details if isinstance(outcome, UnforeseenError) else None,
            )  # fmt: skip
            options.on_event(failed)
            continue
        if not faces:
            options.on_event(
                ImageDone(input=item.label, status="no_face", model=options.detector, message="no face found")
            )
        for index, found in enumerate(faces):
            box = [round(v, 1) for v in found.box]
            rows.append({"input": item.label, "face": index, "score": round(found.score, 4), "box": box})
    return rows
