"""A planned run of a task: read and prepare in threads, draw in batches, write in threads, report in order."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from torch import Tensor

from pixel2style2pixel_cli.device import device_seconds, peak_bytes
from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.errors import InputError, NoFaceError, OutputError, P2S2PError
from pixel2style2pixel_cli.events import ImageDone, Notice, OnEvent, Progress, Status, Summary
from pixel2style2pixel_cli.files.image import Photo, read_image
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.files.pixels import to_float, to_uint8
from pixel2style2pixel_cli.files.plan import Plan, PlanItem
from pixel2style2pixel_cli.fitting.embed import embed
from pixel2style2pixel_cli.seeds import image_seed
from pixel2style2pixel_cli.tasks.base import Pixels, Prepared, RunOptions, Task
from pixel2style2pixel_cli.tasks.write import Result, SheetTiles, Writer

# Pictures read ahead of the network, so that a folder of photographs does not end up in memory.
READ_AHEAD = 8


@dataclass(slots=True)
class _Read:
    """One input, read and prepared, or the reason why not."""

    item: PlanItem
    photo: Photo | None = None
    prepared: Sequence[Prepared] = ()
    error: P2S2PError | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class _Counts:
    """How many outcomes of each kind there were."""

    by_status: dict[Status, int] = field(default_factory=lambda: {"ok": 0, "skipped": 0, "no_face": 0, "failed": 0})

    def stop(self, options: RunOptions) -> bool:
        return options.fail_fast and self.by_status["failed"] + self.by_status["no_face"] > 0


class TaskRun:
    """Runs one task over one plan; every outcome becomes an event, in the order of the plan."""

    def __init__(
        self,
        task: Task,
        engine: Engine,
        plan: Plan,
        options: RunOptions,
        *,
        stdin: Callable[[], bytes],
        stdout: Callable[[bytes], object],
        on_event: OnEvent,
        stop_at_no_face: bool = False,
    ) -> None:
        self.task, self.engine, self.plan, self.options = task, engine, plan, options
        self.stdin, self.on_event = stdin, on_event
        self.stop_at_no_face = stop_at_no_face
        self.tiles = SheetTiles()
        self.writer = Writer(engine.model, plan, options, stdout, self.tiles)
        self.counts = _Counts()
        self.busy = 0.0
        self._stopped = False
        self._done = 0

    def run(self) -> Summary:
        """Process the plan; interrupted, it leaves whole files only."""
        started = time.perf_counter()
        self._report_settled()
        todo = self.plan.todo
        workers = max(1, min(4, os.cpu_count() or 1))
        readers, writers = ThreadPoolExecutor(workers), ThreadPoolExecutor(2)
        try:
            self._process(todo, readers, writers)
        finally:
            # On an interrupt what has not begun is dropped; a file being written is finished first.
            readers.shutdown(wait=True, cancel_futures=True)
            writers.shutdown(wait=True, cancel_futures=True)
        if self.options.grid == "sheet" and self.tiles.rows:
            self._write_sheet()
        seconds = time.perf_counter() - started
        counts = self.counts.by_status
        return Summary(
            ok=counts["ok"],
            skipped=counts["skipped"],
            no_face=counts["no_face"],
            failed=counts["failed"],
            ignored=self.plan.ignored,
            seconds=seconds,
            device=str(self.engine.device),
            dtype=str(self.engine.dtype).removeprefix("torch."),
            model=self.engine.model.label,
            peak_bytes=peak_bytes(self.engine.device),
            busy_share=self.busy / seconds if todo else None,
        )

    def _write_sheet(self) -> None:
        """All pairs on one sheet, unless some were skipped: half a sheet must not replace a whole one."""
        skipped = len(self.plan.skipped)
        if skipped:
            message = f"no sheet is drawn, because {skipped} pictures were skipped; --overwrite draws all of them"
            self.on_event(Notice(message=message, level="warning"))
            return
        try:
            self.writer.write_sheet()
        except OutputError as error:
            self._emit_error(display(self.plan.shared[0]), error)

    def _report_settled(self) -> None:
        """Outcomes that the plan already knows: unusable inputs, and outputs that exist."""
        for item in self.plan.items:
            if item.problem is not None:
                self._emit(item.label, "failed", message=item.problem, hint=item.hint)
            elif item.status == "skip":
                other = "kept, but made with other options or another model" if self.writer.differs(item) else None
                self._emit(item.label, "skipped", output=str(item.output), message=other)

    def _process(self, todo: Sequence[PlanItem], readers: ThreadPoolExecutor, writers: ThreadPoolExecutor) -> None:
        waiting: deque[tuple[_Read, Prepared, float, Future[Result]]] = deque()
        batch: list[tuple[_Read, Prepared]] = []
        for read in self._read_ahead(todo, readers):
            if read.error is not None:
                self._flush(batch, waiting, writers)
                self._settle(waiting)
                self._emit_error(read.item.label, read.error)
                if self._should_stop(read.error):
                    return
                continue
            batch += [(read, prepared) for prepared in read.prepared]
            if len(batch) >= self.engine.batch_size.size:
                self._flush(batch, waiting, writers)
            self._settle(waiting, keep=2 * self.engine.batch_size.size)
            if self.counts.stop(self.options):
                return
        self._flush(batch, waiting, writers)
        self._settle(waiting)

    def _read_ahead(self, todo: Sequence[PlanItem], readers: ThreadPoolExecutor) -> Iterator[_Read]:
        ahead = max(READ_AHEAD, self.engine.batch_size.size + 2)
        pending: deque[Future[_Read]] = deque()
        for item in todo:
            pending.append(readers.submit(self._read, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def _read(self, item: PlanItem) -> _Read:
        started = time.perf_counter()
        read = _Read(item)
        try:
            source = item.source if item.source is not None else self.stdin()
            read.photo = read_image(source, name=item.label, max_pixels=self.options.max_pixels)
            read.prepared = self.task.prepare(read.photo)
        except P2S2PError as error:
            read.error = error
        read.seconds = time.perf_counter() - started
        return read

    def _flush(
        self,
        batch: list[tuple[_Read, Prepared]],
        waiting: deque[tuple[_Read, Prepared, float, Future[Result]]],
        writers: ThreadPoolExecutor,
    ) -> None:
        """Draw what has gathered and hand it to the writers."""
        if not batch:
            return
        started = device_seconds(self.engine.device)
        seeds = [self._seed(read.item, prepared) for read, prepared in batch]
        inverted = self.engine.invert(
            to_float([prepared.crop for _, prepared in batch]),
            noise=self.options.noise,
            seeds=seeds,
            refine=self._refine([prepared for _, prepared in batch]) if self.options.optimize else None,
        )
        images = to_uint8(inverted.images)
        seconds = device_seconds(self.engine.device) - started
        self.busy += seconds
        codes = inverted.codes.numpy()
        for (read, prepared), image, code in zip(batch, images, codes, strict=True):
            photo = read.photo
            if photo is None:
                raise TypeError("a prepared input has its photograph")
            result = Result(read.item, photo, prepared, image, code)
            waiting.append((read, prepared, seconds / len(batch), writers.submit(self.writer.write, result)))
        batch.clear()

    def _refine(self, prepared: Sequence[Prepared]) -> Callable[[Tensor, int], Tensor]:
        targets = to_float([_target(p) for p in prepared]).to(self.engine.device, self.engine.dtype)

        def refine(codes: Tensor, start: int) -> Tensor:
            goal = targets[start : start + len(codes)]
            return embed(self.engine.model.network.generator, goal, codes, steps=self.options.optimize)

        return refine

    def _seed(self, item: PlanItem, prepared: Prepared) -> int:
        return image_seed(self.options.seed, f"{item.relative}#{prepared.face or 0}")

    def _settle(self, waiting: deque[tuple[_Read, Prepared, float, Future[Result]]], keep: int = 0) -> None:
        """Report finished writes in order; wait for all but the last ``keep``."""
        while waiting and (len(waiting) > keep or waiting[0][3].done()):
            read, prepared, drawn, future = waiting.popleft()
            try:
                result = future.result()
            except P2S2PError as error:
                self._emit_error(read.item.label, error, face=prepared.face)
                continue
            self._emit(
                read.item.label,
                "ok",
                face=prepared.face,
                output=result.output,
                latent=result.latent,
                seconds=round(read.seconds / len(read.prepared) + drawn + result.seconds, 4),
                aligned=prepared.aligned,
                message=prepared.warning,
            )

    def _should_stop(self, error: P2S2PError) -> bool:
        return self.options.fail_fast or (self.stop_at_no_face and isinstance(error, NoFaceError))

    def _emit_error(self, label: str, error: P2S2PError, face: int | None = None) -> None:
        """Report what concerns one input or one output; anything else ends the run."""
        if not isinstance(error, (InputError, OutputError)):
            raise error
        status: Status = "no_face" if isinstance(error, NoFaceError) else "failed"
        self._emit(label, status, face=face, message=error.message, hint=error.hint)

    def _emit(self, label: str, status: Status, **values: object) -> None:
        self.counts.by_status[status] += 1
        self.on_event(ImageDone(input=label, status=status, model=self.engine.model.label, **values))  # type: ignore[arg-type]
        self._done += 1
        total = max(self._done, len(self.plan.items))
        self.on_event(Progress(done=self._done, total=total, label=self.options.command))


def _target(prepared: Prepared) -> Pixels:
    if prepared.target is None:
        raise TypeError("optimisation needs targets; the task was made without them")
    return prepared.target
