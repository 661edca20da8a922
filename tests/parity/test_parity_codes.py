"""What e4e adds to training against the golden numbers: stages, losses of codes, the discriminator, its pool."""

from __future__ import annotations

import random

import fill
import torch
from golden_numbers import SALT, draw, golden, picture
from torch import nn

from pixel2style2pixel_cli.losses.adversarial import discriminator_loss, r1_penalty
from pixel2style2pixel_cli.losses.codes import code_adversarial, delta_loss
from pixel2style2pixel_cli.losses.pixel import mse
from pixel2style2pixel_cli.networks.code_discriminator import CodeDiscriminator
from pixel2style2pixel_cli.training.code_game import CodePool
from pixel2style2pixel_cli.training.offsets import Progressive

ROWS, WIDTH = 18, 512
ADVERSARIAL, DELTA = 0.1, 2e-4


def golden_discriminator() -> CodeDiscriminator:
    """Filled under the published names, which are ours."""
    network = CodeDiscriminator(WIDTH)
    assert sum(p.numel() for p in network.parameters()) == 788_481
    names = set(network.state_dict())
    for key, value in network.named_parameters():
        nn.init.zeros_(value)
        value.data.copy_(torch.from_numpy(fill.value("mlp", key, tuple(value.shape), names, f"{SALT}.wdisc")))
    return network


def test_offsets_open_at_the_published_steps() -> None:
    numbers = golden("e4e_training").arrays
    for side, rows, start, every in ((1024, 18, 20000, 2000), (256, 14, 0, 5), (512, 16, 7, 1)):
        opens = numbers[f"progressive_steps_{side}_{start}_{every}"]
        rule = Progressive(start=start, every=every)
        for offset, step in enumerate(opens.tolist()):
            if offset:
                assert rule.stage(step, rows) >= offset
                assert step == 0 or rule.stage(step - 1, rows) < offset
    rule = Progressive(start=10, every=3)
    assert [rule.stage(step, ROWS) for step in range(70)] == numbers["stage_at_step_0_69_steps_0_10_13"].tolist()
    assert rule.stage(25, ROWS) == int(numbers["stage_on_resume_at_25"])


def test_losses_of_codes_and_their_gradient_at_every_stage() -> None:
    numbers, network = golden("e4e_training"), golden_discriminator().requires_grad_(False)
    codes = draw("latent", (3, ROWS, WIDTH))
    x, y = picture("x", (3, 3, 32, 32)), picture("y", (3, 3, 32, 32))
    rows = {int(row[1]): row for row in numbers.arrays["calc_loss_rows"] if row[0] == 2}
    for stage, (_, _, total, delta, adversarial, l2) in rows.items():
        known = codes.clone().requires_grad_()
        opened = min(stage, ROWS - 1)
        parts = [mse(x, y), ADVERSARIAL * code_adversarial(network, known, opened)]
        if stage < ROWS:  # the published stage 18, all open, has no loss of the offsets
            found = delta_loss(known, opened)
            torch.testing.assert_close(float(found), delta, rtol=1e-5, atol=1e-5)
            parts.append(DELTA * found)
        torch.testing.assert_close(
            [float(parts[0]), float(parts[1]) / ADVERSARIAL], [l2, adversarial], rtol=1e-5, atol=0
        )
        loss = torch.stack(parts).sum()
        torch.testing.assert_close(float(loss), total, rtol=1e-5, atol=0)
        numbers.check_gradient(f"calc_loss_grad_latent_stage{stage}", torch.autograd.grad(loss, known)[0])


def test_the_discriminator_of_codes_and_its_losses() -> None:
    scores, numbers, network = golden("latent_codes_discriminator"), golden("e4e_training"), golden_discriminator()
    with torch.no_grad():
        scores.check("score", network(draw("w", (5, WIDTH))))
        scores.check("score_wplus", network(draw("wp", (2, ROWS, WIDTH))))
    real, fake = draw("real", (4, WIDTH)).requires_grad_(), draw("fake", (4, WIDTH))
    loss = discriminator_loss(network(real), network(fake))
    torch.testing.assert_close(
        float(loss), float(numbers.arrays["discriminator_loss_real_fake_total"][2]), rtol=1e-5, atol=0
    )
    numbers.check("discriminator_r1", r1_penalty(network(real), real))


def test_the_pool_swaps_the_same_codes() -> None:
    numbers, pool, chance = golden("latent_codes_discriminator").arrays, CodePool(4), random.Random(1234)
    entries = [draw(f"pool{i}", (3, WIDTH) if i % 2 == 0 else (3, ROWS, WIDTH)) for i in range(6)]
    found = torch.stack([pool.exchange(list(each), chance)[:, :4] for each in entries])
    assert torch.equal(found, torch.from_numpy(numbers["pool4_seed1234_first4columns"]))
