"""A planned run of a task: inputs read ahead, drawn in batches, written in threads, reported in order."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from pixel2style2pixel_cli.device import device_seconds, peak_bytes
from pixel2style2pixel_cli.engine.codes import Codes
from pixel2style2pixel_cli.errors import NoFaceError, P2S2PError
from pixel2style2pixel_cli.events import ImageDone, Notice, OnEvent, Phase, Summary
from pixel2style2pixel_cli.files.atomic import TakenError
from pixel2style2pixel_cli.jobs.budget import MOST_KEPT
from pixel2style2pixel_cli.jobs.plan import Plan, PlanItem
from pixel2style2pixel_cli.jobs.prepare import Preparation, Read
from pixel2style2pixel_cli.jobs.read import Readers
from pixel2style2pixel_cli.jobs.settled import Standing, find_standing, no_sheet, report_settled
from pixel2style2pixel_cli.jobs.sheet import Sheet
from pixel2style2pixel_cli.jobs.tally import Tally
from pixel2style2pixel_cli.jobs.write import Result, Writer, Written
from pixel2style2pixel_cli.options.task import TaskOptions
from pixel2style2pixel_cli.seeds import image_seed
from pixel2style2pixel_cli.tasks.base import Pixels, Prepared
from pixel2style2pixel_cli.tasks.outcome import as_outcome
from pixel2style2pixel_cli.tasks.recipe import RecipeMaker
from pixel2style2pixel_cli.tasks.translate import Picture, Translator
from pixel2style2pixel_cli.variants import SINGLE, Variant


@dataclass(slots=True)
class _Face:
    """One encoder input on its way through the network.

    ``drawn`` are its pictures, where something shows them all, ``frames`` those of its animation so far.
    """

    item: PlanItem
    read: Read
    prepared: Prepared
    standing: Standing
    pictures: int = 0
    drawn: list[Pixels] = field(default_factory=list)
    frames: list[Pixels] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A face with one of its pictures; ``seconds`` is the share of that picture in the work so far."""

    face: _Face
    result: Result
    seconds: float


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What is being written: a picture of one face, or of all of them, or what shows all pictures of a face."""

    item: PlanItem
    drawn: Sequence[_Drawn]
    result: Future[list[Written]] | Future[None]


class TaskRun:
    """Runs one task over one plan; every outcome becomes an event, in the order of the plan."""

    def __init__(
        self,
        translator: Translator,
        plan: Plan,
        options: TaskOptions,
        recipes: RecipeMaker,
        *,
        stdin: Callable[[], bytes],
        stdout: Callable[[bytes], object],
        on_event: OnEvent,
    ) -> None:
        self.translator, self.engine, self.plan, self.options = translator, translator.engine, plan, options
        self.recipes, self.stdin, self.on_event = recipes, stdin, on_event
        model = self.engine.model
        content = translator.task.content if options.compares else None
        self.writer = Writer(
            plan, options, recipes, generator_digest=model.generator_digest, stdout=stdout,
            content=None if content is None else translator.pictured(content).shown, shows_input=options.takes_inputs,
        )  # fmt: skip
        self.tally = Tally(plan, model=model.label, command=options.command, on_event=on_event)
        self.busy = 0.0
        self.left_out = 0
        self._gathered: dict[int, list[_Drawn]] = {}  # faces that wait for the others of their photograph
        self.sheet: Sheet | None = None

    def run(self, started: float) -> Summary:
        """Process the plan; interrupted, it leaves whole files only. ``started`` is when the user began to wait."""
        began = time.perf_counter()
        for outcome in report_settled(self.plan, self.recipes, self.engine.model.label):
            self.tally.add(outcome)
        todo = self.plan.todo
        preparation = Preparation(
            preparer=self.translator.task.preparer,
            max_pixels=self.options.max_pixels,
            keep_pixels=self.options.needs_photo,
        )
        writers = ThreadPoolExecutor(2)
        whole = not (self.tally.counts["skipped"] or any(item.present for item in todo))
        if self.options.grid == "sheet" and whole:  # half a sheet must not replace a whole one
            self.sheet = Sheet(self.writer, writers, self.on_event, self.tally.error)
        try:
            with Readers(preparation, todo, self.stdin) as readers:
                tried = self._process(readers, writers)
            if self.sheet is not None:
                self.sheet.finish()
        finally:
            # On an interrupt what has not begun is dropped; a file being written is finished first.
            writers.shutdown(wait=True, cancel_futures=True)
        if tried < len(todo):
            self.tally.not_tried(todo[tried:], stopped_at=todo[tried - 1].label)
        self._tell_left_out()
        if self.options.grid == "sheet" and not whole:
            self.on_event(no_sheet(self.tally.counts["skipped"]))
        seconds, counts = time.perf_counter() - began, self.tally.counts
        return Summary(
            ok=counts["ok"],
            skipped=counts["skipped"],
            no_face=counts["no_face"],
            no_face_written=self.tally.faceless,
            failed=counts["failed"],
            not_tried=counts["not_tried"],
            ignored=self.plan.ignored,
            seconds=time.perf_counter() - started,
            device=str(self.engine.device),
            dtype=self.engine.dtype_name,
            model=self.engine.model.label,
            backend=self.engine.backend.name,
            peak_bytes=peak_bytes(self.engine.device),
            busy_share=self.busy / seconds if todo else None,
        )

    def _tell_left_out(self) -> None:
        if self.left_out:
            found = "1 detection was" if self.left_out == 1 else f"{self.left_out} detections were"
            message = f"{found} left out as far weaker than the best face of the picture: -v says which"
            self.on_event(Notice(message=f"{message}, --detector-threshold -0.1 takes every one"))

    def _process(self, readers: Readers, writers: ThreadPoolExecutor) -> int:
        """Draw and write what is read; returns how many inputs were tried, fewer than all where the run stops early."""
        waiting: deque[_Waiting] = deque()
        batch: list[_Face] = []
        size = self.engine.batch_size.size
        self.on_event(Phase(name="reading"))
        tried = 0
        for tried, (item, read) in enumerate(readers.ahead(size), 1):
            if isinstance(read, P2S2PError):
                self._draw_and_settle(batch, waiting, writers)
                self.tally.error(item.label, read)
                if self._should_stop(read):
                    return tried
                continue
            self._gather(item, read, batch, settle=lambda: self._draw_and_settle(batch, waiting, writers))
            self.left_out += sum(prepared.left_out for prepared in read.prepared)
            if len(batch) * len(self.plan.variants) >= size or _photo_bytes(batch) > MOST_KEPT:
                self._draw(batch, waiting, writers)
                self.on_event(Phase(name="reading"))
            self._settle(waiting, keep=2 * size)
            if self.options.fail_fast and self.tally.failures:
                break
        self._draw(batch, waiting, writers)
        self.on_event(Phase(name="writing"))
        self._settle(waiting)
        return tried

    def _draw_and_settle(self, batch: list[_Face], waiting: deque[_Waiting], writers: ThreadPoolExecutor) -> None:
        """Draw, write and report everything so far, where an outcome that comes now must not overtake it."""
        self._draw(batch, waiting, writers)
        self._settle(waiting)

    def _gather(self, item: PlanItem, read: Read, batch: list[_Face], settle: Callable[[], None]) -> None:
        """Add the faces of an input to the batch; of one that is there in part, report what is kept."""
        standings = self._standings(item, read)
        if any(standing.kept for standing in standings):
            settle()
        for prepared, standing in zip(read.prepared, standings, strict=True):
            for variant in standing.kept:
                self.tally.skipped(item, prepared, variant)
        for prepared, standing in zip(read.prepared, standings, strict=True):
            if standing.drawn:
                shown = self.translator.pictured(prepared) if self.options.compares else prepared
                batch.append(_Face(item, read, shown, standing))

    def _standings(self, item: PlanItem, read: Read) -> list[Standing]:
        """What is there of each face; faces that share a picture are kept or drawn together."""
        numbers = [prepared.face or 0 for prepared in read.prepared]
        if self.options.existing != "skip" or self.plan.to_stdout:
            return [Standing(drawn=self.plan.variants)] * len(numbers)
        if self.plan.joined:
            return [find_standing(self.plan, item, numbers)] * len(numbers)
        return [find_standing(self.plan, item, [number]) for number in numbers]

    def _draw(self, batch: list[_Face], waiting: deque[_Waiting], writers: ThreadPoolExecutor) -> None:
        """Draw what has gathered and hand it to the writers; one input that cannot be drawn costs no other."""
        faces = list(batch)
        batch.clear()
        apart = [[face for face in faces if face.item.index == i] for i in {face.item.index: 0 for face in faces}]
        # On a CPU pictures are optimised one by one: what was found of one is drawn before the next can go wrong.
        one_by_one = self.engine.device.type == "cpu" and self.translator.task.change is not None
        try:
            for own in apart if one_by_one else [faces]:
                self._draw_together(own, waiting, writers)
        except Exception as error:
            self._settle(waiting)
            as_outcome(error, "")  # raises what would meet the next input as well
            for own in apart:
                try:
                    self._draw_together(own, waiting, writers)
                except Exception as alone:
                    item = own[0].item
                    self._gathered.pop(item.index, None)
                    self._settle(waiting)
                    self.tally.error(item.label, as_outcome(alone, item.label))

    def _draw_together(self, faces: list[_Face], waiting: deque[_Waiting], writers: ThreadPoolExecutor) -> None:
        """Draw every picture of these faces that is not drawn yet."""
        order = list(self._order(faces))
        if not order:
            return
        self.on_event(Phase(name="drawing"))
        started = device_seconds(self.engine.device)
        prepared = [face.prepared for face in faces]
        codes = self.translator.encode(prepared)
        order = [(index, variant) for index, variant in order if index < len(codes)]
        encoding = device_seconds(self.engine.device) - started
        seeds = [image_seed(self.options.chance, f"{f.item.relative}#{f.prepared.face or 0}") for f in faces]
        for pictures in self._timed(self.translator.draw(prepared, codes, seeds, order)):
            for index, picture in pictures.drawn:
                face = faces[index]
                share = pictures.seconds / len(pictures.drawn) + encoding / len(order)
                share += face.read.seconds / len(face.read.prepared) / len(face.standing.drawn)
                self._hand_over(face, picture, share, waiting, writers)
            self._settle(waiting, keep=2 * self.engine.batch_size.size)
        self.busy += encoding
        if codes.stopped:
            self._end_stopped(faces[: len(codes)], codes, waiting)

    def _end_stopped(self, faces: Sequence[_Face], codes: Codes, waiting: deque[_Waiting]) -> None:
        """Say which pictures were written from the best code so far, then end the run as any interrupt does."""
        self._settle(waiting)
        for face, found in zip(faces, codes.found or (), strict=True):
            if found.stopped is not None:
                message = f"{face.item.label}: {found.stopped}; the best code until then is kept"
                self.on_event(Notice(message=message, level="warning"))
        raise KeyboardInterrupt

    def _order(self, faces: Sequence[_Face]) -> Iterator[tuple[int, Variant]]:
        """Face by face; but where the faces of a photograph share a picture variant by variant, so that one waits."""
        if self.plan.frames or not self.plan.joined:
            for i, face in enumerate(faces):
                yield from ((i, each) for each in self._drawn_of(face)[face.pictures :])
            return
        for _, group in itertools.groupby(enumerate(faces), key=lambda entry: entry[1].item.index):
            together = list(group)
            for place, variant in enumerate(together[0][1].standing.drawn):
                yield from ((i, variant) for i, face in together if face.pictures <= place)

    def _drawn_of(self, face: _Face) -> Sequence[Variant]:
        """The pictures to be drawn of a face: the frames of its animation, or its variants."""
        return self.plan.frames or face.standing.drawn

    def _timed(self, parts: Iterable[list[tuple[int, Picture]]]) -> Iterable[_Part]:
        started = device_seconds(self.engine.device)
        for drawn in parts:
            seconds = device_seconds(self.engine.device) - started
            self.busy += seconds
            yield _Part(drawn, seconds)
            started = device_seconds(self.engine.device)

    def _hand_over(
        self, face: _Face, picture: Picture, seconds: float, waiting: deque[_Waiting], writers: ThreadPoolExecutor
    ) -> None:
        """Give a picture to the writers, and the whole row of a face with its last one."""
        photo, prepared, standing = face.read.photo, picture.told(face.prepared), face.standing
        face.pictures += 1
        count = len(self._drawn_of(face))
        whole = self._whole(face, picture, count)
        if whole is not None and whole.variant not in standing.kept:
            first = whole.variant is self.plan.variants[0]
            result = Result(face.item, photo, prepared, whole, first, standing.replaces)
            drawn = self._complete(_Drawn(face, result, seconds))
            if drawn:
                results = [each.result for each in drawn]
                waiting.append(_Waiting(face.item, drawn, writers.submit(self.writer.write, results)))
        if self.sheet is not None:
            self.sheet.add(face.item, prepared, face.drawn, picture.pixels, face.pictures)
        if self.options.grid != "row" or not standing.together:
            return
        face.drawn.append(picture.pixels)
        if face.pictures == count:
            together = writers.submit(
                self.writer.write_together, face.item, photo, prepared, face.drawn, standing.replaces
            )
            waiting.append(_Waiting(face.item, (), together))

    def _whole(self, face: _Face, picture: Picture, count: int) -> Picture | None:
        """What is written with this picture: itself, or with its last frame an animation."""
        if not self.plan.frames:
            return picture
        face.frames.append(picture.pixels)
        return replace(picture, variant=SINGLE, frames=tuple(face.frames)) if face.pictures == count else None

    def _complete(self, drawn: _Drawn) -> list[_Drawn]:
        """The faces that can be written with this one: itself, or all of its photograph once the last is drawn."""
        if not self.plan.joined:
            return [drawn]
        index = drawn.face.item.index
        gathered = self._gathered.setdefault(index, [])
        gathered.append(drawn)
        return self._gathered.pop(index) if len(gathered) == len(drawn.face.read.prepared) else []

    def _settle(self, waiting: deque[_Waiting], keep: int = 0) -> None:
        """Report finished writes in order; wait for all but the last ``keep``, fewer where photographs are large."""
        while waiting and (len(waiting) > keep or waiting[0].result.done() or _kept_bytes(waiting) > MOST_KEPT):
            first = waiting.popleft()
            try:
                written = first.result.result() or ()
            except TakenError as error:
                self._emit_taken(first, error)
                continue
            except Exception as error:
                self._emit_lost(first, as_outcome(error, first.item.label))
                continue
            for drawn, files in zip(first.drawn, written, strict=True):
                self._emit_written(drawn, files)

    def _emit_written(self, drawn: _Drawn, files: Written) -> None:
        prepared, found = drawn.face.prepared, drawn.result.picture.found
        self.tally.add(
            ImageDone(
                input=drawn.face.item.label,
                status="no_face" if prepared.faceless else "ok",
                model=self.engine.model.label,
                face=prepared.face,
                variant=drawn.result.picture.variant,
                output=files.output,
                latent=files.latent,
                seconds=round(drawn.seconds + files.seconds, 4),
                aligned=prepared.aligned,
                message="; ".join(filter(None, (drawn.face.read.photo.warning, prepared.note))) or None,
                hint=self._hint_without_face() if prepared.faceless else None,
                metrics={} if found is None else dict(found.metrics),
            )
        )

    def _hint_without_face(self) -> str:
        """What to do about a picture that was made although no face was found, by the options that the task has."""
        if self.options.without_face == "crop":
            return "a lower --detector-threshold finds more; --on-no-face skip writes nothing"
        return "crop the picture to the face, or leave it out"

    def _emit_lost(self, lost: _Waiting, error: P2S2PError) -> None:
        """Report what could not be written: a picture of one face, or for all of them once."""
        face = lost.drawn[0].face.prepared.face if len(lost.drawn) == 1 else None
        variant = lost.drawn[0].result.picture.variant if lost.drawn else SINGLE
        self.tally.error(lost.item.label, error, face=face, variant=variant)

    def _emit_taken(self, lost: _Waiting, error: TakenError) -> None:
        """Report a picture whose name another run has taken since the plan was made."""
        if self.options.existing != "skip":
            self._emit_lost(lost, error)
            return
        for drawn in lost.drawn:
            variant = drawn.result.picture.variant
            self.tally.skipped(lost.item, drawn.face.prepared, variant, "another run has written it in the meantime")

    def _should_stop(self, error: P2S2PError) -> bool:
        return self.options.fail_fast or (self.options.without_face == "fail" and isinstance(error, NoFaceError))


def _photo_bytes(faces: Iterable[_Face]) -> int:
    """What the photographs of these faces take, where they are kept until the pictures are written."""
    return sum({face.item.index: face.read.photo.pixels.nbytes for face in faces}.values())


def _kept_bytes(waiting: Iterable[_Waiting]) -> int:
    return _photo_bytes(drawn.face for each in waiting for drawn in each.drawn)


@dataclass(frozen=True, slots=True)
class _Part:
    """Pictures that were drawn at once, and how long that took."""

    drawn: list[tuple[int, Picture]]
    seconds: float
