"""Pivotal tuning: what its terms are, what it leaves alone, and that it goes on where it stopped."""

from __future__ import annotations

import signal

import pytest
import torch
from tiny_zoo import GENERATOR, tiny_model

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.fitting.objective import Objective
from pixel2style2pixel_cli.fitting.projection import project
from pixel2style2pixel_cli.fitting.tuning import REACH, Pivots, Rule, Tuning, spread, tunable
from pixel2style2pixel_cli.networks.stylegan2 import Generator

RULE = Rule(steps=12, rate=1e-2, locality=0.5, every=2, enough=0.0)


@pytest.fixture(scope="module")
def generator() -> Generator:
    made = Generator(GENERATOR)
    made.load_state_dict(tiny_model().generator)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pivots(generator: Generator) -> Pivots:
    chance = torch.Generator().manual_seed(0)
    codes = generator.map(torch.randn(6, GENERATOR.z_dim, generator=chance)).clone()
    targets = generator(generator.map(torch.randn(6, GENERATOR.z_dim, generator=chance)))
    return Pivots(codes=codes, targets=targets.clamp(-1, 1))


def run(tuning: Tuning) -> Tuning:
    while not tuning.finished:
        tuning.advance()
    tuning.finish()
    return tuning


def test_the_pictures_are_met_and_the_original_is_untouched(generator: Generator, pivots: Pivots) -> None:
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    tuning = run(Tuning(generator, pivots, None, RULE, seed=0))
    assert all(torch.equal(before[name], value) for name, value in generator.state_dict().items())
    changes = tuning.changes()
    assert changes.keys() == tunable(generator).keys() and not any("mapping" in name for name in changes)
    for name, value in generator.named_parameters():
        if name in changes:
            value.add_(changes[name])
    try:
        error = (generator(pivots.codes) - pivots.targets).square().mean()
        assert float(error) == pytest.approx(tuning.best_loss, rel=1e-4)
    finally:
        generator.load_state_dict(before)
    assert tuning.best_loss < 0.7 * float((generator(pivots.codes) - pivots.targets).square().mean())


def test_the_first_step_follows_the_gradient_of_the_published_loss(generator: Generator, pivots: Pivots) -> None:
    """MSE of the pictures with the stored noise, plus the locality term without noise (methods.md 7.2)."""
    tuning = Tuning(generator, pivots, None, RULE, seed=3)
    chance = torch.Generator().manual_seed(3 << 20)
    away = generator.map(torch.randn(1, GENERATOR.z_dim, generator=chance), 0.5) - pivots.codes[:1]
    near = pivots.codes[:1] + REACH * spread(generator, 3) * GENERATOR.n_styles**0.5 * away / away.norm()
    names = list(tunable(generator))
    moved = {name: dict(generator.named_parameters())[name].detach() + 0.01 for name in names}
    state = tuning.state() | {f"now/{name}": value for name, value in moved.items()}
    tuning.load(state)
    free = {name: value.clone().requires_grad_(True) for name, value in moved.items()}
    drawn = torch.func.functional_call(generator, free, (pivots.codes,))
    local = torch.func.functional_call(generator, free, (near, "off"))
    loss = (drawn - pivots.targets).square().mean() + RULE.locality * RULE.every * (
        local - generator(near, "off")
    ).square().mean()
    wanted = dict(zip(names, torch.autograd.grad(loss, [free[name] for name in names]), strict=True))
    tuning.advance()
    for name, parameter in tuning.free.items():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, wanted[name], atol=1e-5, rtol=1e-3), name


def test_locality_keeps_what_is_near_as_it_was(generator: Generator, pivots: Pivots) -> None:
    one = Pivots(codes=pivots.codes[:1], targets=pivots.targets[:1])
    probe = Tuning(generator, one, None, RULE, seed=9)
    distances = []
    for locality in (0.0, 20.0):
        rule = Rule(steps=20, rate=1e-2, locality=locality, every=1, enough=0.0)
        tuned = run(Tuning(generator, one, None, rule, seed=0)).tuned
        total = 0.0
        for probe.step in range(100, 110):  # codes that the tuning has not met
            near = probe._near(one.codes)
            with torch.no_grad():
                total += float((tuned(near, "off") - generator(near, "off")).square().mean())
        distances.append(total)
    assert distances[1] < 0.5 * distances[0]


