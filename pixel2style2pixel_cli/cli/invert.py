"""``p2s2p invert``: photographs in, the W+ code and the reconstruction of each face out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import typer

from pixel2style2pixel_cli.cli import options as o
from pixel2style2pixel_cli.cli.defaults import given_by, start_output
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import SCHEMA, Event, ImageDone, Summary
from pixel2style2pixel_cli.output import Look, Output

DEFAULT_OUT = "p2s2p-out/invert"
EXAMPLES = """Examples:

p2s2p invert photo.jpg -o me.png

p2s2p invert photos/ -r -o faces/ --save-latents --skip-existing

p2s2p invert group.jpg --face all --paste
"""


def invert(
    context: typer.Context,
    inputs: o.Inputs,
    out: o.OutOption = None,
    recursive: o.RecursiveOption = False,
    existing: o.ExistingOption = "error",
    skip_existing: o.SkipExistingOption = False,
    overwrite: o.OverwriteOption = False,
    name: o.NameOption = "{stem}",
    format: o.FormatOption = "png",
    save_latents: o.SaveLatentsOption = False,
    grid: o.GridOption = "none",
    keep_exif: o.KeepExifOption = False,
    metadata: o.MetadataOption = True,
    align: o.AlignOption = "auto",
    face: o.FaceOption = "best",
    list_faces: o.ListFacesOption = False,
    on_no_face: o.OnNoFaceOption = "skip",
    detector: o.DetectorOption = "dlib",
    detector_threshold: o.DetectorThresholdOption = 0.0,
    paste: o.PasteOption = False,
    debug_align: o.DebugAlignOption = False,
    model: o.ModelOption = "auto",
    optimize: o.OptimizeOption = 0,
    device: o.DeviceOption = "auto",
    dtype: o.DtypeOption = "auto",
    seed: o.SeedOption = 0,
    noise: o.NoiseOption = "fixed",
    batch_size: o.BatchSizeOption = "auto",
    dry_run: o.DryRunOption = False,
    shard: o.ShardOption = None,
    fail_fast: o.FailFastOption = False,
    ignore_failures: o.IgnoreFailuresOption = False,
    max_pixels: o.MaxPixelsOption = 200_000_000,
    offline: o.OfflineOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = 0,
    color: o.ColorOption = "auto",
    config: o.ConfigOption = None,
) -> int:
    """Find the code of each face and write the picture that the generator makes of it."""
    look = Look(target=out or DEFAULT_OUT, ignore_failures=ignore_failures, dry_run=dry_run)
    output = start_output(context, json=json, quiet=quiet, verbose=verbose, color=color, look=look)
    if list_faces:
        return _list_faces(output, context.params)
    if out == "-":
        _check_stdout(output, json=json)
    policy = _existing_policy(context, existing, skip=skip_existing, overwrite=overwrite)
    return output.finish(_call_api(output, context.params, policy))


def _call_api(output: Output, given: Mapping[str, Any], existing: o.Existing) -> Summary:
    """The options as the arguments of the Python function of the same name."""
    from pixel2style2pixel_cli import api

    batch_size = given["batch_size"]
    summary: Summary = api.invert(
        list(given["inputs"]),
        out=given["out"],
        model=given["model"],
        align=given["align"],
        face=given["face"],
        on_no_face=given["on_no_face"],
        detector=given["detector"],
        detector_threshold=given["detector_threshold"],
        paste=given["paste"],
        debug_align=given["debug_align"],
        optimize=given["optimize"],
        device=given["device"],
        dtype=given["dtype"],
        batch_size="auto" if batch_size == "auto" else int(batch_size),
        seed=given["seed"],
        noise=given["noise"],
        recursive=given["recursive"],
        existing=existing,
        name=given["name"],
        format=given["format"],
        save_latents=given["save_latents"],
        grid=given["grid"],
        keep_exif=given["keep_exif"],
        metadata=given["metadata"],
        fail_fast=given["fail_fast"],
        dry_run=given["dry_run"],
        shard=given["shard"],
        max_pixels=given["max_pixels"],
        offline=given["offline"],
        stdin=_read_stdin,
        stdout=output.write_bytes,
        on_event=output.on_event,
    )
    return summary


def _list_faces(output: Output, given: Mapping[str, Any]) -> int:
    """Print index, score and box of every face; exit 3 when an input failed or had none."""
    from pixel2style2pixel_cli import api

    incomplete = False

    def watch(event: Event) -> None:
        nonlocal incomplete
        incomplete = incomplete or (isinstance(event, ImageDone) and event.status in ("failed", "no_face"))
        if not isinstance(event, Summary):  # its counts are about files written
            output.on_event(event)

    rows = api.list_faces(
        list(given["inputs"]),
        recursive=given["recursive"],
        detector=given["detector"],
        detector_threshold=given["detector_threshold"],
        max_pixels=given["max_pixels"],
        shard=given["shard"],
        offline=given["offline"],
        stdin=_read_stdin,
        on_event=watch,
    )
    if output.look.mode == "json":
        for row in rows:
            output.json_line({"event": "face", "schema": SCHEMA, **row})
    else:
        cells = [(str(r["input"]), str(r["face"]), f"{r['score']:.2f}", *(f"{v:.0f}" for v in r["box"])) for r in rows]
        output.table(("input", "face", "score", "left", "top", "right", "bottom"), cells)
    output.list_without_face()
    return 3 if incomplete and not output.look.ignore_failures else 0


def _read_stdin() -> bytes:
    return sys.stdin.buffer.read()


def _existing_policy(context: typer.Context, existing: o.Existing, *, skip: bool, overwrite: bool) -> o.Existing:
    """One policy out of ``--existing`` and its short forms; two different ones typed together are refused."""
    asked: list[o.Existing] = []
    if skip:
        asked.append("skip")
    if overwrite:
        asked.append("overwrite")
    if given_by(context, "existing") == "COMMANDLINE":
        asked.append(existing)
    if len(set(asked)) > 1:
        raise UsageError(
            f"two policies for existing outputs: {' and '.join(dict.fromkeys(asked))}",
            "give one of --existing, --skip-existing and --overwrite",
        )
    return asked[0] if asked else existing


def _check_stdout(output: Output, *, json: bool) -> None:
    """Standard output can carry a picture to another program only."""
    if json:
        raise UsageError("--json and -o - both want standard output", "write the picture to a file: -o face.png")
    if output.stdout.isatty():
        raise UsageError("standard output is a terminal, and a PNG is no text", "redirect it: -o - > face.png")
