"""A batch that is shared out, to parts of one process: same numbers drawn, same losses, same weights, less memory."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import ADVERSARIAL, CPU, ENCODER, INVERSION, SIDE, fresh, train

from pixel2style2pixel_cli.errors import MissingError, UsageError
from pixel2style2pixel_cli.networks.specs import EncoderSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.ada import change_colours, change_geometry
from pixel2style2pixel_cli.training.augment import augment
from pixel2style2pixel_cli.training.checkpoint import load_file
from pixel2style2pixel_cli.training.config import AdaptiveAugmentation, Augmentation, EncoderLosses, EncoderTraining
from pixel2style2pixel_cli.training.data import Batch, PictureSource, training_batches
from pixel2style2pixel_cli.training.draws import noise_maps, own, sharing, total
from pixel2style2pixel_cli.training.encoder import EncoderTrainer
from pixel2style2pixel_cli.training.inputs import make_inputs
from pixel2style2pixel_cli.training.memory import _kept_by_steps, estimate_memory
from pixel2style2pixel_cli.training.runtime import Runtime, runtime_of
from pixel2style2pixel_cli.training.share import Share

EVERYTHING = Augmentation(colour=1.0, blur=1.0, noise=1.0, jpeg=1.0, shift=1.0)


@pytest.fixture
def batch(discs: Path) -> Batch:
    return PictureSource([discs], SIDE).batch(range(8), [False, True] * 4)


def in_shares(batch: Batch, make: object, shares: int) -> torch.Tensor:
    """What is made of each share by itself, put together in the order of the batch."""
    found = [None] * 8
    for index in range(shares):
        torch.manual_seed(3)
        with sharing(Share(index, shares)):
            for row, value in enumerate(make(batch.part(index, shares))):  # type: ignore[operator]
                found[index + row * shares] = value
    return torch.stack(found)  # type: ignore[arg-type]


@pytest.mark.parametrize("shares", [2, 4])
@pytest.mark.parametrize(
    "make",
    [
        lambda part: augment(part.image, EVERYTHING),
        lambda part: change_colours(change_geometry(part.image, 0.7), 0.7),
        lambda part: make_inputs("sketch", part, SIDE, Augmentation()),
        lambda part: make_inputs("masked", part, SIDE, Augmentation()),
        lambda part: make_inputs("lowres", part, SIDE, EVERYTHING),
        lambda part: own(torch.randn(2, total(len(part.image)), 5), dim=1).transpose(0, 1),
        lambda part: torch.cat([m.flatten(1) for m in noise_maps(fresh().generator, len(part.image))], dim=1),
    ],
)
def test_random_numbers_do_not_depend_on_how_a_batch_is_shared_out(batch: Batch, make: object, shares: int) -> None:
    whole = in_shares(batch, make, 1)
    torch.testing.assert_close(in_shares(batch, make, shares), whole, rtol=0, atol=1e-6)
    assert float((whole[0] - whole[2]).abs().max()) > 0, "every picture has numbers of its own"


def test_each_share_reads_its_own_pictures(discs: Path) -> None:
    source = PictureSource([discs], SIDE)
    told = {"batch": 8, "seed": 5, "start": 3, "held_out": 4, "flip": True}
    whole = next(training_batches(source, **told))  # type: ignore[arg-type]
    for index in range(2):
        mine = next(training_batches(source, share=Share(index, 2), **told))  # type: ignore[arg-type]
        assert torch.equal(mine.image, whole.image[index::2]) and torch.equal(mine.paired, whole.paired[index::2])


ADAPTIVE = replace(
    ADVERSARIAL,
    run=replace(ADVERSARIAL.run, batch=8),
    ada=AdaptiveAugmentation(images=100, every=1, target=-0.5),
)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {k: v for k, v in load_file(folder / "checkpoint.safetensors").items() if k.startswith("module/")}


def test_gradients_that_are_added_up_are_those_of_the_large_batch(discs: Path, tmp_path: Path) -> None:
    """With R1, path lengths, style mixing and adaptive augmentation; sums in another order, so not to the last bit."""
    parts = replace(ADAPTIVE, run=replace(ADAPTIVE.run, accumulate=2))
    found = {name: train(fresh(c), c, discs, tmp_path / name) for name, c in (("whole", ADAPTIVE), ("parts", parts))}
    assert found["parts"].values == pytest.approx(found["whole"].values, rel=1e-5)
    whole, halves = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    before = fresh(ADAPTIVE).generator.state_dict()["constant"]
    assert float((whole["module/generator/constant"] - before).abs().max()) > 1e-3
    for key, value in whole.items():
        torch.testing.assert_close(halves[key], value, rtol=1e-4, atol=1e-5, msg=key)


def test_parts_take_less_memory(discs: Path) -> None:
    source = PictureSource([discs], SIDE)
    whole, parts = (fresh(replace(ADAPTIVE, run=replace(ADAPTIVE.run, accumulate=n))) for n in (1, 2))
    # path lengths are drawn for half of the batch at once, whatever the parts
    assert _kept_by_steps(parts, source, 8) < 0.75 * _kept_by_steps(whole, source, 8)
    found = [estimate_memory(trainer, source) for trainer in (whole, parts)]
    assert found[0] is not None and found[1] is not None and found[1].needed(64) < 0.8 * found[0].needed(64)


LITE = EncoderTraining(
    encoder=EncoderSpec(kind="lite", input_size=64, units=(3, 2, 6, 5), widths=(24, 40, 112, 320), head_width=8),
    run=replace(INVERSION.run, batch=4),
    losses=EncoderLosses(lpips=0.0, id=0.0),
)


def test_what_is_computed_again_is_not_kept(discs: Path) -> None:
    spec = replace(fresh().generator.spec, resolution=64)
    source = PictureSource([discs], 64)
    kept, steps = {}, {}
    for again in (False, True):
        torch.manual_seed(0)
        config = replace(LITE, run=replace(LITE.run, recompute=again))
        trainer = EncoderTrainer(config, Generator(spec), CPU)
        kept[again] = _kept_by_steps(trainer, source, 4)
        torch.manual_seed(1)
        logs = trainer.step(source.batch(range(4), [False] * 4), 0)
        steps[again] = (logs, trainer.encoder.state_dict())
    assert kept[True] < 0.4 * kept[False]
    assert steps[True][0] == steps[False][0]
    for key, value in steps[True][1].items():
        torch.testing.assert_close(steps[False][1][key], value, rtol=0, atol=0)


def test_a_batch_that_cannot_be_shared_out_is_refused() -> None:
    with pytest.raises(UsageError, match="a batch of 8 pictures cannot be shared out evenly: 1 processes") as caught:
        runtime_of(CPU, replace(INVERSION.run, batch=8, accumulate=3))
    assert "multiple of 3" in caught.value.hint
    with pytest.raises(UsageError, match="groups of 4, and a batch of 8 in 4 shares does not divide"):
        fresh(replace(ADAPTIVE, run=replace(ADAPTIVE.run, accumulate=4)))
    with pytest.raises(UsageError, match=r"run\.recompute is for encoders"):
        replace(ADAPTIVE, run=replace(ADAPTIVE.run, recompute=True))
    offsets = replace(ENCODER, kind="e4e")
    losses = EncoderLosses(lpips=0.0, id=0.0, adversarial=0.1)
    with pytest.raises(UsageError, match="discriminator of codes takes a step for each part"):
        EncoderTraining(
            encoder=offsets, losses=losses, run=replace(INVERSION.run, accumulate=2),
            task=dataclasses.replace(INVERSION.task, method="e4e"),
        )  # fmt: skip


def test_several_processes_need_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingError, match="needs the package accelerate") as caught:
        runtime_of(CPU, INVERSION.run)
    assert "[train]" in caught.value.hint


def test_processes_that_cannot_join_do_not_train_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    alone = types.SimpleNamespace(device=CPU, process_index=0, num_processes=1)
    found = types.SimpleNamespace(Accelerator=lambda **told: alone)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", found)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="2 processes were started, and 1 train together on the device cpu"):
        runtime_of(CPU, INVERSION.run)


def test_compiled_networks_do_the_same(discs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the compiler's front alone: what it makes of the graph is torch's affair, and takes minutes."""
    compile_in_place = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compile_in_place(self, backend="aot_eager"))
    found = {}
    for compiled in (False, True):
        torch.manual_seed(0)
        trainer = EncoderTrainer(INVERSION, fresh().generator, CPU)
        if compiled:
            trainer.compile()
        torch.manual_seed(1)
        found[compiled] = trainer.step(PictureSource([discs], SIDE).batch(range(4), [False] * 4), 0)
        assert set(trainer.modules()["encoder"].state_dict()) == set(trainer.encoder.state_dict())
    assert found[True] == pytest.approx(found[False], rel=1e-4)


def test_one_process_decides_for_itself() -> None:
    runtime = Runtime(CPU, "float32")
    assert runtime.main and runtime.decide(True) and not runtime.decide(False)
    assert runtime.reduce({"l2": 1.5}) == {"l2": 1.5} and runtime.collect({3: "broken"}) == {3: "broken"}
    rows = torch.tensor(np.arange(3.0))
    assert torch.equal(runtime.gather(rows), rows) and torch.equal(runtime.mean(rows), rows)
