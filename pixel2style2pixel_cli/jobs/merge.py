"""The JSON lines of several runs over parts of one folder, joined into those of one run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pixel2style2pixel_cli.errors import InputError, UsageError, in_one_line
from pixel2style2pixel_cli.events import SCHEMA
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.files.paths import display

# The best first: of several lines of one picture, as after a run that was gone on with, the best is what came of it.
STATUSES = ("ok", "skipped", "no_face", "failed", "not_tried")
_COUNTED = ("ignored", "no_face_written")


def merge_reports(files: Sequence[str], out: str | None = None, *, overwrite: bool = False) -> dict[str, Any]:
    """The summary of all the runs, with ``rows``, their pictures; both are also written to ``out`` as JSON lines.

    Raises InputError for a file that holds something else, UsageError for an output that exists.
    """
    if out is not None and Path(out).exists() and not overwrite:
        raise UsageError(f"{display(Path(out))} exists already", "choose another name, or add --overwrite")
    rows: dict[tuple[object, ...], dict[str, Any]] = {}
    summaries: list[dict[str, Any]] = []
    unfinished: list[str] = []
    for name in files:
        before = len(summaries)
        for line in _lines(Path(name)):
            if line["event"] == "summary":
                summaries.append(line)
            elif line["event"] == "image":
                _keep(rows, line)
        if len(summaries) == before:
            unfinished.append(name)
    summary = _summary(list(rows.values()), summaries, unfinished, len(files))
    if out is not None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in (*rows.values(), summary))
        write_atomic(Path(out), text.encode())
    return {**summary, "rows": list(rows.values())}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"{display(path)} cannot be read: {reason.lower()}", "name what --json printed") from error
    whole, _, rest = text.rpartition("\n")
    for number, line in enumerate(whole.splitlines(), 1):
        yield _parsed(path, number, line)
    if rest:  # the last line of a run that was killed may be cut short: it is as if it had not been printed
        try:
            found = json.loads(rest)
        except ValueError:
            return
        yield _checked(path, whole.count("\n") + 2, found)


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"line {number} of {display(path)} is not JSON: {in_one_line(error)}", "name what --json printed"
        ) from error
    return _checked(path, number, found)


def _checked(path: Path, number: int, found: object) -> dict[str, Any]:
    known = isinstance(found, dict) and isinstance(found.get("event"), str) and found.get("schema") == SCHEMA
    if not isinstance(found, dict) or not known:
        raise InputError(
            f"line {number} of {display(path)} is no event of p2s2p in schema {SCHEMA}", "name what --json printed"
        )
    if found["event"] == "image" and (found.get("status") not in STATUSES or not isinstance(found.get("input"), str)):
        raise InputError(f"line {number} of {display(path)} has no input or status", "name what --json printed")
    return found


def _keep(rows: dict[tuple[object, ...], dict[str, Any]], line: dict[str, Any]) -> None:
    key = (line["input"], line.get("face"), line.get("mix_seed"), json.dumps(line.get("variant"), sort_keys=True))
    known = rows.get(key)
    if known is None or STATUSES.index(line["status"]) < STATUSES.index(known["status"]):
        rows[key] = line
    if line.get("face") is None:
        return
    # an input that failed as a whole, and whose faces came later
    whole = (line["input"], None, *key[2:])
    if whole in rows and rows[whole]["status"] in ("failed", "not_tried"):
        del rows[whole]


def _summary(
    rows: Sequence[dict[str, Any]], summaries: Sequence[dict[str, Any]], unfinished: list[str], runs: int
) -> dict[str, Any]:
    counts = Counter(row["status"] for row in rows)
    seconds = [float(each.get("seconds") or 0) for each in summaries]
    whole = not unfinished and not any(counts[status] for status in ("no_face", "failed", "not_tried"))
    severe = max((int(each.get("exit") or 0) for each in summaries if each.get("exit") in (1, 4, 5)), default=0)
    return {
        "event": "summary", "schema": SCHEMA, **{status: counts[status] for status in STATUSES},
        **{name: sum(int(each.get(name) or 0) for each in summaries) for name in _COUNTED},
        "seconds": round(sum(seconds), 4), "seconds_longest": round(max(seconds, default=0.0), 4),
        **{name: _common(summaries, name) for name in ("device", "dtype", "backend", "model")},
        "runs": runs, "unfinished": unfinished, "exit": severe or (0 if whole else 3),
    }  # fmt: skip


def _common(summaries: Sequence[dict[str, Any]], name: str) -> str:
    """What all the runs say, or everything that some of them do; a run with nothing to do says none."""
    found = sorted({str(each.get(name, "none")) for each in summaries} - {"none"})
    return ", ".join(found) or "none"
