"""Lines for people on and off a terminal, colours, progress, names that could do harm."""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Callable

import pytest

from pixel2style2pixel_cli.errors import MissingError, clean
from pixel2style2pixel_cli.events import ImageDone, Notice, Phase, Progress, Status, Summary
from pixel2style2pixel_cli.output import Output, ReaderGone, ReportOptions
from pixel2style2pixel_cli.output import output as output_module
from pixel2style2pixel_cli.wording import aligned, duration, file_size, record_lines


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def make(
    report: ReportOptions | None = None, *, terminal: bool = False, clock: Callable[[], float] = lambda: 0.0
) -> tuple[Output, io.StringIO, io.StringIO]:
    stream = Terminal if terminal else io.StringIO
    out, err = stream(), stream()
    return Output(report, stdout=out, stderr=err, clock=clock), out, err


def done(name: str, status: Status = "ok", **fields: object) -> ImageDone:
    return ImageDone(input=name, status=status, model="m@1", **fields)  # type: ignore[arg-type]


def summary(ok: int = 1, **fields: object) -> Summary:
    counts: dict[str, object] = {"skipped": 0, "no_face": 0, "failed": 0, "ignored": 0, "seconds": 1.0} | fields
    return Summary(ok=ok, device="cpu", dtype="float32", model="m@1", **counts)  # type: ignore[arg-type]


def test_an_error_is_two_lines_whatever_it_holds() -> None:
    output, out, err = make()
    output.error(MissingError("no model:\n  first\n  second\x1b[2J", ""))
    assert err.getvalue() == "error: no model: first second\\x1b[2J\nhint: p2s2p --help lists what it takes\n"
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("colour", "environment", "terminal", "coloured"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colours(
    monkeypatch: pytest.MonkeyPatch, colour: object, environment: dict[str, str], terminal: bool, coloured: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    output, out, err = make(ReportOptions(colour=colour), terminal=terminal)  # type: ignore[arg-type]
    output.error(MissingError("a", "b"))
    output.table(("name", "size"), [("x", "1")])
    assert ("\x1b[" in err.getvalue()) is coloured
    assert ("\x1b[" in out.getvalue()) is (coloured and terminal)


def test_progress_off_a_terminal_is_a_line_every_ten_seconds() -> None:
    now = [0.0]
    output, _, err = make(clock=lambda: now[0])
    for second in range(26):
        now[0] = float(second)
        output.on_event(Progress(done=second, total=100, label="invert"))
    assert err.getvalue() == (
        "invert: 10/100 after 10.0 s, about 1 min 30 s left\ninvert: 20/100 after 20.0 s, about 1 min 20 s left\n"
    )


def test_progress_in_bytes_is_read_as_sizes() -> None:
    now = [0.0]
    output, _, err = make(clock=lambda: now[0])
    now[0] = 10.0
    output.on_event(Progress(done=12_345_678, total=1_201_489_451, label="w.pt", unit="bytes"))
    now[0] = 20.0
    output.on_event(Progress(done=22_000_000, total=None, label="w.pt", unit="bytes"))
    now[0] = 30.0
    output.on_event(Progress(done=32_000_000, total=52_000_000, label="w.pt", unit="bytes"))
    assert err.getvalue().splitlines() == [
        "w.pt: 12.3 MB/1.2 GB after 10.0 s",  # what was there before the first event is no measure
        "w.pt: 22.0 MB after 20.0 s",
        "w.pt: 32.0 MB/52.0 MB after 30.0 s, about 20 s left",
    ]


@pytest.mark.parametrize(
    "report", [ReportOptions(mode="json"), ReportOptions(mode="quiet", verbosity=-1), ReportOptions(dry_run=True)]
)
@pytest.mark.parametrize("terminal", [True, False])
def test_no_progress_in_json_quiet_and_dry_runs(report: ReportOptions, terminal: bool) -> None:
    now = [0.0]
    output, out, err = make(report, terminal=terminal, clock=lambda: now[0])
    for second in range(0, 100, 20):
        now[0] = float(second)
        output.on_event(Progress(done=second, total=100, label="invert"))
        output.on_event(Phase(name="drawing"))
    assert (out.getvalue(), err.getvalue()) == ("", "")


@pytest.mark.parametrize(("columns", "bar"), [("100", True), ("40", False)])
def test_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: str, bar: bool) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    output, out, err = make(ReportOptions(verbosity=1), terminal=True)
    output.on_event(Progress(done=0, total=2, label="[red]invert"))
    output.on_event(done("[bold]a.jpg", output="out/a.png"))
    output.on_event(Progress(done=2, total=2, label="[red]invert"))
    output.on_event(summary())
    text = err.getvalue()
    assert "[red]invert" in text and "2/2" in text
    assert ("━" in text) is bar
    assert "[bold]a.jpg -> out/a.png" in text
    assert text.endswith("1 written\x1b[0m, 0 failed in 1.0 s -> out/a.png\n")
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor comes back
    assert out.getvalue() == ""


def test_the_bar_is_there_from_the_first_event_and_says_what_is_done() -> None:
    output, _, err = make(terminal=True)
    output.on_event(Progress(done=0, total=1, label="invert"))
    output.on_event(Phase(name="loading"))
    output.on_event(Phase(name="optimising", done=100, total=300, pictures=1))
    output.close()
    text = err.getvalue()
    assert "loading the model" in text and "optimising step 100 of 300" in text and "0/1" in text


def test_a_long_silence_is_told_off_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "PROGRESS_SECONDS", 0.05)
    output, _, err = make(clock=time.monotonic)
    output.on_event(Progress(done=0, total=3, label="invert"))
    output.on_event(Phase(name="loading"))
    limit = time.monotonic() + 10
    while err.getvalue().count("loading the model") < 2 and time.monotonic() < limit:
        time.sleep(0.01)
    output.close()
    told = err.getvalue()
    assert told.startswith("invert: 0/3 after ") and told.count("loading the model") >= 2
    time.sleep(0.2)
    assert err.getvalue() == told


