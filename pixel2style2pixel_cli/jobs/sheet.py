"""The sheet of a run while it is drawn: small copies gathered into pages, full pages written by a thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from pixel2style2pixel_cli.events import Notice, OnEvent
from pixel2style2pixel_cli.files.atomic import TakenError
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.jobs.pages import Page, page_path, tile
from pixel2style2pixel_cli.jobs.plan import PlanItem
from pixel2style2pixel_cli.jobs.write import Writer
from pixel2style2pixel_cli.tasks.base import Pixels, Prepared


class Sheet:
    """Takes every picture in the order of the plan; ``on_failure`` is told the path of a page and what went wrong."""

    def __init__(
        self,
        writer: Writer,
        writers: ThreadPoolExecutor,
        on_event: OnEvent,
        on_failure: Callable[[str, Exception], None],
    ) -> None:
        self.writer, self.writers, self.on_event, self.on_failure = writer, writers, on_event, on_failure
        self.pages = writer.new_sheet()
        self._writing: tuple[Page, Future[None]] | None = None

    def add(self, item: PlanItem, prepared: Prepared, line: list[Pixels], picture: Pixels, number: int) -> None:
        """Add picture ``number`` of a face, counted from 1; ``line`` holds those before it that are on no page yet."""
        line.append(tile(picture))
        if number == len(self.pages.drawn) or len(line) == self.pages.line:
            label = item.label.rpartition("/")[2]
            page = self.pages.add(label, self.writer.shown(prepared), list(line), number - len(line))
            line.clear()
            self._write(page)

    def finish(self) -> None:
        """Write the page that is not full, and wait for it."""
        self._write(self.pages.rest())
        self._settle()

    def _write(self, page: Page | None) -> None:
        """Hand over a page; before that, wait for the one before it, so that none pile up."""
        if page is not None:
            self._settle()
            self._writing = (page, self.writers.submit(self.writer.write_page, page))

    def _settle(self) -> None:
        if self._writing is None:
            return
        page, result = self._writing
        self._writing = None
        path = display(page_path(self.writer.plan.shared[0], page.number))
        try:
            result.result()
        except Exception as error:
            if isinstance(error, TakenError) and self.writer.options.existing == "skip":
                self.on_event(Notice(message=f"{path} is another run's now and is kept", level="warning"))
            else:
                self.on_failure(path, error)
