"""The report of an evaluation: how its figures are called, its rows, its form in Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

# How each figure is called in tables, and which way is better.
NAMES = {
    "mse": "squared error (less is better)",
    "psnr": "PSNR in dB (more is better)",
    "ms_ssim": "MS-SSIM (more is better)",
    "lpips": "LPIPS (less is better)",
    "identity_distance": "distance of dlib's descriptors (less is better)",
    "identity_similarity": "cosine of the recogniser's embeddings (more is better)",
    "line_f1": "F1 of lines (more is better)",
    "pixel_accuracy": "pixels of the right part of the face",
    "seconds": "seconds a picture",
    "lec": "LEC along {} (less is better)",
    "rank_1": "target nearest to a result is its own",
    "true_at_1_percent_false": "own pairs found at 1 % false ones",
    "different_outputs_one_person": "different results called one person",
    "different_inputs_one_person": "different targets called one person",
    "under_0.6": "result and target called one person",
    "found_in_results": "results with a face",
    "found_in_targets": "targets with a face",
    "frechet": "Fréchet distance (less is better)",
    "precision": "precision",
    "recall": "recall",
    "mean_iou": "mean IoU of the classes (more is better)",
}
SETS = {
    "spectrum_ratio": "power of the spectrum, at {} cycles (1 is right)",
    "faces": "{}",
    "recogniser": "{}, by the recogniser",
    "lite2": "{} on Lite2",
    "inception": "FID: {} on Inception",
    "layout": "{}",
    "layout_of_targets": "{}, of the targets themselves",
}
FACE_DISTANCES = ("frechet", "precision", "recall")


def name_of(figure: str) -> str:
    """How a figure of pairs is called; ``lec:age`` carries its direction."""
    kind, _, of = figure.partition(":")
    return NAMES[kind].format(of)


def report_rows(report: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The figures of a report as rows: what, how much, and the 95 % interval where there is one."""
    for name, mean in report["means"].items():
        yield name_of(name), f"{mean['mean']:.4g}", _sure((mean["low"], mean["high"])) if mean["count"] > 1 else ""
    for part, figures in report["sets"].items():
        sure = report["intervals"].get(part, {})
        for name, value in figures.items():
            if name == "iou":
                yield from ((f"IoU of {kind}", f"{each:.4g}", "") for kind, each in value.items() if part == "layout")
            elif name not in ("people", *report["means"]) and value is not None:
                named = SETS[part].format(NAMES.get(name, name))
                named += " on dlib's descriptors" * (part == "faces" and name in FACE_DISTANCES)
                yield named, f"{value:.4g}", _sure(sure[name]) if name in sure else ""


def _sure(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}"


def as_file(report: dict[str, Any], suffix: str) -> str:
    """The report as a text for a file of this ending."""
    if suffix == ".json":
        return json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    ran = report.get("model")
    lines = [
        f"{report['pairs']} pairs; {report['failed']} could not be compared, {report['without_target']} had no target.",
        *([f"Drawn by {ran['model']}, {ran['task']}; {ran['not_drawn']} could not be drawn."] if ran else ()),
        "",
        "| Measure | Mean | 95 % interval |",
        "| --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in report_rows(report)),
        "",
        *(f"Without {name}: {why}.\n" for name, why in report["left_out"].items()),
        f"{report['device']}, {report['seconds']} s, seed {report['seed']}.",
    ]
    return "\n".join(lines) + "\n"
