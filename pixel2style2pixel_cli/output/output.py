"""The only writer to standard output and standard error: for people, as JSON Lines, or errors only."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TextIO, cast

from pixel2style2pixel_cli.errors import P2S2PError, clean
from pixel2style2pixel_cli.events import (
    Event,
    ImageDone,
    Notice,
    Phase,
    Progress,
    Summary,
    image_object,
    plan_object,
    summary_object,
)
from pixel2style2pixel_cli.output.progress import NARROW, Tracker, new_bar
from pixel2style2pixel_cli.output.streams import Messages, Results
from pixel2style2pixel_cli.output.summary import Style, summary_parts
from pixel2style2pixel_cli.wording import aligned, duration, file_size, json_text, record_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from pixel2style2pixel_cli.options.messages import Colour

Mode = Literal["human", "json", "quiet"]

PROGRESS_SECONDS = 10.0
LISTED = 10
LIBRARY_LINES = 20  # of libraries, told in one command
LIBRARY_COLUMNS = 300

_ANSI: dict[Style, str] = {"red": "1;31", "yellow": "33", "green": "32", "dim": "2"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportOptions:
    """How a run reports: the options every command shares, and what its summary line needs to know."""

    mode: Mode = "human"
    verbosity: int = 0
    colour: Colour = "auto"
    target: str = ""
    ignore_failures: bool = False
    dry_run: bool = False


class Output:
    """Turns events, results and errors into lines; safe to call from several threads.

    ``started`` is when the user began to wait, by the ``clock``. ``library`` gives what libraries have said by
    themselves since it was last asked: each line is told once, as a warning.
    """

    def __init__(
        self,
        report: ReportOptions | None = None,
        *,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        started: float | None = None,
        library: Callable[[], list[str]] = list,
    ) -> None:
        self.report = report or ReportOptions()
        self.stdout = Results(stdout or sys.stdout)
        self.stderr = Messages(stderr or sys.stderr)
        self._clock = clock
        self._lock = threading.RLock()
        self._started = self._last_line = clock() if started is None else started
        self._library = library
        self._library_said: set[str] = set()
        self._bar: Bar | None = None
        self._tracker = Tracker()
        self._lines_end: threading.Event | None = None
        self._without_face: dict[str, ImageDone] = {}  # by input, which may give several pictures
        self._written: dict[str, None] = {}  # in order; several faces may share one picture
        self._planned = 0
        self._summary_done = False

    # What the rooms below report

    def on_event(self, event: Event) -> None:
        """Show one event; the callback handed to every function of ``api``."""
        with self._lock:
            self._pass_on()
            if isinstance(event, Notice):
                self._notice(event)
            elif isinstance(event, (Progress, Phase)):
                self._progress(event)
            elif isinstance(event, ImageDone):
                self._image(event)
            else:
                self.finish(event)

    def finish(self, summary: Summary) -> int:
        """Print the summary, once however often it is reported, and return the exit code of the run."""
        code = 0 if summary.complete or self.report.ignore_failures else 3
        with self._lock:
            if self._summary_done:
                return code
            self._summary_done = True
            self.close()
            # the user has waited since the program began, which is longer than the run
            summary = replace(summary, seconds=max(summary.seconds, self._clock() - self._started))
            if self.report.mode == "json":
                self.json_line(summary_object(summary, code, dry_run=self.report.dry_run))
            self.list_without_face()
            if self.report.mode == "human":
                self._line(self._summary_line(summary))
                if self.report.verbosity > 1:
                    self._line(self.paint(_resources(summary), "dim"))
        return code

    def close(self) -> None:
        """Take the progress bar away."""
        with self._lock:
            if self._lines_end is not None:
                self._lines_end.set()
                self._lines_end = None
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def end(self, code: int) -> int:
        """The exit code of a command that ends with ``code``, once all is printed; tells what could not be."""
        self.close()
        self._pass_on()
        self.stdout.flush()
        if self.stdout.lost is None:
            return code
        self.error(self.stdout.lost)
        return code or self.stdout.lost.exit_code

    # What the commands print

    def error(self, error: P2S2PError, *, command: str = "p2s2p") -> None:
        """Print an error as its two lines."""
        self._two_lines(error.message, error.hint or f"{command} --help lists what it takes")

    def bug(self, error: BaseException) -> None:
        """Print an exception nobody foresaw, with its traceback and what to do about it."""
        self.close()
        self._details("".join(traceback.format_exception(error)))
        self._two_lines(
            f"unexpected {type(error).__name__}: {error}",
            "this is a bug in p2s2p, not in your input; please report it with the lines above and p2s2p --version",
        )

    def interrupted(self, resume: str | None) -> None:
        """Say that the run was stopped and how to go on with it."""
        self.close()
        self._line(self.paint("interrupted", "yellow") + (f"; resume with:\n  {resume}" if resume else ""))

    def text(self, text: str) -> None:
        """Write text that was asked for to standard output."""
        self.close()
        with self._lock:
            self.stdout.write(text if text.endswith("\n") else text + "\n")

    def json_line(self, value: Mapping[str, object]) -> None:
        """Write one JSON object on a line of its own."""
        with self._lock:
            self.stdout.write(json_text(value) + "\n")

    def write_bytes(self, data: bytes) -> None:
        """Write the bytes of a picture to standard output; OutputError where they do not get through."""
        self.stdout.write_bytes(data)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print rows: a Rich table on a terminal, aligned columns that no width cuts elsewhere."""
        cells = [[clean(cell) for cell in row] for row in rows]
        if not self.stdout.isatty():
            self.text(aligned([columns, *cells]))
            return
        console = self._console(self.stdout)
        if console.width >= NARROW:
            with console.capture() as drawn:
                console.print(_rich_table(columns, cells))
            self.text(drawn.get())
        else:
            self.text("\n\n".join("\n".join(record_lines(dict(zip(columns, row, strict=True)))) for row in cells))

    def record(self, fields: Mapping[str, object]) -> None:
        """Print named values one below the other, nested ones indented."""
        self.text("\n".join(record_lines(fields)))

    def paint(self, text: str, style: Style) -> str:
        """Colour text for standard error when colours are wanted there."""
        return f"\x1b[{_ANSI[style]}m{text}\x1b[0m" if self._coloured(self.stderr) else text

    # Inside

    def _notice(self, notice: Notice) -> None:
        if self.report.verbosity < 0:
            return
        if notice.level == "warning":
            self._line(self.paint("warning:", "yellow") + " " + clean(notice.message))
        else:
            self._line(clean(notice.message))

    def _pass_on(self) -> None:
        """Tell what libraries have said, each line once and not too many of them."""
        for line in self._library():
            line = line[:LIBRARY_COLUMNS]
            if line not in self._library_said and len(self._library_said) < LIBRARY_LINES:
                self._library_said.add(line)
                self._notice(Notice(message=line, level="warning"))

    def _progress(self, event: Progress | Phase) -> None:
        if self.report.mode != "human" or self.report.dry_run:
            return
        self._tracker.take(event, self._clock())
        if self.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._advance_bar()
            return
        if self._lines_end is None:
            self._lines_end = threading.Event()
            with contextlib.suppress(RuntimeError):  # no further thread for this process: lines come with events only
                threading.Thread(target=self._keep_telling, args=(self._lines_end,), daemon=True).start()
        self._tell_progress()

    def _keep_telling(self, end: threading.Event) -> None:
        """A line now and then also while nothing is reported, as when a large model is loaded."""
        while not end.wait(PROGRESS_SECONDS):
            with self._lock:
                if not end.is_set():
                    self._tell_progress()

    def _tell_progress(self) -> None:
        now = self._clock()
        if now - self._last_line >= PROGRESS_SECONDS:
            self._last_line = now
            self._line(self._tracker.line(now, now - self._started))

    def _advance_bar(self) -> None:
        tracker, new = self._tracker, self._bar is None
        if self._bar is None:
            self._bar = new_bar(self._console(self.stderr))
            self._bar.add_task("", total=None, share="", note="")
        self._bar.update(
            self._bar.task_ids[0], completed=tracker.reached, total=tracker.total, description=clean(tracker.label),
            share=tracker.share if tracker.label else "", note=tracker.note(self._clock()),
        )  # fmt: skip
        if new:
            self._bar.start()
        elif tracker.phase is not None and tracker.phase.name == "loading":
            self._bar.refresh()  # while libraries load, nobody else would get to draw it

    def _image(self, image: ImageDone) -> None:
        if self.report.mode == "json":
            self.json_line(plan_object(image) if self.report.dry_run else image_object(image))
        if image.status == "failed":
            hint = image.hint or "the other inputs are processed all the same"
            message = image.message or "failed"
            self._two_lines(message if image.input in message else f"{image.input}: {message}", hint)
            if image.details is not None and self.report.verbosity > 1:
                self._details(image.details)
        elif image.status == "no_face":
            self._without_face.setdefault(image.input, image)
        if image.status in ("ok", "no_face") and image.output is not None:
            self._written[image.output] = None
        if image.status == "skipped" and image.message and self.report.verbosity >= 0:
            self._line(f"{self.paint('warning:', 'yellow')} {clean(image.input)}: {clean(image.message)}")
        if self.report.mode != "human":
            return
        if self.report.dry_run:
            self._plan_line(image)
        elif self.report.verbosity > 0 and image.status != "failed" and (image.output or image.status == "not_tried"):
            self._line(self._image_line(image))

    def _image_line(self, image: ImageDone) -> str:
        if image.status == "skipped":
            return self.paint(f"skipped {clean(image.input)} (exists: {clean(image.output or '')})", "dim")
        if image.status == "not_tried":
            return self.paint(f"{clean(image.input)}: {clean(image.message or 'not tried')}", "yellow")
        face = f" face {image.face}" if image.face else ""
        parts = [f"{clean(image.input)}{face} -> {clean(image.output or '')}"]
        if image.message:
            parts.append(clean(image.message))
        if self.report.verbosity > 1:
            if image.seconds is not None:
                parts.append(f"{image.seconds:.3f} s")
            if image.aligned is not None:
                parts.append("aligned" if image.aligned else "not aligned")
            parts += [f"{name} {value:.4g}" for name, value in image.metrics.items()]
        return ", ".join(parts)

    def _plan_line(self, image: ImageDone) -> None:
        if image.status not in ("ok", "skipped"):
            return
        self._planned += 1
        if self._planned <= LISTED or self.report.verbosity > 0:
            note = " (exists, skipped)" if image.status == "skipped" else ""
            self.text(f"{clean(image.input)} -> {clean(image.output or '')}{note}")

    def list_without_face(self) -> None:
        """Names every input without a face at the end, where it is not lost among progress lines."""
        if not self._without_face:
            return
        found = list(self._without_face.values())
        listed = found if self.report.verbosity > 0 else found[:LISTED]
        for image in listed:
            self._line(
                f"{self.paint('no face:', 'yellow')} {clean(image.input)}: {clean(image.message or 'none found')}"
            )
        if len(listed) < len(found):
            self._line(f"no face: {len(found) - len(listed)} more, listed with -v or --json")
        hint = "a lower --detector-threshold finds more; --on-no-face crop takes the centre of the picture"
        self._line(self.paint("hint:", "dim") + " " + clean(found[0].hint or hint))

    def _summary_line(self, summary: Summary) -> str:
        count = len(self._written)
        parts = summary_parts(summary, pictures=count, dry_run=self.report.dry_run, paint=self.paint)
        target = next(iter(self._written)) if count == 1 else self.report.target
        line = f"{', '.join(parts)} in {duration(summary.seconds)}"
        if target and summary.ok + summary.no_face_written + summary.skipped:
            line += f" -> {clean(target)}"
        if summary.ignored:
            line += f" ({summary.ignored} {'file' if summary.ignored == 1 else 'files'} not images, ignored)"
        return line + ("; nothing was written" if self.report.dry_run else "")

    def _two_lines(self, message: str, hint: str) -> None:
        self._line(f"{self.paint('error:', 'red')} {clean(message)}")
        self._line(f"{self.paint('hint:', 'dim')} {clean(hint)}")

    def _line(self, line: str) -> None:
        """One line to standard error, above the bar when there is one."""
        with self._lock:
            if self._bar is not None:
                from rich.text import Text

                self._bar.console.print(Text.from_ansi(line), soft_wrap=True)
            else:
                self.stderr.write(line + "\n")
                self.stderr.flush()

    def _details(self, text: str) -> None:
        """A traceback, with nothing in it that could move the cursor."""
        for line in text.rstrip().split("\n"):
            self._line(clean(line))

    def _coloured(self, stream: Messages | Results) -> bool:
        if self.report.colour != "auto":
            return self.report.colour == "always"
        if os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")

    def _console(self, stream: Messages | Results) -> Console:
        from rich.console import Console

        colours: Literal["auto"] | None = "auto" if self._coloured(stream) else None
        return Console(
            file=cast("TextIO", stream), width=stream.columns, color_system=colours,
            force_terminal=True, highlight=False, markup=False, emoji=False,
        )  # fmt: skip


def _resources(summary: Summary) -> str:
    parts = [f"device {summary.device}", summary.dtype]
    if summary.backend != "none":
        parts.append(f"drawn by {summary.backend}")
    if summary.peak_bytes is not None:
        parts.append(f"peak {file_size(summary.peak_bytes)}")
    if summary.busy_share is not None:
        parts.append(f"network busy {summary.busy_share:.0%}")
    return ", ".join(parts)


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> object:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
