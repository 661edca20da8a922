"""A session: models loaded once, pictures in memory in and out. The command line and the functions of api run on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import P2S2PError, UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent, Phase, ignore_event
from pixel2style2pixel_cli.options.shared import Backend, Dtype
from pixel2style2pixel_cli.options.task import SEVERAL, FaceOptions, TaskOptions
from pixel2style2pixel_cli.options.validate import check_value, validate
from pixel2style2pixel_cli.result import Result
from pixel2style2pixel_cli.seeds import image_seed
from pixel2style2pixel_cli.tasks.base import Source, task_maker
from pixel2style2pixel_cli.tasks.choose import Chosen, choose
from pixel2style2pixel_cli.tasks.given import as_codes, is_list, listed
from pixel2style2pixel_cli.tasks.methods import gives_several, method_of, option_names
from pixel2style2pixel_cli.tasks.outcome import as_outcome
from pixel2style2pixel_cli.tasks.table import TASKS, options_of

if TYPE_CHECKING:
    # imports torch, which a session is made without
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.face.detect import Detector, Face
    from pixel2style2pixel_cli.files.image import Photo
    from pixel2style2pixel_cli.tasks.in_memory import Given, Input, MemoryTask
    from pixel2style2pixel_cli.tasks.translate import Translator

OnError = Literal["raise", "return"]
Outcome: TypeAlias = list[Result] | P2S2PError

REMEMBERED = 8  # tasks with their options, ready for the next call
LARGEST_CROP = 4096  # pixels


class Session:
    """Models that stay loaded, and one method for each task; ``load`` makes one.

    Besides the methods below there is one for each task of ``tasks/table.py``, with the options of its command:
    ``session.invert(image, optimize=20)``. Calls may come from several threads; they are done one after another. As a
    context manager, or by ``close``, a session gives back its memory.
    """

    def __init__(
        self,
        model: str | Path = "auto",
        *,
        device: str = "auto",
        dtype: Dtype = "auto",
        backend: Backend = "auto",
        batch_size: int | Literal["auto"] = "auto",
        threads: int | None = None,
        on_event: OnEvent = ignore_event,
    ) -> None:
        name: Any = model  # checked below, and a text from there on
        asked = TaskOptions(
            model=name, device=device, dtype=dtype, backend=backend, batch_size=batch_size, threads=threads,
            on_event=on_event,
        )  # fmt: skip
        told = validate(asked, "load")
        self.model, self.on_event = told.model, on_event
        self._device, self._dtype, self._backend, self._batch_size = device, dtype, backend, batch_size
        self._threads = threads
        self._engines: dict[tuple[Path, Path | None, int | None, object], Engine] = {}
        self._ready: dict[tuple[object, ...], MemoryTask] = {}
        self._lock = threading.RLock()
        self._closed = False

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The method of a task, made at its first use: only the tasks that are used are imported."""
        if name not in TASKS:
            raise AttributeError(f"a session has no task or attribute {name!r}")
        return MethodType(method_of(name), self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *TASKS]

    def close(self) -> None:
        """Give back the memory of the models; the session cannot be used any more."""
        with self._lock:
            self._closed = True
            on_gpu = any(engine.device.type == "cuda" for engine in self._engines.values())
            self._engines.clear()
            self._ready.clear()
            if on_gpu:
                import torch

                torch.cuda.empty_cache()

    # Faces

    def faces(self, image: Given, *, detector: str = "dlib", detector_threshold: float = 0.0) -> list[Face]:
        """The faces in a photograph, best first: box (left, top, right, bottom), score and 68 points, in pixels."""
        validate(FaceOptions(detector=detector, detector_threshold=detector_threshold), "Session.faces")
        with self._lock:
            return self._detector(detector, detector_threshold).detect(self._photo(image).pixels)

    def align(
        self, image: Given, *, size: int = 256, face: str | int = "best", detector_threshold: float = 0.0
    ) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
        """The crop of a face by the FFHQ rule, uint8 (size, size, 3); a list of crops for ``face="all"``.

        Raises NoFaceError where there is no such face.
        """
        from pixel2style2pixel_cli.face.align import align_face
        from pixel2style2pixel_cli.face.detect import choose_faces

        told = validate(FaceOptions(face=face, detector_threshold=detector_threshold), "Session.align")  # type: ignore[arg-type]
        face = told.face
        check_value("size", size, int, "Session.align", minimum=1, maximum=LARGEST_CROP)
        with self._lock:
            pixels = self._photo(image).pixels
            faces = self._detector("dlib", detector_threshold).detect(pixels)
            found = choose_faces(faces, face, every=detector_threshold < 0.0)
            crops = [align_face(pixels, each.points, output_size=size).crop for _, each in found]
        return crops if face in SEVERAL else crops[0]

    # Codes

    def encode(self, image: Given | Sequence[Given], **options: Any) -> NDArray[np.float32]:
        """The code in W+ of the face in a picture, float32 (N, D), from the encoder alone; (B, N, D) for a list.

        ``options`` are those of ``invert``; with ``optimize`` that many steps improve the code.
        """
        found = self._run("invert", listed(image), {"optimize": 0, **options}, on_error="raise")
        codes = np.stack([results[0].codes for results in found if not isinstance(results, P2S2PError)])
        return codes if is_list(image) else codes[0]

    def draw(
        self, codes: Any, *, noise: Literal["fixed", "random", "off"] = "fixed", seed: int = 0
    ) -> Result | list[Result]:
        """The picture of a code (N, D) in W+, or (D,) in W; a list of pictures for codes (B, N, D).

        ``codes`` is an array or a tensor; numbers of another width than the model's are a ShapeError.
        """
        import torch

        from pixel2style2pixel_cli.engine.codes import Codes
        from pixel2style2pixel_cli.files.pixels import to_uint8

        with self._lock:
            told = self._options("invert", {"noise": noise, "seed": seed})
            engine = self._engine(self.choose(self._options("invert", {})))
            given = torch.as_tensor(as_codes(codes))
            rows = given.expand(engine.model.generator_spec.n_styles, -1) if given.ndim == 1 else given
            batch = Codes(rows if rows.ndim == 3 else rows[None])
            drawn = to_uint8(engine.draw(batch, told.noise, [image_seed(told.seed, str(i)) for i in range(len(batch))]))
        made = [
            Result(array=array, codes=code.numpy(), generator=engine.model.generator_digest)
            for array, code in zip(drawn, batch.w_plus, strict=True)
        ]
        return made if given.ndim == 3 else made[0]

    def generate(self, *, seed: int | str | Sequence[int | str] = 0, **options: Any) -> Any:
        """A random face; a list of them for several seeds, as ``"0-15"``. Options as of ``p2s2p generate``."""
        given = {"seed": seed, **options}
        names = self._options("generate", given).made_up
        found = [each for each in self._run("generate", names, given, on_error="raise") if isinstance(each, list)]
        several = len(found) > 1 or is_list(seed) or gives_several(options_of("generate"), options)
        results = [result for each in found for result in each]
        return results if several else results[0]

    def translate(
        self, task: str, image: Given | Sequence[Given], *, on_error: OnError = "raise", **options: Any
    ) -> Any:
        """Run a task: a result for a picture, a list where it gives several; a list of these for a list of pictures.

        A task that makes one output of all its inputs, such as ``morph``, takes them as one list.

        With ``on_error="return"`` an error takes the place of the result that it prevented, so that one bad picture of
        a list costs no other.
        """
        found = self._run(task, listed(image), options, on_error=on_error)
        several = gives_several(options_of(task), options)
        if options_of(task).together and not isinstance(found[0], P2S2PError):
            return found[0] if several else found[0][0]
        shaped = [results if several or isinstance(results, P2S2PError) else results[0] for results in found]
        return shaped if is_list(image) else shaped[0]

    def mix(
        self,
        content: Given,
        styles: Given | Sequence[Given] | None = None,
        *,
        on_error: OnError = "raise",
        **options: Any,
    ) -> Any:
        """The content with rows of a style: one result for each style, or for each seed of ``mix_seed``.

        Content and styles are pictures, codes (N, D) or earlier results; ``options`` are those of ``p2s2p mix``.
        """
        return self._into_content("mix", content, styles, on_error, options)

    def transfer(
        self, content: Given, styles: Given | Sequence[Given], *, on_error: OnError = "raise", **options: Any
    ) -> Any:
        """The content drawn in the style of each style; inputs as in ``mix``, options as of ``p2s2p transfer``."""
        return self._into_content("transfer", content, styles, on_error, options)

    def tune(self, images: Given | Sequence[Given], out: str | Path, **options: Any) -> Path:
        """Tune the generator on pictures of one person; ``load`` makes a session of the file ``out``."""
        from pixel2style2pixel_cli.tasks.tuned import memory_options, pivot_options, tune_pictures

        with self._lock:
            told = memory_options(self.model, {"device": self._device, "on_event": self.on_event, **options})
            inputs = self._take(listed(images))
            chosen = self.choose(pivot_options(told))
            return tune_pictures(self.translator(chosen, [i.as_source() for i in inputs]), inputs, Path(out), told)

    # For jobs: the same, on files

    def choose(self, options: TaskOptions) -> Chosen:
        """The model for a task, and its options completed by it; nothing is loaded."""
        self._require_open()
        return choose(options)

    def translator(self, chosen: Chosen, sources: Sequence[Source]) -> Translator:
        """The task on its loaded model; ``sources`` are the inputs of the run, of which the first may be a content."""
        from pixel2style2pixel_cli.tasks.styles import Styles
        from pixel2style2pixel_cli.tasks.translate import Translator

        engine, options = self._engine(chosen), chosen.options
        task = task_maker(options).make_task(engine.model, sources)
        styles = Styles(options, engine.model) if options.samples else None
        return Translator(task, engine, styles=styles, noise=options.noise)

    # Inside

    def _into_content(
        self,
        task: str,
        content: Given,
        styles: Given | Sequence[Given] | None,
        on_error: OnError,
        given: dict[str, Any],
    ) -> Any:
        """One result for each style or seed; a list where several were asked for."""
        others = [] if styles is None else listed(styles)
        found = self._run(task, [content, *others], given, on_error=on_error)
        results = [each for outcome in found for each in (outcome if isinstance(outcome, list) else [outcome])]
        several = is_list(styles) or gives_several(options_of(task), given)
        return results if several else results[0]

    def _require_open(self) -> None:
        if self._closed:
            raise UsageError("the session is closed", "make another one with load()")

    def _engine(self, chosen: Chosen) -> Engine:
        """The engine of a model, loaded at its first use."""
        if not self._engines:
            self.on_event(Phase(name="loading"))
        from pixel2style2pixel_cli.device import resolve_device, resolve_dtype, use_threads
        from pixel2style2pixel_cli.engine.start import start_engine

        self._require_open()
        use_threads(self._threads)
        asked = "cpu" if (self._device, self._backend) == ("auto", "openvino") else self._device
        device, installed = resolve_device(asked), chosen.installed
        accepted = bool(installed.card.measured.get("bfloat16_ok", False))
        dtype = resolve_dtype(chosen.options.dtype, device, low_precision_ok=accepted)
        key = (installed.card.folder, installed.changes, installed.stage, dtype)
        if key not in self._engines:
            if self._device == "auto" and not self._engines:
                self.on_event(Notice(message=f"device: {device}"))
            self._engines[key] = start_engine(
                installed, device=device, dtype=dtype, backend=self._backend, batch_size=self._batch_size,
                on_event=self.on_event,
                loaded=[engine.model for engine in self._engines.values()],
            )  # fmt: skip
        return self._engines[key]

    def _detector(self, name: str, threshold: float) -> Detector:
        from pixel2style2pixel_cli.face.detectors import load_detector
        from pixel2style2pixel_cli.zoo.landmarks import find_landmarks

        self._require_open()
        return load_detector(name, landmarks=find_landmarks(), threshold=threshold)

    def _photo(self, image: Given) -> Photo:
        from pixel2style2pixel_cli.files.image import Photo, read_image
        from pixel2style2pixel_cli.tasks.in_memory import take

        given = take(image, 0)
        if isinstance(given.source, Photo):
            raise UsageError("codes have no faces to look for", "draw them first: session.draw(codes)")
        return read_image(given.source, name=given.name)

    def _options(self, task: str, given: dict[str, Any]) -> TaskOptions:
        """The options of a task on this session."""
        known = option_names(options_of(task))
        unknown = [name for name in given if name not in known]
        if unknown:
            raise UsageError(f"{task} has no option {', '.join(unknown)} here", f"options: {', '.join(sorted(known))}")
        make: Callable[..., TaskOptions] = options_of(task)
        return validate(make(model=self.model, dtype=self._dtype, backend=self._backend, **given), f"Session.{task}")

    def _run(self, task: str, images: Sequence[Given], given: dict[str, Any], *, on_error: OnError) -> list[Outcome]:
        """What came of each input that gives a picture: its faces and variants, or the error that prevented them."""
        check_value("on_error", on_error, OnError, f"Session.{task}")
        with self._lock:
            options = self._options(task, given)
            inputs = self._take(images)
            options.check([each.name for each in inputs])
            work = self._memory_task(options, inputs, given)
            numbers = options.subjects([str(i) for i in range(len(inputs))])  # the content of a mix gives no picture
            subjects = [inputs[int(number)] for number in numbers]
            found: list[Outcome] = []
            size = work.translator.engine.batch_size.size
            for start in range(0, len(subjects), size):
                found += self._run_batch(work, subjects[start : start + size], on_error)
        return found

    def _take(self, images: Sequence[Given]) -> list[Input]:
        from pixel2style2pixel_cli.tasks.in_memory import take

        return [take(image, index) for index, image in enumerate(images)]

    def _memory_task(self, options: TaskOptions, inputs: Sequence[Input], given: dict[str, Any]) -> MemoryTask:
        """The task ready to run, kept for the next call with the same options."""
        from pixel2style2pixel_cli.tasks.in_memory import MemoryTask

        self._require_open()
        content = options.also_read([each.name for each in inputs])
        key = (options.command, *sorted((name, str(value)) for name, value in given.items()))
        if not content and key in self._ready:
            return self._ready[key]
        chosen = self.choose(options)
        sources = [each.as_source() for each in inputs]
        work = MemoryTask(chosen, self.translator(chosen, sources), sources)
        if not content:
            while len(self._ready) >= REMEMBERED:
                self._ready.pop(next(iter(self._ready)))
            self._ready[key] = work
        return work

    def _run_batch(self, work: MemoryTask, inputs: Sequence[Input], on_error: OnError) -> list[Outcome]:
        """Read and draw a few inputs together; where that fails, one by one."""
        outcomes: dict[int, Outcome] = {}
        ready = []
        for number, each in enumerate(inputs):
            try:
                ready.append((number, each, *work.prepare(each)))
            except Exception as error:
                outcomes[number] = _failed(error, each.name, on_error)
        try:
            drawn = work.draw([(each, photo, faces) for _, each, photo, faces in ready])
            outcomes |= {number: results for (number, *_), results in zip(ready, drawn, strict=True)}
        except Exception:
            for number, each, photo, faces in ready:
                try:
                    outcomes[number] = work.draw([(each, photo, faces)])[0]
                except Exception as error:
                    outcomes[number] = _failed(error, each.name, on_error)
        return [outcomes[number] for number in range(len(inputs))]


def load(
    model: str | Path = "auto",
    *,
    device: str = "auto",
    dtype: Dtype = "auto",
    backend: Backend = "auto",
    batch_size: int | Literal["auto"] = "auto",
    threads: int | None = None,
    on_event: OnEvent = ignore_event,
) -> Session:
    """A session with the named model, or with the best installed one for each task (``auto``).

    ``model`` is a name of ``p2s2p models list``, a folder with a ``model.toml``, ``mini``, or a file of ``p2s2p tune``.
    Models are loaded at
    their first use and stay. Raises what the command raises: MissingError for a model that is not installed, and so on.
    """
    session = Session(
        model, device=device, dtype=dtype, backend=backend, batch_size=batch_size, threads=threads, on_event=on_event
    )
    if session.model not in ("auto", "mini"):
        from pixel2style2pixel_cli.zoo.choose import require_model

        require_model(session.model)  # a misspelt name is found here, not at the first call
    return session


def _failed(error: Exception, name: str, on_error: OnError) -> P2S2PError:
    outcome = as_outcome(error, name)
    if on_error == "raise":
        raise outcome from error
    return outcome
