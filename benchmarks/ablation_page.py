"""The cells of an ablation as a table with intervals, and which of the published trends they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.evaluation.intervals import DRAWS, ENDS

Cell = Mapping[str, Any]
Numbers = NDArray[np.float64]
PUBLISHED_STEPS = 300_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """A statement of the papers: in ``figure`` the row ``less`` is below the row ``more``."""

    says: str
    figure: str
    less: str
    more: str


# Richardson et al. 2021, section 4 and its ablation; for optimisation its first table.
TRENDS = (
    Trend(says="pSp draws nearer than naive W+", figure="mse", less="pSp", more="naive W+"),
    Trend(says="naive W+ draws nearer than an encoder into W", figure="mse", less="naive W+", more="encoder into W"),
    Trend(says="pSp keeps people better than naive W+", figure="identity_distance", less="pSp", more="naive W+"),
    Trend(
        says="naive W+ keeps people better than an encoder into W", figure="identity_distance",
        less="naive W+", more="encoder into W",
    ),
    Trend(
        says="with the identity loss people are kept better", figure="identity_distance",
        less="pSp with identity", more="pSp",
    ),
    Trend(says="the identity loss costs squared error", figure="mse", less="pSp", more="pSp with identity"),
    Trend(
        says="regularisation costs squared error", figure="mse", less="pSp without regularisation", more="pSp",
    ),
    Trend(
        says="regularisation holds codes nearer to the average", figure="from_the_average",
        less="pSp", more="pSp without regularisation",
    ),
    Trend(says="optimisation in W+ draws nearer than pSp", figure="mse", less="W+ optimisation", more="pSp"),
    Trend(
        says="optimisation in W+ draws nearer than in W", figure="mse", less="W+ optimisation", more="W optimisation",
    ),
    Trend(says="pSp takes less time than optimisation in W+", figure="seconds", less="pSp", more="W+ optimisation"),
)  # fmt: skip


def page(record: Mapping[str, Any]) -> str:
    """The whole page."""
    settings, rows = record["settings"], by_row(record["cells"])
    network = ", ".join(f"{key} {value}" for key, value in record["network"].items())
    people = next(cell["people"] for cell in record["cells"])
    parts = [
        "# What each part of pSp brings",
        f"Written by `{record['command']}` from `records/ablation.json`; run it again rather than edit it. Generator "
        f"{record['generator']}, {record['resolution']} px; figures at {record['side']} px; {record['device']}, commit "
        f"{record['commit']}; {record['processor_minutes']:g} minutes of processor time.",
        f"Every encoder was trained for {settings['steps']} steps on renders, with {settings['seeds']} seeds, which "
        f"change weights and order alike, by the preset `{record['preset']}` with {network}; identity loss "
        f"{record['weights']['id']}, regularisation {record['weights']['w_norm']} where a row has them. The paper "
        f"trains {PUBLISHED_STEPS / settings['steps']:.0f} times as long, and with LPIPS: the table says how soon each "
        "part helps, not where it ends.",
        "" if record["identity_loss"] else "No recogniser was at hand: the row with the identity loss is left out.",
        "\n".join(table(rows)),
        f"Encoders on {settings['pictures']} held-out renders of `{record['held_out']}`, optimisations of "
        f"{settings['optimise']} steps from the average code on the first {settings['few']}, once. In brackets the "
        "95 % bootstrap interval over seeds and pictures; shares and figures of codes are means of the seeds, with the "
        f"least and the largest. Right one: the nearest of {people} inputs is its own, by dlib's descriptor, which no "
        f"training here looked through. LEC along {settings['edit']}. Seconds are on the wall, of one picture.",
        "## Which of the published trends appear",
        "\n".join(trends(rows)),
        "Differences are taken picture by picture, on the pictures and seeds that both rows have. A trend appears "
        "where the interval of the difference leaves out zero on its side.",
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def by_row(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The cells of each row, in the order of the seeds."""
    rows: dict[str, list[Cell]] = {}
    for cell in cells:
        rows.setdefault(cell["row"], []).append(cell)
    return rows


def table(rows: Mapping[str, Sequence[Cell]]) -> list[str]:
    """The rows as Markdown."""
    names = ("squared error", "MS-SSIM", "dlib's distance", "right one", "own at 1 % false", "LEC",
             "from the average", "rows apart", "seconds")  # fmt: skip
    lines = [f"| | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
    for name, cells in rows.items():
        shown = [_interval(values(cells, key)) for key in ("mse", "ms_ssim", "identity_distance")]
        keys = ("rank_1", "true_at_1_percent_false", "lec", "from_the_average", "rows_from_their_mean")
        shown += [_range(cells, key) for key in keys]
        shown.append(f"{np.nanmean(values(cells, 'seconds')):.3g}")
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return lines


def trends(rows: Mapping[str, Sequence[Cell]]) -> list[str]:
    """Each published statement with the difference that was found, and whether it appears."""
    lines = ["| Published | here | difference |", "| --- | --- | --- |"]
    for trend in TRENDS:
        if trend.less not in rows or trend.more not in rows:
            lines.append(f"| {trend.says} | not measured | |")
            continue
        apart = difference(rows[trend.more], rows[trend.less], trend.figure)
        low, high = two_level(apart)
        verdict = "appears" if low > 0 else "the opposite" if high < 0 else "not told apart"
        mean = float(np.nanmean(apart))
        lines.append(f"| {trend.says} | {verdict} | {mean:+.3g} ({low:+.3g} to {high:+.3g}) |")
    return lines


def values(cells: Sequence[Cell], figure: str) -> Numbers:
    """A figure of each seed and picture (S, M); not a number where a picture has none. Of whole cells (S, 1)."""
    if figure in cells[0]["pictures"]:
        return np.array([[np.nan if v is None else v for v in cell["pictures"][figure]] for cell in cells])
    return np.array([[np.nan if cell.get(figure) is None else cell[figure]] for cell in cells], dtype=np.float64)


def difference(more: Sequence[Cell], less: Sequence[Cell], figure: str) -> Numbers:
    """How much larger a figure is in one row than in another (S, M); a row with one seed is compared with all."""
    a, b = values(more, figure), values(less, figure)
    count = min(a.shape[1], b.shape[1])
    return np.asarray(a[:, :count] - b[:, :count])


def two_level(found: Numbers, seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of (S, M): seeds are drawn anew, and pictures, the same in each seed."""
    chance = np.random.default_rng(seed)
    seeds = chance.integers(found.shape[0], size=(DRAWS, found.shape[0]))
    pictures = chance.integers(found.shape[1], size=(DRAWS, found.shape[1]))
    means = [np.nanmean(found[np.ix_(s, p)]) for s, p in zip(seeds, pictures, strict=True)]
    low, high = np.nanquantile(means, ENDS)
    return float(low), float(high)


def _interval(found: Numbers) -> str:
    low, high = two_level(found)
    return f"{np.nanmean(found):.3g} ({low:.3g} to {high:.3g})"


def _range(cells: Sequence[Cell], figure: str) -> str:
    found = values(cells, figure)
    if np.isnan(found).all():
        return ""
    mean, low, high = np.nanmean(found), np.nanmin(found), np.nanmax(found)
    return f"{mean:.3g}" if len(cells) == 1 else f"{mean:.3g} ({low:.3g} to {high:.3g})"