def test_the_summary_says_how_long_the_user_waited() -> None:
    err = io.StringIO()
    output = Output(stdout=io.StringIO(), stderr=err, clock=lambda: 107.5, started=100.0)
    output.on_event(summary())
    assert err.getvalue() == "1 written, 0 failed in 7.5 s\n"


def test_verbose_lines() -> None:
    output, _, err = make(ReportOptions(verbosity=2))
    output.on_event(done("a.jpg", face=1, output="o/a.png", seconds=0.0841, aligned=False, metrics={"lpips": 0.25}))
    output.on_event(done("b.jpg", "skipped", output="o/b.png"))
    output.on_event(summary(skipped=1, peak_bytes=812_000_000, busy_share=0.873))
    assert err.getvalue().splitlines() == [
        "a.jpg face 1 -> o/a.png, 0.084 s, not aligned, lpips 0.25",
        "skipped b.jpg (exists: o/b.png)",
        "1 written, 1 skipped, 0 failed in 1.0 s -> o/a.png",
        "device cpu, float32, peak 812.0 MB, network busy 87%",
    ]


def test_skipped_file_of_another_recipe_is_a_warning() -> None:
    output, _, err = make()
    output.on_event(done("b.jpg", "skipped", output="o/b.png", message="was made with another seed"))
    output.on_event(Notice(message="slow", level="warning"))
    assert err.getvalue() == "warning: b.jpg: was made with another seed\nwarning: slow\n"


def test_inputs_without_a_face_are_listed_at_the_end() -> None:
    output, _, err = make(ReportOptions(target="out"))
    for number in range(13):
        output.on_event(done(f"{number}.jpg", "no_face", message="no face found"))
    assert err.getvalue() == ""
    assert output.finish(summary(ok=0, no_face=13)) == 3
    lines = err.getvalue().splitlines()
    assert lines[0] == "no face: 0.jpg: no face found"
    assert lines[10] == "no face: 3 more, listed with -v or --json"
    assert lines[-1] == "0 written, 13 without a face, 0 failed in 1.0 s"


