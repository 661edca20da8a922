"""The adversarial losses against formulas; their gradients of gradients on functions whose Jacobian is known."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pixel2style2pixel_cli.losses.adversarial import discriminator_loss, generator_loss, path_lengths, r1_penalty


def test_scores_by_hand() -> None:
    real, fake = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [0.0]])

    def softplus(x: float) -> float:
        return math.log1p(math.exp(x))

    torch.testing.assert_close(generator_loss(fake), torch.tensor((softplus(-0.5) + softplus(0)) / 2))
    expected = (softplus(-2) + softplus(1)) / 2 + (softplus(0.5) + softplus(0)) / 2
    torch.testing.assert_close(discriminator_loss(real, fake), torch.tensor(expected))


def test_r1_of_a_linear_judge_is_the_square_of_its_weights() -> None:
    weight = torch.randn(3, 4, 4).double().requires_grad_()
    real = torch.randn(5, 3, 4, 4).double().requires_grad_()
    penalty = r1_penalty((weight * real).sum(dim=(1, 2, 3)), real)
    torch.testing.assert_close(penalty, weight.square().sum())
    (gradient,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(gradient, 2 * weight)


def test_r1_is_a_mean_over_the_batch() -> None:
    real = torch.randn(2, 3, 2, 2).double().requires_grad_()
    penalty = r1_penalty(0.5 * real.square().sum(dim=(1, 2, 3)), real)  # the gradient is the picture itself
    torch.testing.assert_close(penalty, real.square().sum(dim=(1, 2, 3)).mean())


def linear_pictures(matrix: Tensor, codes: Tensor) -> Tensor:
    """(B, N, D) to (B, 1, 4, 4): the mean of the rows times a matrix (D, 16)."""
    return (codes.mean(dim=1) @ matrix).view(-1, 1, 4, 4)


def test_path_length_of_a_linear_generator() -> None:
    """With J = A / N for each of N rows the squared length is, on average over noise, |A|^2 / (N^2 * 16)."""
    torch.manual_seed(0)
    matrix, codes = torch.randn(6, 16).double(), torch.randn(4000, 3, 6).double().requires_grad_()
    lengths = path_lengths(linear_pictures(matrix, codes), codes)
    assert lengths.shape == (4000,)
    expected = matrix.square().sum() / 9 / 16
    torch.testing.assert_close(lengths.square().mean(), expected, rtol=0.05, atol=0)


def test_path_length_grows_with_the_generator_and_can_be_differentiated() -> None:
    matrix, codes = torch.randn(6, 16).double().requires_grad_(), torch.randn(2, 3, 6).double().requires_grad_()
    torch.manual_seed(1)
    once = path_lengths(linear_pictures(matrix, codes), codes)
    torch.manual_seed(1)
    thrice = path_lengths(linear_pictures(3 * matrix, codes), codes)
    torch.testing.assert_close(thrice, 3 * once)
    (gradient,) = torch.autograd.grad(once.sum(), matrix)
    torch.testing.assert_close((gradient * matrix).sum(), once.sum())  # homogeneous of degree one (Euler)