def test_it_goes_on_as_if_nothing_had_happened(generator: Generator, pivots: Pivots) -> None:
    whole = run(Tuning(generator, pivots, None, RULE, seed=1))
    first = Tuning(generator, pivots, None, RULE, seed=1)
    for _ in range(5):
        first.advance()
    second = Tuning(generator, pivots, None, RULE, seed=1)
    second.load(first.state())
    assert (second.loss, second.best_loss) == (first.loss, first.best_loss), "to the last bit: the file tells them"
    assert second.step == 5
    run(second)
    assert all(torch.equal(change, second.changes()[name]) for name, change in whole.changes().items())
    assert (second.best_step, second.best_loss) == (whole.best_step, whole.best_loss)


@pytest.mark.parametrize("at", ["keep", "step"])
def test_an_interrupt_within_a_step_waits_for_its_end(
    generator: Generator, pivots: Pivots, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is gone on from would be half a step otherwise: counted, but not made by every weight."""
    whole = run(Tuning(generator, pivots, None, RULE, seed=1))
    first = Tuning(generator, pivots, None, RULE, seed=1)
    for _ in range(4):
        first.advance()
    owner, name = (first, "_keep") if at == "keep" else (first.optimiser, "step")
    made = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda: (signal.raise_signal(signal.SIGINT), made()))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker of the test run may have another
    try:
        with pytest.raises(KeyboardInterrupt):
            first.advance()
    finally:
        signal.signal(signal.SIGINT, before)
    assert first.step == 5
    second = Tuning(generator, pivots, None, RULE, seed=1)
    second.load(first.state())
    run(second)
    assert all(torch.equal(change, second.changes()[name]) for name, change in whole.changes().items())


def test_rows_and_an_end_that_is_good_enough(generator: Generator, pivots: Pivots) -> None:
    names = set(tunable(generator, (1, 2)))
    assert {name.split(".conv")[0].rsplit(".weight")[0] for name in names} >= {"to_rgb_first", "blocks.0"}
    assert not any(name.startswith(("constant", "conv_first", "blocks.1", "blocks.0.to_rgb")) for name in names)
    every = set(tunable(generator))
    assert every == {n for n, _ in generator.named_parameters() if not n.startswith("mapping")}
    easy = Tuning(generator, pivots, None, Rule(steps=9, rate=1e-2, locality=0, every=1, enough=1e3), seed=0)
    run(easy)
    assert easy.step == 1 and not any(change.any() for change in easy.changes().values())


def test_a_loss_that_is_no_number_is_an_error_with_the_best_kept(generator: Generator, pivots: Pivots) -> None:
    tuning = Tuning(generator, pivots, None, RULE, seed=0)
    for _ in range(3):
        tuning.advance()
    best = tuning.changes()
    with torch.no_grad():
        next(iter(tuning.free.values())).fill_(torch.nan)
    with pytest.raises(InputError, match="failed at step 4"):
        tuning.advance()
    assert all(torch.equal(best[name], change) and change.isfinite().all() for name, change in tuning.changes().items())


def test_projection_finds_one_row_for_all_layers(generator: Generator, pivots: Pivots) -> None:
    codes = project(generator, Objective(pivots.targets, pixels="mse"), 6, steps=60)
    assert codes.shape == pivots.codes.shape and torch.equal(codes, codes[:, :1].expand_as(codes))
    average = generator.repeat(generator.latent_avg[None]).expand_as(codes)
    errors = [(generator(each) - pivots.targets).square().mean(dim=(1, 2, 3)) for each in (codes, average)]
    assert (errors[0] < errors[1]).float().mean() > 0.8 and errors[0].mean() < 0.8 * errors[1].mean()
    again = project(generator, Objective(pivots.targets, pixels="mse"), 6, steps=60)
    assert torch.equal(codes, again)
