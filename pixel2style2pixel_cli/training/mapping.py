"""Fitting the mapping network to known pairs of z and w: regression on codes that were encoded once.

Where asked, the mapped codes as a whole are also brought to where the encoded ones lie, so that they vary as much.
Shape suffixes: B batch, D style width, Z width of z, M all pairs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.events import OnEvent, Progress
from pixel2style2pixel_cli.losses.sliced import sliced_wasserstein
from pixel2style2pixel_cli.networks.stylegan2 import MappingNetwork
from pixel2style2pixel_cli.training.config import MappingFit
from pixel2style2pixel_cli.training.data import Batch, PictureSource
from pixel2style2pixel_cli.training.loop import falling_rate, set_rate

ENCODED_AT_ONCE = 64
REPORTS = 20
LEAST_DEVIATION = 1e-4


def encode_pairs(
    source: PictureSource, row_of: Callable[[Batch], Tensor], count: int, on_event: OnEvent, *, z_dim: int | None = None
) -> tuple[Tensor, Tensor]:
    """z (M, Z) and codes in W (M, D) of the first ``count`` pictures; ``row_of`` encodes a batch.

    With ``z_dim``, pictures whose z is not known, or is of another length, get a random one of that length.
    """
    vectors, rows = [], []
    for start in range(0, count, ENCODED_AT_ONCE):
        indices = list(range(start, min(start + ENCODED_AT_ONCE, count)))
        batch = source.batch(indices, [False] * len(indices))
        vectors.append(_vectors(batch, z_dim))
        rows.append(row_of(batch).cpu())
        on_event(Progress(done=indices[-1] + 1, total=count, label="encoding pairs for the mapping network"))
    return torch.cat(vectors), torch.cat(rows)


def _vectors(batch: Batch, z_dim: int | None) -> Tensor:
    if z_dim is not None and (batch.z is None or batch.z.shape[1] != z_dim):
        return torch.randn(len(batch.image), z_dim)
    if batch.z is None:
        raise TypeError("pairs need pictures whose z is known; the configuration was checked")
    return batch.z


def fit_mapping(
    mapping: MappingNetwork, z_MZ: Tensor, w_MD: Tensor, fit: MappingFit, on_event: OnEvent, *, paired: bool = True
) -> dict[str, float]:
    """Fit in place; the state that did best on the last tenth of the pairs is kept.

    Where z and w are not ``paired``, the sliced distance alone is followed.

    Codes are compared in units of each dimension's deviation where the sliced distance is used. Returns the held-out
    squared error, that of always answering the mean code, and the variance of mapped against that of encoded codes.
    """
    held_out = max(1, len(z_MZ) // 10)
    z_train, w_train, z_test, w_test = z_MZ[:-held_out], w_MD[:-held_out], z_MZ[-held_out:], w_MD[-held_out:]
    optimiser = torch.optim.Adam(mapping.parameters(), lr=fit.rate, betas=(0.9, 0.99))
    best, best_state = float("inf"), copy.deepcopy(mapping.state_dict())
    check_every = max(1, fit.steps // REPORTS)
    for step in range(fit.steps):
        set_rate(optimiser, falling_rate(fit.rate, step, fit.steps, 100, 0.3))
        loss = _loss(mapping, z_train, w_train, fit, paired)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        if (step + 1) % check_every == 0:
            error = _held_out(mapping, z_test, w_test, fit, paired)
            if error < best:
                best, best_state = error, copy.deepcopy(mapping.state_dict())
            label = f"mapping network: {float(loss.detach()):.4g}, held out {error:.4g}"
            on_event(Progress(done=step + 1, total=fit.steps, label=label))
    mapping.load_state_dict(best_state)
    with torch.no_grad():
        mapped = mapping(z_test)
    return {
        "error": float(F.mse_loss(mapped, w_test)),
        "error_of_the_mean": float((w_test - w_train.mean(dim=0)).square().mean()),
        "variance_ratio": float(_variance(mapped) / _variance(w_test).clamp_min(1e-12)),
    }


def _variance(w_MD: Tensor) -> Tensor:
    return w_MD.var(dim=0, correction=0).sum()


def _loss(mapping: MappingNetwork, z_MZ: Tensor, w_MD: Tensor, fit: MappingFit, paired: bool) -> Tensor:
    """Of a random batch: squared error of the pairs, and how far all mapped codes lie from all encoded ones."""
    chosen = torch.randint(len(z_MZ), (min(fit.batch, len(z_MZ)),))
    mapped = mapping(z_MZ[chosen])
    if not fit.sliced:
        return F.mse_loss(mapped, w_MD[chosen])
    unit = 1 / (w_MD.std(dim=0, correction=0) + LEAST_DEVIATION)
    # Other codes than those of the same pictures, or the pairs would be counted twice.
    others = w_MD[torch.randint(len(w_MD), (len(chosen),))]
    spread = sliced_wasserstein(mapped * unit, others * unit, fit.directions)
    return fit.sliced * spread + paired * F.mse_loss(mapped * unit, w_MD[chosen] * unit)


@torch.no_grad()
def _held_out(mapping: MappingNetwork, z_MZ: Tensor, w_MD: Tensor, fit: MappingFit, paired: bool) -> float:
    mapped = mapping(z_MZ)
    if not fit.sliced:
        return float(F.mse_loss(mapped, w_MD))
    unit = 1 / (w_MD.std(dim=0, correction=0) + LEAST_DEVIATION)
    spread = sliced_wasserstein(mapped * unit, w_MD * unit, fit.directions)
    return float(fit.sliced * spread + paired * F.mse_loss(mapped * unit, w_MD * unit))
