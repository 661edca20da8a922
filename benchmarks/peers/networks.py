"""What a compared system consists of, and the networks of the one that is written here: components of a drawing.

Shape suffixes: B batch, C channels, H W height and width, E width of an embedding, P components, M pictures.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The scores of a discriminator at each scale, and its features.
Scores = tuple[list[Tensor], list[Tensor]]
SIDE = 128


class Conditioned(nn.Module):
    """Conditions (B, C, 128, 128) to pictures (B, 3, 128, 128) in [-1, 1]."""

    def extra_loss(self, condition_BCHW: Tensor) -> Tensor:
        """What the generator learns besides to draw."""
        return condition_BCHW.new_zeros(())

    def finish(self, conditions: list[Tensor]) -> None:
        """What is taken from the training pictures once it has been trained."""


class Window(NamedTuple):
    """A square of an aligned face of 128 px: its corner and side."""

    top: int
    left: int
    side: int


# Chen et al. 2020 take eyes, nose, mouth and the remainder of a drawing apart; the windows are those of an FFHQ crop.
WINDOWS = (Window(44, 24, 40), Window(44, 64, 40), Window(52, 44, 40), Window(76, 44, 40), Window(0, 0, SIDE))
INNER = 40  # components are read at this side, the remainder at twice that
EMBEDDING, FEATURES, NEAREST = 64, 16, 10


class Residual(nn.Module):
    """Two convolutions beside the way past them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.InstanceNorm2d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x_BCHW: Tensor) -> Tensor:
        out: Tensor = x_BCHW + self.layers(x_BCHW)
        return out