def test_summary_is_printed_once() -> None:
    output, out, _ = make(ReportOptions(mode="json"))
    output.on_event(summary(failed=1))
    assert output.finish(summary(failed=1)) == 3
    assert len(out.getvalue().splitlines()) == 1


def test_json_carries_any_name() -> None:
    output, out, _ = make(ReportOptions(mode="json"))
    name = "é\udcff\n\x1b.jpg"
    output.on_event(done(name, output=name))
    assert out.getvalue().isascii() and out.getvalue().count("\n") == 1
    assert json.loads(out.getvalue())["input"] == name


def test_a_reader_that_left_interrupts() -> None:
    output = Output(stdout=Closed(), stderr=io.StringIO())
    with pytest.raises(ReaderGone):
        output.json_line({})
    assert output.stdout.gone and issubclass(ReaderGone, KeyboardInterrupt)


def test_messages_nobody_reads_do_not_stop_the_work() -> None:
    Output(stdout=io.StringIO(), stderr=Closed()).on_event(Notice(message="a"))


def test_names_the_encoding_lacks_do_not_stop_the_work() -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", write_through=True)
    Output(stdout=stdout, stderr=io.StringIO()).text("фото → \udcff")
    assert stdout.buffer.getvalue().startswith(b"\\u0444")  # type: ignore[attr-defined]


def test_table_for_pipes_terminals_and_narrow_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    columns, rows = ("name", "title"), [("mini", "[red]small"), ("x" * 90, "long")]
    output, out, _ = make()
    output.table(columns, rows)
    assert out.getvalue().splitlines()[1].split() == ["mini", "[red]small"]
    assert "x" * 90 in out.getvalue()
    output, out, _ = make(terminal=True)
    output.table(columns, rows)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()
    assert "[red]small" in lines[1] and max(map(len, lines)) <= 100
    monkeypatch.setenv("COLUMNS", "40")
    output, out, _ = make(terminal=True)
    output.table(columns, rows[:1])
    assert out.getvalue() == "name   mini\ntitle  [red]small\n"


def test_bug_report_names_the_exception() -> None:
    output, _, err = make()
    try:
        raise ValueError("odd")
    except ValueError as error:
        output.bug(error)
    assert "Traceback" in err.getvalue()
    assert err.getvalue().splitlines()[-2] == "error: unexpected ValueError: odd"


def test_output_takes_the_streams_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    Output().text("a")
    assert sys.stdout is not None and capsys.readouterr().out == "a\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (5.12, "5.1 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3725, "1 h 02 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (9_700_000, "9.7 MB"), (999_999, "1.0 MB"), (5 * 10**12, "5000.0 GB")],
)
def test_file_size(count: int, text: str) -> None:
    assert file_size(count) == text


def test_clean_and_aligned_and_records() -> None:
    assert clean("a\nb\tc\x07 é") == "a b\\tc\\x07 é"
    assert aligned([("a", "bb"), ("ccc", "")]) == "a    bb\nccc"
    fields = {"a": 1.0, "list": [[1, 2], [3, 4]], "inner": {"yes": True, "none": None}, "x": {}}
    assert record_lines(fields) == [
        "a      1", "list   [1, 2], [3, 4]", "inner", "  yes   yes", "  none  -", "x      -",
    ]  # fmt: skip


def test_a_list_of_records_is_indented_one_by_one() -> None:
    fields = {"name": "x", "weights": [{"file": "a", "size": 1}, {"file": "b"}], "none": []}
    assert record_lines(fields) == [
        "name     x", "weights", "  file  a", "  size  1", "weights", "  file  b", "none     -",
    ]  # fmt: skip
