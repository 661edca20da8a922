"""``report merge``: parts of a folder, runs that were gone on with, killed ones; what is no report is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_run import FACES, RealRun

Call = Callable[..., RealRun]


def line(name: str, status: str = "ok", face: int | None = 0, **more: Any) -> dict[str, Any]:
    return {"event": "image", "schema": 1, "input": name, "face": face, "mix_seed": None, "status": status, **more}


def summary(**more: Any) -> dict[str, Any]:
    return {"event": "summary", "schema": 1, "seconds": 2.0, "device": "cpu", "model": "m@1", "exit": 0, **more}


def write(name: str, *lines: dict[str, Any], end: str = "\n") -> str:
    Path(name).write_text("\n".join(map(json.dumps, lines)) + end, encoding="utf-8")
    return name


def test_parts_of_a_real_run_are_the_whole(real: Call, folder: Path) -> None:
    given = ("invert", *FACES, "-o", "out", "--align", "never", "--optimize", 0, "--json")
    for part in ("0/2", "1/2"):
        done = real(*given, "--shard", part)
        assert done.code == 0 and f"part {part} of the inputs" in done.err
        Path(f"{part[0]}.jsonl").write_bytes(done.out)
    found = real("report", "merge", "0.jsonl", "1.jsonl", "-o", "all.jsonl", "--json")
    assert found.code == 0 and found.out == Path("all.jsonl").read_bytes()
    *rows, total = found.rows
    assert sorted(Path(row["input"]).name for row in rows) == sorted(face.name for face in FACES)
    assert (total["ok"], total["runs"], total["unfinished"], total["backend"]) == (len(FACES), 2, [], "torch")


def test_what_came_of_a_picture_in_the_end(real: Call, folder: Path) -> None:
    first = write("a", line("1.jpg"), line("2.jpg", "failed", None), line("3.jpg", "not_tried", None), summary(exit=3))
    second = write("b", line("1.jpg", "skipped"), line("2.jpg"), line("3.jpg", "no_face", None), summary(exit=3))
    found = real("report", "merge", first, second, "--json")
    assert found.code == 3
    *rows, total = found.rows
    assert [(row["input"], row["status"]) for row in rows] == [("1.jpg", "ok"), ("3.jpg", "no_face"), ("2.jpg", "ok")]
    assert (total["ok"], total["no_face"], total["failed"], total["not_tried"]) == (2, 1, 0, 0)
    assert (total["seconds"], total["seconds_longest"], total["exit"]) == (4.0, 2.0, 3)


def test_faces_and_styles_are_pictures_of_their_own(real: Call, folder: Path) -> None:
    lines = [line("1.jpg", face=face) | {"mix_seed": seed} for face in (0, 1) for seed in (3, 4)]
    assert real("report", "merge", write("a", *lines, summary()), "--json").rows[-1]["ok"] == 4


def test_a_killed_run_is_unfinished_and_its_last_line_may_be_cut(real: Call, folder: Path) -> None:
    killed = write("a", line("1.jpg"), end='\n{"event": "image", "sche')
    found = real("report", "merge", killed, write("b", line("2.jpg"), summary()), "--json")
    assert found.code == 3 and found.rows[-1]["unfinished"] == ["a"] and found.rows[-1]["ok"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json\n", "line 1 of x is not JSON"),
        ('{"event": "image"}\n', "line 1 of x is no event of p2s2p in schema 1"),
        ('{"event": "image", "schema": 2}\n', "in schema 1"),
        ('{"event": "image", "schema": 1, "status": "fine", "input": "a"}\n', "has no input or status"),
        ("[1]\n", "is no event"),
    ],
)
def test_what_is_no_report_is_refused(text: str, message: str, real: Call, folder: Path) -> None:
    Path("x").write_text(text)
    found = real("report", "merge", "x", "-o", "out.jsonl", "-q")
    assert found.code == 3 and message in found.problems[0][0] and not Path("out.jsonl").exists()


def test_files_that_are_not_there_or_in_the_way(real: Call, folder: Path) -> None:
    missing = real("report", "merge", "nothing.jsonl", "-q")
    assert missing.code == 3 and "nothing.jsonl cannot be read" in missing.problems[0][0]
    write("a", line("1.jpg"), summary())
    Path("all.jsonl").write_text("mine")
    assert real("report", "merge", "a", "-o", "all.jsonl").code == 2 and Path("all.jsonl").read_text() == "mine"
    assert real("report", "merge", "a", "-o", "all.jsonl", "--overwrite").code == 0