class Component(nn.Module):
    """One component: drawing to embedding, embedding to the drawing again, and to a map of features."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side, self.small = side, side // 8
        widths = (1, 16, 32, 48)
        down: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            down += [nn.Conv2d(before, after, 4, 2, 1), nn.InstanceNorm2d(after), nn.LeakyReLU(0.2)]
        self.encode = nn.Sequential(*down, nn.Flatten(), nn.Linear(widths[-1] * self.small**2, EMBEDDING))
        self.begin = nn.Linear(EMBEDDING, widths[-1] * self.small**2)
        self.redraw, self.feature = _up(1), _up(FEATURES)

    def read(self, drawing_BCHW: Tensor, window: Window) -> Tensor:
        """The embedding (B, E) of a window of a drawing."""
        part = drawing_BCHW[:, :, window.top : window.top + window.side, window.left : window.left + window.side]
        code: Tensor = self.encode(F.interpolate(part, size=(self.side, self.side), mode="area"))
        return code

    def maps(self, code_BE: Tensor) -> tuple[Tensor, Tensor]:
        """The drawing of an embedding and its features, both (B, C, S, S)."""
        start = self.begin(code_BE).view(len(code_BE), -1, self.small, self.small)
        return self.redraw(start), self.feature(start)


def _up(channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in ((48, 32), (32, 16), (16, 16)):
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(16, channels, 3, padding=1))


class Components(Conditioned):
    """Drawings to faces by components, in the manner of DeepFaceDrawing (Chen et al. 2020).

    Each component is embedded, moved into the space of drawings that were trained on (to the weighted mean of the
    nearest ones that is nearest to it, section 3.2), and becomes features; those, put back at their places over those
    of the remainder, become the picture. Smaller than published throughout, and trained in one stage instead of two.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(Component(INNER if w.side < SIDE else 2 * INNER) for w in WINDOWS)
        self.draw = nn.Sequential(
            nn.Conv2d(FEATURES, width, 5, padding=2), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.InstanceNorm2d(2 * width), nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1), nn.InstanceNorm2d(4 * width), nn.ReLU(),
            *(Residual(4 * width) for _ in range(4)),
            nn.Upsample(scale_factor=2), nn.Conv2d(4 * width, 2 * width, 3, padding=1), nn.ReLU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(2 * width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, 3, 5, padding=2), nn.Tanh(),
        )  # fmt: skip
        self.register_buffer("known_PME", torch.zeros(len(WINDOWS), 0, EMBEDDING))

    def forward(self, condition_BCHW: Tensor) -> Tensor:
        canvas: Tensor | None = None
        for number in reversed(range(len(WINDOWS))):  # the remainder first, the others over it
            window, part = WINDOWS[number], self.parts[number]
            assert isinstance(part, Component)
            _, feature = part.maps(self._among_known(number, part.read(condition_BCHW, window)))
            size = (window.side, window.side)
            feature = F.interpolate(feature, size=size, mode="bilinear", align_corners=False)
            if canvas is None:
                canvas = feature
                continue
            edge = SIDE - window.side
            padding = (window.left, edge - window.left, window.top, edge - window.top)
            inside = F.pad(torch.ones_like(feature[:, :1]), padding)
            canvas = torch.where(inside > 0, F.pad(feature, padding), canvas)
        drawn: Tensor = self.draw(canvas)
        return drawn

    def extra_loss(self, condition_BCHW: Tensor) -> Tensor:
        """How far each component is from the drawing that its embedding becomes."""
        losses = []
        for window, part in zip(WINDOWS, self.parts, strict=True):
            assert isinstance(part, Component)
            again, _ = part.maps(part.read(condition_BCHW, window))
            there = condition_BCHW[:, :, window.top : window.top + window.side, window.left : window.left + window.side]
            losses.append(F.mse_loss(again, F.interpolate(there, size=again.shape[2:], mode="area")))
        return torch.stack(losses).mean()

    @torch.no_grad()
    def finish(self, conditions: list[Tensor]) -> None:
        """Keep the embeddings of the drawings that were trained on."""
        found = []
        for window, part in zip(WINDOWS, self.parts, strict=True):
            assert isinstance(part, Component)
            found.append(torch.cat([part.read(batch, window) for batch in conditions]))
        self.known_PME = torch.stack(found)

    def _among_known(self, number: int, code_BE: Tensor) -> Tensor:
        """The code as a mean of its nearest known ones with weights of sum 1 (locally linear embedding)."""
        known_ME = self.known_PME[number]
        if self.training or len(known_ME) < NEAREST:
            return code_BE
        near = torch.cdist(code_BE, known_ME).topk(NEAREST, largest=False).indices
        apart = known_ME[near] - code_BE[:, None]
        gram = apart @ apart.transpose(1, 2)
        gram = gram + 1e-3 * gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] * torch.eye(NEAREST) + 1e-8
        weights = torch.linalg.solve(gram, torch.ones(len(code_BE), NEAREST, 1))
        weights = weights / weights.sum(dim=1, keepdim=True)
        return (weights * known_ME[near]).sum(dim=1)


class PatchJudge(nn.Module):
    """Patch discriminators at two scales, for the system that is written here."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            nn.ModuleList([
                nn.Sequential(nn.Conv2d(channels + 3, width, 4, 2, 1), nn.LeakyReLU(0.2)),
                nn.Sequential(nn.Conv2d(width, 2 * width, 4, 2, 1), nn.InstanceNorm2d(2 * width), nn.LeakyReLU(0.2)),
                nn.Sequential(
                    nn.Conv2d(2 * width, 4 * width, 4, 2, 1), nn.InstanceNorm2d(4 * width), nn.LeakyReLU(0.2)
                ),
                nn.Conv2d(4 * width, 1, 3, padding=1),
            ])
            for _ in range(2)
        )  # fmt: skip

    def forward(self, condition_BCHW: Tensor, image_BCHW: Tensor) -> Scores:
        scores, features = [], []
        x = torch.cat([condition_BCHW, image_BCHW], dim=1)
        for number, scale in enumerate(self.scales):
            seen = F.avg_pool2d(x, 2) if number else x
            assert isinstance(scale, nn.ModuleList)
            for layer in scale:
                seen = layer(seen)
                features.append(seen)
            scores.append(features.pop())
        return scores, features
