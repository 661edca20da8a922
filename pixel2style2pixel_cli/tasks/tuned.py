"""Pictures of one person to a tuning: faces prepared, pivots found, and what comes of it (methods.md 7)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel2style2pixel_cli.engine.rows import parse_layers
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.options.tuning import PIVOT_STEPS, TuneOptions
from pixel2style2pixel_cli.tasks.base import Pixels, Prepared
from pixel2style2pixel_cli.tasks.pictured import PicturedOptions
from pixel2style2pixel_cli.weights.changes import Changes, ChangesHeader
from pixel2style2pixel_cli.weights.latents import LATENT_SUFFIX

if TYPE_CHECKING:
    # imports torch, which a refused command line should not wait for
    from torch import Tensor

    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.fitting.objective import Judge
    from pixel2style2pixel_cli.fitting.tuning import Tuning
    from pixel2style2pixel_cli.tasks.in_memory import Input
    from pixel2style2pixel_cli.tasks.translate import Translator

# The published tuning ends at an LPIPS of 0.06; the bundled features have another scale, and no such number.
ENOUGH_LPIPS = 0.06
EVERY = 4  # steps from one count of the locality term to the next


def pivot_options(options: TuneOptions) -> PicturedOptions:
    """The options of the inversion that come with those of a tuning; raises UsageError for what cannot be."""
    files = [each for each in options.pivot if each not in ("encoder", "w")]
    if len(options.pivot) > 1 and len(files) < len(options.pivot):
        raise UsageError(
            f"the pivots {', '.join(map(str, options.pivot))} do not go together",
            "give encoder, or w, or one saved code for each input",
        )
    wrong = [each for each in files if not str(each).lower().endswith(LATENT_SUFFIX)]
    if wrong:
        raise UsageError(f"the pivot {wrong[0]!r} is none", "use encoder, w, or a file that ends in .safetensors")
    if str(options.model).lower().endswith(LATENT_SUFFIX):
        raise UsageError(
            f"{display(Path(options.model))} is tuned already", "tune the model it came from, with all pictures at once"
        )
    steps = options.pivot_steps if options.pivot == ("encoder",) else 0
    return PicturedOptions.of(options, optimize=steps, keeps_target=True)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Outcome:
    """What a tuning has come to: the changes, and pictures (P of each), uint8, before and after it."""

    changes: Changes
    targets: Sequence[Pixels]
    before: Sequence[Pixels]
    after: Sequence[Pixels]


class Tuner:
    """One tuning on a loaded model; ``prepared`` are the faces of its pictures, in the order they were given."""

    def __init__(self, translator: Translator, prepared: Sequence[Prepared], options: TuneOptions) -> None:
        from pixel2style2pixel_cli.fitting.objective import load_judge

        self.translator, self.prepared, self.options = translator, prepared, options
        self.engine: Engine = translator.engine
        model = self.engine.model
        self.judge: Judge | None = load_judge(
            options.perceptual, model.generator.latent_avg, model.generator_spec.resolution
        )
        self.rows = () if options.tune_layers is None else parse_layers(
            options.tune_layers, model.generator_spec.n_styles
        )  # fmt: skip
        self._tuning: Tuning | None = None

    @property
    def compared_by(self) -> str:
        """What sees likeness, in words."""
        return f"{self.judge.name} and squared error" if self.judge else "squared error of pixels"

    @property
    def fingerprint(self) -> str:
        """What an unfinished tuning must have in common with this one to be gone on with."""
        options, model = self.options, self.engine.model
        pivots = [_sha256(Path(each)) if each not in ("encoder", "w") else each for each in options.pivot]
        said: dict[str, Any] = {
            "generator": model.generator_digest, "model": model.card.name, "crops": self.crops, "pivot": pivots,
            "seed": options.seed, "compared_by": self.compared_by, "rows": list(self.rows),
        }  # fmt: skip
        named = ("steps", "rate", "locality", "pivot_steps")
        said |= {name: getattr(options, name) for name in named}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @property
    def crops(self) -> list[str]:
        """What tells the pictures apart."""
        from pixel2style2pixel_cli.tasks.latent import crop_sha256

        return [crop_sha256(each) for each in self.prepared]

    def start(self, state: Mapping[str, Tensor] | None = None) -> Tuning:
        """The tuning, from its beginning or from the state of an unfinished one, which holds its pivots."""
        import torch

        from pixel2style2pixel_cli.files.pixels import to_float
        from pixel2style2pixel_cli.fitting.tuning import Pivots, Rule, Tuning

        engine, options = self.engine, self.options
        targets = to_float([p.target for p in self.prepared if p.target is not None]).to(engine.device, engine.dtype)
        codes = self._find_pivots(targets) if state is None else state["pivots"]
        # In memory of their own: at the places where a file has them, products end in another last bit.
        codes = codes.to(targets).clone(memory_format=torch.contiguous_format)
        rule = Rule(
            steps=options.steps, rate=options.rate, locality=options.locality, every=EVERY, rows=self.rows,
            enough=ENOUGH_LPIPS if self.judge is not None and self.judge.name.startswith("LPIPS") else 0.0,
        )  # fmt: skip
        pivots = Pivots(codes=codes, targets=targets)
        self._tuning = Tuning(engine.model.generator, pivots, self.judge, rule, options.seed)
        if state is not None:
            self._tuning.load(state)
        return self._tuning

    def state(self) -> dict[str, Tensor]:
        """What a later process needs to go on, the pivots included."""
        tuning = self.tuning
        return {**tuning.state(), "pivots": tuning.pivots.codes.detach().cpu().contiguous()}

    @property
    def begun(self) -> bool:
        """Whether the tuning was started."""
        return self._tuning is not None

    @property
    def tuning(self) -> Tuning:
        """The tuning that was started."""
        if self._tuning is None:
            raise TypeError("the tuning was not started")
        return self._tuning

    def run(self, between: Callable[[], None] = lambda: None) -> None:
        """All steps; ``between`` is called after each of them."""
        from pixel2style2pixel_cli.events import Phase

        tuning, count = self.tuning, len(self.prepared)
        while not tuning.finished:
            tuning.advance()
            self.engine.on_event(Phase(name="optimising", done=tuning.step, total=tuning.rule.steps, pictures=count))
            between()
        tuning.finish()

    def outcome(self) -> Outcome:
        """The best so far; also of a tuning that was interrupted."""
        from pixel2style2pixel_cli.engine.codes import Codes
        from pixel2style2pixel_cli.files.pixels import to_uint8

        tuning, model, options = self.tuning, self.engine.model, self.options
        changes = tuning.changes()
        codes = tuning.pivots.codes.detach()
        own = dict(model.generator.named_parameters())
        # In half precision, as they will be read: what is shown is what the file draws.
        changed = {name: own[name].detach() + change.half().to(own[name]) for name, change in changes.items()}
        made = {
            "steps": options.steps, "steps_made": tuning.step, "best_step": tuning.best_step,
            "loss": round(tuning.best_loss, 6), "rate": options.rate, "locality": options.locality,
            "pivot": ",".join(Path(each).name for each in options.pivot), "compared_by": self.compared_by,
            "seed": options.seed, "rows": ",".join(map(str, self.rows)) or "all",
        }  # fmt: skip
        header = ChangesHeader(
            generator=model.generator_digest,
            model=model.card.name,
            licence=model.installed.parts["generator"].licence,
            crops=tuple(self.crops),
            made=made,
        )
        return Outcome(
            changes=Changes(header=header, tensors=changes, pivots=codes),
            targets=[each.shown for each in self.prepared],
            before=to_uint8(self.engine.draw(Codes(codes))),
            after=to_uint8(self.engine.draw(Codes(codes, tensors=changed))),
        )

    def _find_pivots(self, targets: Tensor) -> Tensor:
        options = self.options
        if options.pivot == ("encoder",):
            found = self.translator.encode(self.prepared)
            if found.stopped:
                raise KeyboardInterrupt
            return found.w_plus.detach().clone()
        if options.pivot == ("w",):
            return self._project(targets)
        if len(options.pivot) != len(self.prepared):
            raise UsageError(
                f"{len(options.pivot)} pivots for {len(self.prepared)} pictures", "give one saved code for each input"
            )
        return self._given(options.pivot)

    def _project(self, targets: Tensor) -> Tensor:
        from pixel2style2pixel_cli.events import Phase
        from pixel2style2pixel_cli.fitting.objective import Objective
        from pixel2style2pixel_cli.fitting.projection import project

        steps = PIVOT_STEPS if self.options.pivot_steps is None else self.options.pivot_steps
        count = len(targets)

        def tell(done: int) -> None:
            self.engine.on_event(Phase(name="optimising", done=done, total=steps, pictures=0))

        objective = Objective(targets, judge=self.judge, pixels="mse")
        generator = self.engine.model.generator
        return project(generator, objective, count, steps=steps, seed=self.options.seed, on_step=tell)

    def _given(self, names: Sequence[str]) -> Tensor:
        import torch

        from pixel2style2pixel_cli.tasks.latent import read_code

        model = self.engine.model
        shape = (model.generator_spec.n_styles, model.generator_spec.style_dim)
        found = [read_code(Path(each), model.generator_digest, shape, name=display(Path(each)))[0] for each in names]
        return torch.stack([torch.from_numpy(code) for code in found])


def memory_options(model: str, told: Mapping[str, Any]) -> TuneOptions:
    """The options of a tuning in a session, checked."""
    from pixel2style2pixel_cli.options.validate import validate

    make: Callable[..., TuneOptions] = TuneOptions
    return validate(make(model=model, **told), "Session.tune")


def tune_pictures(translator: Translator, inputs: Sequence[Input], out: Path, options: TuneOptions) -> Path:
    """Tune a model on pictures in memory and write what changed; raises what prevents it."""
    from pixel2style2pixel_cli.weights.changes import save_changes

    preparer, prepared = translator.task.preparer, list[Prepared]()
    for each in inputs:
        if isinstance(each.source, (Path, bytes)):
            photo = preparer.read(each.source, name=each.name, max_pixels=options.max_pixels)
            prepared += preparer.prepare(photo, each.name)
        else:
            raise UsageError(f"{each.name} is a code, which has no picture to tune towards", "give the photograph")
    tuner = Tuner(translator, prepared, options)
    tuner.start()
    tuner.run()
    save_changes(out, tuner.outcome().changes)
    return out


def _sha256(path: Path) -> str:
    from pixel2style2pixel_cli.zoo.verify import sha256_file

    try:
        return sha256_file(path)
    except OSError as error:
        raise UsageError(f"the pivot {display(path)} cannot be read", "check the spelling") from error
