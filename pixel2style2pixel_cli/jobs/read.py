"""Reading inputs ahead of the network, within a budget of memory: in threads, and where that pays, with helpers."""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.jobs.budget import Budget, needed_bytes
from pixel2style2pixel_cli.jobs.helper import Helpers
from pixel2style2pixel_cli.jobs.plan import PlanItem
from pixel2style2pixel_cli.jobs.prepare import Outcome, Preparation, Read
from pixel2style2pixel_cli.tasks.outcome import as_outcome

# Pictures read ahead of the network, so that a folder of photographs does not end up in memory.
READ_AHEAD = 8
# A helper takes about as long to start as a photograph to search; below this many inputs threads are as fast.
WORTH_HELPERS = 8
MOST_READERS = 8


class Readers:
    """Reads the inputs of a plan in its order, some ahead of who takes them; a context manager."""

    def __init__(self, preparation: Preparation, todo: Sequence[PlanItem], stdin: Callable[[], bytes]) -> None:
        self._preparation, self._todo, self._stdin = preparation, todo, stdin
        count = max(1, min(MOST_READERS, os.cpu_count() or 1))
        self._threads = ThreadPoolExecutor(count)
        helped = preparation.preparer.holds_interpreter and count > 1 and len(todo) >= WORTH_HELPERS
        self._helpers = Helpers(preparation, count if helped else 0)
        self._budget = Budget()

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *_: object) -> None:
        """What has not begun is dropped; what is being read ends first."""
        self._budget.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._helpers.close()

    def ahead(self, batch_size: int) -> Iterator[tuple[PlanItem, Outcome]]:
        """Every input with what came of it, in the order of the plan."""
        ahead = max(READ_AHEAD, batch_size + 2)
        pending: deque[tuple[int, PlanItem, Future[Outcome]]] = deque()
        for turn, item in enumerate(self._todo):
            pending.append((turn, item, self._threads.submit(self._read, turn, item)))
            if len(pending) > ahead:
                yield self._first(pending)
        while pending:
            yield self._first(pending)

    def _first(self, pending: deque[tuple[int, PlanItem, Future[Outcome]]]) -> tuple[PlanItem, Outcome]:
        """The next input, from here on in the memory of whoever takes it."""
        turn, item, future = pending.popleft()
        outcome = future.result()
        self._budget.keep(turn, 0)
        return item, outcome

    def _read(self, turn: int, item: PlanItem) -> Outcome:
        """One input within the budget; whatever goes wrong is its outcome."""
        try:
            source = item.source if item.source is not None else self._stdin()
            size = needed_bytes(source)
        except Exception as error:
            self._budget.take(turn, 0)
            return error if isinstance(error, P2S2PError) else as_outcome(error, item.label)
        self._budget.take(turn, size)
        outcome = self._prepare(source, item)
        self._budget.keep(turn, outcome.photo.pixels.nbytes if isinstance(outcome, Read) else 0)
        return outcome

    def _prepare(self, source: Path | bytes, item: PlanItem) -> Outcome:
        """By a helper where one is free; its work is done here when it dies, by the system's hand for example."""
        helper = self._helpers.take()
        if helper is not None:
            try:
                outcome = helper.run(source, item.label, item.relative)
                self._helpers.give(helper)
                return outcome
            except (OSError, EOFError, pickle.UnpicklingError):
                self._helpers.replace(helper)
        return self._preparation.run(source, item.label, item.relative)
