"""A planned run of a task: inputs read ahead, drawn in batches, written in threads, reported in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from pixel2style2pixel_cli.device import device_seconds, peak_bytes
from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.errors import InputError, NoFaceError, OutputError, P2S2PError
from pixel2style2pixel_cli.events import ImageDone, Notice, OnEvent, Progress, Status, Summary
from pixel2style2pixel_cli.files.atomic import remove_abandoned
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.jobs.plan import Plan, PlanItem
from pixel2style2pixel_cli.jobs.read import Preparation, Read, Readers
from pixel2style2pixel_cli.jobs.write import Result, Sample, SheetTiles, Writer, Written
from pixel2style2pixel_cli.seeds import image_seed
from pixel2style2pixel_cli.tasks.base import Prepared, RunOptions, Task
from pixel2style2pixel_cli.tasks.styles import Styles


@dataclass(frozen=True, slots=True)
class _Drawable:
    """One encoder input on its way through the network."""

    item: PlanItem
    read: Read
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class _Waiting:
    """The pictures of one encoder input while they are written; ``seconds`` is each one's share of the work so far."""

    drawable: _Drawable
    seconds: float
    result: Future[list[Written | P2S2PError]]


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
        styles: Styles | None = None,
        stdin: Callable[[], bytes],
        stdout: Callable[[bytes], object],
        on_event: OnEvent,
    ) -> None:
        self.task, self.engine, self.plan, self.options, self.styles = task, engine, plan, options, styles
        self.stdin, self.on_event = stdin, on_event
        self.tiles = SheetTiles()
        recipe = {**task.recipe, **({} if styles is None else styles.recipe)}
        self.writer = Writer(engine.model, plan, options, recipe, stdout, self.tiles)
        self.counts = _Counts()
        self.busy = 0.0
        self._done = 0

    def run(self) -> Summary:
        """Process the plan; interrupted, it leaves whole files only."""
        started = time.perf_counter()
        self._report_settled()
        todo = self.plan.todo
        remove_abandoned({item.output.parent for item in todo})
        preparation = Preparation(
            preparer=self.task.preparer, max_pixels=self.options.max_pixels, keep_pixels=self.options.needs_photo
        )
        writers = ThreadPoolExecutor(2)
        try:
            with Readers(preparation, todo, self.stdin) as readers:
                self._process(readers, writers)
        finally:
            # On an interrupt what has not begun is dropped; a file being written is finished first.
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
        skipped = self.counts.by_status["skipped"]
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
                for seed in self._seeds:
                    output = item.face_output(mix_seed=seed)
                    other = (
                        "kept, but made with other options or another model" if self.writer.differs(output) else None
                    )
                    self._emit(item.label, "skipped", mix_seed=seed, output=str(output), message=other)

    def _process(self, readers: Readers, writers: ThreadPoolExecutor) -> None:
        waiting: deque[_Waiting] = deque()
        batch: list[_Drawable] = []
        for item, read in readers.ahead(self.engine.batch_size.size):
            if isinstance(read, P2S2PError):
                self._flush(batch, waiting, writers)
                self._settle(waiting)
                self._emit_error(item.label, read)
                if self._should_stop(read):
                    return
                continue
            batch += [_Drawable(item, read, prepared) for prepared in read.prepared]
            if len(batch) * len(self._seeds) >= self.engine.batch_size.size:
                self._flush(batch, waiting, writers)
            self._settle(waiting, keep=2 * self.engine.batch_size.size)
            if self.counts.stop(self.options):
                return
        self._flush(batch, waiting, writers)
        self._settle(waiting)

    def _flush(self, batch: list[_Drawable], waiting: deque[_Waiting], writers: ThreadPoolExecutor) -> None:
        """Draw what has gathered and hand it to the writers."""
        if not batch:
            return
        started = device_seconds(self.engine.device)
        prepared = [drawable.prepared for drawable in batch]
        drawn = self.engine.translate(
            self.task.feed([p.encoder_input for p in prepared]),
            noise=self.options.noise,
            seeds=[self._seed(drawable.item, drawable.prepared) for drawable in batch],
            refine=None if self.task.refine is None else self.task.refine(self.engine, prepared),
            mixing=None if self.styles is None else self.styles.mixing,
        )
        images = to_uint8(drawn.images.flatten(0, 1))
        seconds = device_seconds(self.engine.device) - started
        self.busy += seconds
        count = drawn.images.shape[1]
        for index, drawable in enumerate(batch):
            read = drawable.read
            mine = images[index * count : (index + 1) * count]
            if self.task.finish is not None:
                mine = [self.task.finish(drawable.prepared, image) for image in mine]
            samples = tuple(Sample(*made) for made in zip(self._seeds, mine, drawn.codes[index].numpy(), strict=True))
            result = Result(drawable.item, read.photo, drawable.prepared, samples)
            share = (read.seconds / len(read.prepared) + seconds / len(batch)) / count
            waiting.append(_Waiting(drawable, share, writers.submit(self.writer.write, result)))
        batch.clear()

    @property
    def _seeds(self) -> tuple[int | None, ...]:
        return (None,) if self.styles is None else self.styles.seeds

    def _seed(self, item: PlanItem, prepared: Prepared) -> int:
        return image_seed(self.options.seed, f"{item.relative}#{prepared.face or 0}")

    def _settle(self, waiting: deque[_Waiting], keep: int = 0) -> None:
        """Report finished writes in order; wait for all but the last ``keep``."""
        while waiting and (len(waiting) > keep or waiting[0].result.done()):
            first = waiting.popleft()
            item, prepared = first.drawable.item, first.drawable.prepared
            try:
                written = first.result.result()
            except P2S2PError as error:
                self._emit_error(item.label, error, face=prepared.face)
                continue
            for seed, file in zip(self._seeds, written, strict=True):
                if isinstance(file, P2S2PError):
                    self._emit_error(item.label, file, face=prepared.face, mix_seed=seed)
                    continue
                self._emit(
                    item.label,
                    "ok",
                    face=prepared.face,
                    mix_seed=seed,
                    output=file.output,
                    latent=file.latent,
                    seconds=round(first.seconds + file.seconds, 4),
                    aligned=prepared.aligned,
                    message=prepared.warning,
                )

    def _should_stop(self, error: P2S2PError) -> bool:
        return self.options.fail_fast or (self.options.on_no_face == "fail" and isinstance(error, NoFaceError))

    def _emit_error(
        self, label: str, error: P2S2PError, *, face: int | None = None, mix_seed: int | None = None
    ) -> None:
        """Report what concerns one input or one output; anything else ends the run."""
        if not isinstance(error, (InputError, OutputError)):
            raise error
        status: Status = "no_face" if isinstance(error, NoFaceError) else "failed"
        self._emit(label, status, face=face, mix_seed=mix_seed, message=error.message, hint=error.hint)

    def _emit(self, label: str, status: Status, **values: object) -> None:
        self.counts.by_status[status] += 1
        self.on_event(ImageDone(input=label, status=status, model=self.engine.model.label, **values))  # type: ignore[arg-type]
        whole = status in ("failed", "no_face") and values.get("mix_seed") is None
        self._done += len(self._seeds) if whole else 1
        total = max(self._done, len(self.plan.items) * len(self._seeds))
        self.on_event(Progress(done=self._done, total=total, label=self.options.command))
