"""The margin loss against its equation, written with angles."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from pixel2style2pixel_cli.losses.margin import margin_loss


def test_the_margin_is_added_to_the_angle_of_the_right_person() -> None:
    cosine = torch.tensor([[0.9, 0.2, -0.5], [0.1, -0.3, 0.8]], dtype=torch.float64)
    person = torch.tensor([0, 1])
    logits = 10 * cosine.clone()
    for row, own in enumerate(person.tolist()):
        logits[row, own] = 10 * math.cos(math.acos(float(cosine[row, own])) + 0.5)
    found = margin_loss(cosine, person, scale=10.0, margin=0.5)
    torch.testing.assert_close(found, F.cross_entropy(logits, person))
    torch.testing.assert_close(
        margin_loss(cosine, person, scale=10.0, margin=0.0), F.cross_entropy(10 * cosine, person)
    )


def test_the_loss_falls_with_the_angle_all_the_way() -> None:
    """Also beyond pi - margin, where the equation alone would turn, and at the ends, where a root has no slope."""
    cosine = torch.linspace(-1, 1, 101, requires_grad=True)
    rows = torch.stack([cosine, torch.zeros_like(cosine)], dim=1)
    each = torch.stack([margin_loss(row[None], torch.tensor([0]), scale=8.0, margin=0.5) for row in rows])
    found = each.detach()
    assert bool((found.diff() < 1e-6).all()) and float(found[0]) > float(found[-1]) + 8
    (gradient,) = torch.autograd.grad(each.sum(), cosine)
    assert bool(torch.isfinite(gradient).all())
    assert float(found[50]) == pytest.approx(math.log1p(math.exp(8 * math.sin(0.5))), rel=1e-4)
