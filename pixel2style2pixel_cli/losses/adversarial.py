"""Adversarial losses: StyleGAN2's (non-saturating logistic, R1, path length) and the hinge on patch logits.

Sources: Karras et al. 2020, section 3.2; Sauer et al. 2021 for the hinge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_loss(fake_scores: Tensor) -> Tensor:
    """softplus(-D(fake)), mean."""
    return F.softplus(-fake_scores).mean()


def discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """softplus(-D(real)) + softplus(D(fake)), means."""
    return F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()


def r1_penalty(real_scores: Tensor, real: Tensor) -> Tensor:
    """Mean squared norm of the gradient of D at real images or codes (Mescheder et al. 2018); multiply by gamma / 2."""
    (gradient,) = torch.autograd.grad(real_scores.sum(), real, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean()


def path_lengths(image_BCHW: Tensor, codes_BND: Tensor, noise_BCHW: Tensor | None = None) -> Tensor:
    """Length (B,) of the Jacobian of the generator along random images; its spread is the penalty.

    ``noise_BCHW`` are normal numbers for them, drawn here by default.
    """
    drawn = torch.randn_like(image_BCHW) if noise_BCHW is None else noise_BCHW
    noise = drawn / math.sqrt(image_BCHW.shape[2] * image_BCHW.shape[3])
    (gradient,) = torch.autograd.grad((image_BCHW * noise).sum(), codes_BND, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def hinge_generator_loss(patches: Sequence[Tensor]) -> Tensor:
    """-D(fake), the mean of each map of patch logits, summed over the maps; shape (B,) of logits (B, 1, P, P)."""
    return -torch.stack([logits.mean(dim=(1, 2, 3)) for logits in patches]).sum(dim=0)


def hinge_real_loss(patches: Sequence[Tensor]) -> Tensor:
    """max(0, 1 - D(real)), the mean over patches and over the maps."""
    return torch.stack([F.relu(1 - logits).mean() for logits in patches]).mean()


def hinge_fake_loss(patches: Sequence[Tensor]) -> Tensor:
    """max(0, 1 + D(fake)), the mean over patches and over the maps."""
    return torch.stack([F.relu(1 + logits).mean() for logits in patches]).mean()
