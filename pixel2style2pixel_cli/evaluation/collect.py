"""Takes pairs of pictures one after the other and keeps what a report needs of them, not the pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.evaluation.inception import InceptionDistance
from pixel2style2pixel_cli.evaluation.intervals import interval
from pixel2style2pixel_cli.evaluation.judges import SAME_PERSON, Descriptor, Lite2, Recogniser
from pixel2style2pixel_cli.evaluation.layout import Agreement
from pixel2style2pixel_cli.evaluation.lines import line_f1
from pixel2style2pixel_cli.evaluation.parser import Parser
from pixel2style2pixel_cli.evaluation.pictures import ms_ssim, psnr, squared_errors
from pixel2style2pixel_cli.evaluation.sets import NEIGHBOURS, frechet, own_found, precision_recall, separability
from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.inputs.labels import resize_labels
from pixel2style2pixel_cli.inputs.sketch import sketchify
from pixel2style2pixel_cli.losses.perceptual import PerceptualLoss, load_perceptual
from pixel2style2pixel_cli.losses.spectrum import CYCLES, spectral_power
from pixel2style2pixel_cli.zoo.auxiliary import ALEXNET, networks

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]
J = TypeVar("J")

# Fewer pairs than this say nothing about a set.
LEAST_SET = NEIGHBOURS + 2
LINE_SHARE = 64  # lines count as met within this part of the side: 2 of 128 pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean:
    """The mean of a measure over ``count`` pairs, with its 95 % bootstrap interval; not a number where none had it."""

    mean: float
    low: float
    high: float
    count: int


@dataclass(kw_only=True, slots=True)
class Judges:
    """The networks that judge, None where they are not installed, and why, by the name of the measure."""

    faces: Descriptor | None
    lite2: Lite2 | None
    lpips: PerceptualLoss | None
    fid: InceptionDistance | None
    missing: dict[str, str]

    @classmethod
    def installed(cls) -> Judges:
        """Those of this machine; one whose files are damaged counts as not installed."""
        missing: dict[str, str] = {}

        def found(name: str, make: Callable[[], J]) -> J | None:
            try:
                return make()
            except P2S2PError as error:
                missing[name] = error.message
                return None

        return cls(
            faces=found("identity", Descriptor),
            lite2=found("lite2", Lite2),
            lpips=found("lpips", lambda: load_perceptual(networks()[ALEXNET].require("LPIPS", "do without LPIPS"))),
            fid=found("fid", InceptionDistance),
            missing=missing,
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Wanted:
    """What a result was made from, where results are compared with that: a label map (S, S), a drawing (S, S)."""

    labels: Pixels | None = None
    drawing: Pixels | None = None


@dataclass(slots=True)
class Collected:
    """What was seen so far; ``add`` takes one pair, ``means`` and ``sets`` say what comes of all.

    With ``parser`` the layout of faces is measured, with ``recogniser`` identity once more, with ``lines`` the lines of
    drawings that are made of the pictures.
    """

    judges: Judges
    seed: int = 0
    parser: Parser | None = None
    recogniser: Recogniser | None = None
    lines: bool = False
    rows: dict[str, list[float]] = field(default_factory=dict)
    layouts: dict[str, Agreement] = field(default_factory=dict)
    _faces: list[tuple[Points | None, Points | None]] = field(default_factory=list)
    _known: list[tuple[Points, Points]] = field(default_factory=list)
    _seen: list[tuple[Points, Points]] = field(default_factory=list)
    _power: list[torch.Tensor] = field(default_factory=list)
    _sides: set[int] = field(default_factory=set)

    def add(self, drawn: Pixels, target: Pixels, wanted: Wanted | None = None) -> dict[str, float]:
        """Measure one pair of one size, uint8 (S, S, 3); returns its figures."""
        pair: dict[str, float] = {
            "mse": float(squared_errors([drawn], [target])[0]),
            "psnr": float(psnr([drawn], [target])[0]),
            "ms_ssim": float(ms_ssim([drawn], [target])[0]),
        }
        both = to_float([drawn, target])
        if self.judges.lpips is not None:
            with torch.no_grad():
                pair["lpips"] = float(self.judges.lpips(both[:1], both[1:]))
        if self.judges.faces is not None:
            faces = (self.judges.faces(drawn), self.judges.faces(target))
            self._faces.append(faces)
            if faces[0] is not None and faces[1] is not None:
                pair["identity_distance"] = float(np.linalg.norm(faces[0] - faces[1]))
        if self.recogniser is not None:
            known = self.recogniser([drawn, target])
            self._known.append((known[0], known[1]))
            pair["identity_similarity"] = float(known[0] @ known[1])
        if self.judges.lite2 is not None:
            features = self.judges.lite2([drawn, target])
            self._seen.append((features[0], features[1]))
        if self.judges.fid is not None:
            self.judges.fid.add(drawn, target)
        side = drawn.shape[0]
        self._sides.add(side)
        cycles = [count for count in CYCLES if count + 1 < side / 2]
        self._power.append(torch.stack([spectral_power(image[None], cycles) for image in both]))
        pair |= self._drawing(drawn, target, wanted or Wanted()) | self._layout(drawn, target, wanted or Wanted())
        self.note(pair)
        return pair

    def note(self, figures: dict[str, float]) -> None:
        """Figures of one pair that were measured elsewhere."""
        for name, value in figures.items():
            self.rows.setdefault(name, []).append(value)

    def _drawing(self, drawn: Pixels, target: Pixels, wanted: Wanted) -> dict[str, float]:
        if not self.lines:
            return {}
        truth = sketchify(target) if wanted.drawing is None else wanted.drawing
        return {"line_f1": line_f1(truth, sketchify(drawn), max(1, round(len(drawn) / LINE_SHARE)))}

    def _layout(self, drawn: Pixels, target: Pixels, wanted: Wanted) -> dict[str, float]:
        """The parser's map of a result against the one asked for, or against its map of the target."""
        if self.parser is None:
            return {}
        found, of_target = self.parser([drawn, target])
        truth = of_target if wanted.labels is None else resize_labels(wanted.labels, self.parser.size)
        self.layouts.setdefault("layout", Agreement()).add(truth, found)
        if wanted.labels is not None:
            self.layouts.setdefault("layout_of_targets", Agreement()).add(truth, of_target)
        return {"pixel_accuracy": float((truth == found).mean())}

    def means(self) -> dict[str, Mean]:
        """The measures of pairs."""
        found = {}
        for name, values in self.rows.items():
            low, high = interval(np.array(values), self.seed)
            found[name] = Mean(mean=float(np.mean(values)), low=low, high=high, count=len(values))
        return found

    def sets(self) -> dict[str, Any]:
        """The measures of the results as a set, beside the targets: what can be said of so many pairs."""
        found: dict[str, Any] = {}
        if len(self._sides) == 1 and self._power:
            drawn, target = torch.stack(self._power).mean(dim=0)
            ratios = (drawn / target.clamp_min(1e-12)).tolist()
            found["spectrum_ratio"] = {str(c): r for c, r in zip(CYCLES, ratios, strict=False)}
        if self._faces:
            found["faces"] = self._identity()
        if len(self._known) >= LEAST_SET:
            known = own_found(*self._embedded())
            found["recogniser"] = {"people": len(self._known), **{n: float(r.mean()) for n, r in known.items()}}
        if len(self._seen) >= LEAST_SET:
            results, targets = (np.stack(part) for part in zip(*self._seen, strict=True))
            found["lite2"] = {"frechet": frechet(targets, results), **precision_recall(targets, results)}
        if self.judges.fid is not None and self.judges.fid.pairs >= LEAST_SET:
            found["inception"] = {"frechet": self.judges.fid.value()}
        return found | {name: agreement.figures() for name, agreement in self.layouts.items()}

    def intervals(self) -> dict[str, dict[str, tuple[float, float]]]:
        """The 95 % bootstrap intervals of those measures of ``sets`` that are shares of pairs."""
        found = {name: agreement.intervals(self.seed) for name, agreement in self.layouts.items()}
        both = self._both()
        if both is not None:
            inputs, outputs = both
            rows = {"under_0.6": (np.linalg.norm(inputs - outputs, axis=1) < SAME_PERSON).astype(np.float64)}
            rows |= own_found(inputs, outputs)
            found["faces"] = {name: interval(values, self.seed) for name, values in rows.items()}
        if len(self._known) >= LEAST_SET:
            rows = own_found(*self._embedded())
            found["recogniser"] = {name: interval(values, self.seed) for name, values in rows.items()}
        return found

    def _embedded(self) -> tuple[Points, Points]:
        """Embeddings of targets and of results."""
        results, targets = (np.stack(part) for part in zip(*self._known, strict=True))
        return targets, results

    def _both(self) -> tuple[Points, Points] | None:
        """Descriptors of targets and results, of the pairs with both; None of too few."""
        both = [(b, a) for a, b in self._faces if a is not None and b is not None]
        if len(both) < LEAST_SET:
            return None
        targets, results = (np.stack(part) for part in zip(*both, strict=True))
        return targets, results

    def _identity(self) -> dict[str, Any]:
        count = len(self._faces)
        own = self.rows.get("identity_distance", [])
        found: dict[str, Any] = {
            "found_in_results": sum(a is not None for a, _ in self._faces) / count,
            "found_in_targets": sum(b is not None for _, b in self._faces) / count,
        }
        if own:
            found["under_0.6"] = float((np.array(own) < SAME_PERSON).mean())
        both = self._both()
        if both is not None:
            targets, results = both
            found |= separability(targets, results)
            found |= {"frechet": frechet(targets, results), **precision_recall(targets, results)}
        return found


def rounded(value: Any) -> Any:
    """Numbers to six significant digits, through dictionaries; what is not finite becomes None, as JSON has it."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [rounded(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def side_of(shapes: Sequence[tuple[int, ...]], size: int | None) -> int:
    """The side at which pictures are compared: the one asked for, or that of the smallest."""
    return size or min(min(shape[:2]) for shape in shapes)
