"""e4e and Cycle Encoding: when offsets open and close, what they add to the losses, runs that go on, what is stored."""

from __future__ import annotations

import dataclasses
import random
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_training_resume import assert_same, trace
from tiny_runs import CPU, ENCODER, GENERATOR, INVERSION, SIDE, train
from torch import Tensor

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.engine.loading import load_encoder_file, load_model
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import Event, Notice
from pixel2style2pixel_cli.networks.e4e import E4EEncoder
from pixel2style2pixel_cli.networks.lite import LITE_UNITS, LITE_WIDTHS
from pixel2style2pixel_cli.networks.specs import EncoderKind, EncoderSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.checkpoint import FILE
from pixel2style2pixel_cli.training.code_game import CodePool
from pixel2style2pixel_cli.training.config import EncoderLosses, EncoderRates, EncoderTraining, TaskData, load_training
from pixel2style2pixel_cli.training.data import Batch, PictureSource, training_batches
from pixel2style2pixel_cli.training.encoder import EncoderTrainer, without_offsets
from pixel2style2pixel_cli.training.offsets import CodeGame, Method, Progressive, Regressive, Schedule
from pixel2style2pixel_cli.training.tables import differing_keys, to_json
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.choose import choose_model

ROWS = GENERATOR.n_styles
LOSSES = EncoderLosses(lpips=0.0, id=0.0, delta=0.01, adversarial=0.1)
GAME = CodeGame(rate=0.01, r1_every=2, pool=6)
E4E = dataclasses.replace(
    INVERSION,
    encoder=dataclasses.replace(ENCODER, kind="e4e"),
    task=TaskData(method="e4e"),
    losses=LOSSES,
    progressive=Progressive(start=1, every=1),
    code_discriminator=GAME,
)
# All offsets open at once, then close two steps later, one at every step.
CYCLE = dataclasses.replace(
    E4E,
    task=TaskData(method="cycle"),
    progressive=Progressive(start=1, every=0),
    regressive=Regressive(start=2, every=1, close_from=3, close_every=1),
)


def trainer_of(config: EncoderTraining, seed: int = 1) -> EncoderTrainer:
    torch.manual_seed(0)
    generator = Generator(GENERATOR)
    generator.latent_avg.copy_(torch.randn(GENERATOR.style_dim))
    torch.manual_seed(seed)
    return EncoderTrainer(config, generator, CPU)


def batches(discs: Path, count: int) -> list[Batch]:
    source = PictureSource([discs], SIDE)
    return list(islice(training_batches(source, batch=4, seed=0, start=0, held_out=4, flip=True), count))


def stage_of(trainer: EncoderTrainer) -> int:
    assert isinstance(trainer.encoder, E4EEncoder) and isinstance(trainer.average, E4EEncoder)
    assert trainer.offsets is not None and trainer.encoder.stage == trainer.average.stage == trainer.offsets.stage
    return trainer.encoder.stage


@pytest.mark.parametrize("rows", [8, 12, 14, 18])
def test_the_published_way_to_w_plus_and_back_for_any_number_of_rows(rows: int) -> None:
    schedule = Schedule(n_styles=rows, progressive=Progressive(), regressive=Regressive())
    opened = [20_000 + 2_000 * i for i in range(rows - 1)]
    closed = [650_000 + 4_000 * i for i in range(rows - 1)]
    for i in range(rows - 1):
        assert (schedule.stage(opened[i] - 1), schedule.stage(opened[i])) == (i, i + 1)
        assert (schedule.stage(closed[i] - 1), schedule.stage(closed[i])) == (rows - 1 - i, rows - 2 - i)
    assert schedule.stage(0) == schedule.stage(10**9) == 0 and schedule.settled == closed[-1]
    if rows == 18:
        assert schedule.settled == 714_000
    alone = Schedule(n_styles=rows, progressive=Progressive())
    assert alone.stage(10**9) == rows - 1 and alone.settled == opened[-1] and alone.factors(10**9) == {}


def test_the_published_weights_on_the_way_back() -> None:
    schedule = Schedule(n_styles=18, progressive=Progressive(), regressive=Regressive())
    assert schedule.factors(500_004) == {"delta": 1.0, "adversarial": 1.0}
    assert schedule.factors(500_005) == {"delta": 1.2, "adversarial": 0.5}
    assert schedule.factors(649_999)["delta"] == schedule.factors(749_999)["delta"] == pytest.approx(1.2**15)
    assert 2e-4 * schedule.factors(700_000)["delta"] == pytest.approx(3.08e-3, rel=1e-3)
    assert schedule.factors(749_999)["adversarial"] == pytest.approx(0.5**25)
    assert schedule.factors(10**12)["adversarial"] == 0.0


def test_offsets_open_and_close_while_it_trains(discs: Path) -> None:
    data = batches(discs, 12)
    for config, stages in ((E4E, [0, 1, 2, 3, 4, 5]), (CYCLE, [0, 7, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0])):
        trainer = trainer_of(config)
        found = []
        for step in range(len(stages)):
            values = trainer.step(data[step], step)
            assert values.keys() == {"delta", "adversarial", "code_discriminator", "l2"}
            found.append(stage_of(trainer))
            assert (values["delta"] == 0) == (found[-1] == 0)
        assert found == stages


def test_closed_heads_do_not_move_and_the_generator_never(discs: Path) -> None:
    trainer = trainer_of(dataclasses.replace(E4E, progressive=Progressive(start=3, every=100)))
    before = {key: value.clone() for key, value in trainer.encoder.state_dict().items()}
    frozen = {key: value.clone() for key, value in trainer.generator.state_dict().items()}

    def moved() -> set[str]:
        after = trainer.encoder.state_dict()
        return {
            key.split(".")[1] for key in before if key.startswith("heads.") and not torch.equal(before[key], after[key])
        }

    data = batches(discs, 5)
    for step in range(3):
        trainer.step(data[step], step)
    assert moved() == {"0"}
    for step in (3, 4):
        trainer.step(data[step], step)
    assert moved() == {"0", "1"}
    assert all(torch.equal(value, frozen[key]) for key, value in trainer.generator.state_dict().items())


def test_a_strong_delta_loss_draws_the_rows_together(discs: Path) -> None:
    spreads = []
    for weight in (0.0, 30.0):
        losses = dataclasses.replace(LOSSES, delta=weight, adversarial=0.0)
        trainer = trainer_of(dataclasses.replace(E4E, losses=losses, progressive=Progressive(start=0, every=0)))
        data = batches(discs, 24)
        for step, batch in enumerate(data):
            assert "code_discriminator" not in trainer.step(batch, step)
        with torch.no_grad():
            codes = trainer.encoder.eval()(data[0].image)
        spreads.append(float((codes - codes[:, :1]).norm()))
    assert spreads[1] < 0.7 * spreads[0]


def test_the_discriminator_learns_to_tell_codes_apart(discs: Path) -> None:
    trainer = trainer_of(dataclasses.replace(E4E, rates=EncoderRates(encoder=0.0)))
    data = batches(discs, 40)
    losses = [trainer.step(batch, step)["code_discriminator"] for step, batch in enumerate(data)]
    assert sum(losses[-8:]) < 0.9 * sum(losses[:8])


def test_the_pool_gives_back_what_it_took() -> None:
    pool, chance = CodePool(4), random.Random(0)
    rows = [torch.full((3,), float(i)) for i in range(40)]
    given = torch.cat([pool.exchange(rows[i : i + 2], chance) for i in range(0, 40, 2)])
    assert torch.equal(given[:4], torch.stack(rows[:4]))  # while it fills
    left = pool.state(rows[0])
    assert len(left) == 4
    seen = sorted(float(row[0]) for row in torch.cat([given[4:], left]))
    # The first four were given back when they came, and once more when another took their place.
    assert seen == [float(i) for i in range(40)]
    other = CodePool(4)
    other.load_state(left, rows[0])
    assert torch.equal(other.state(rows[0]), left)
    assert torch.equal(CodePool(0).exchange(rows[:2], chance), torch.stack(rows[:2]))
    several = CodePool(2).exchange([torch.stack(rows[:5])], chance)
    assert several.shape == (1, 3) and float(several[0, 0]) in range(5)


@pytest.mark.parametrize("config", [E4E, CYCLE], ids=["e4e", "cycle"])
@pytest.mark.parametrize("until", [1, 4])
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(
    config: EncoderTraining, until: int, discs: Path, tmp_path: Path
) -> None:
    """Stage, discriminator, its optimiser and both pools come from the checkpoint."""
    config = dataclasses.replace(config, run=dataclasses.replace(config.run, checkpoint_every=1))
    whole = trainer_of(config)
    train(whole, config, discs, tmp_path / "whole")
    stopped = trainer_of(config)
    step = stopped.step

    def interrupted(batch: Any, number: int) -> dict[str, float]:
        if number == until:
            raise KeyboardInterrupt
        return step(batch, number)

    stopped.step = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        train(stopped, config, discs, tmp_path / "stopped")
    kept = load_file(tmp_path / "stopped" / FILE)
    assert int(kept["extra/stage"]) == config.schedule(ROWS).stage(until - 1)  # type: ignore[union-attr]
    assert len(kept["extra/pool_fake"]) == min(GAME.pool, 4 * until) == len(kept["extra/pool_real"])
    assert any(key.startswith("optimiser/code_discriminator/") for key in kept)
    resumed = trainer_of(config, seed=7)
    train(resumed, config, discs, tmp_path / "stopped")
    assert_same(resumed, whole)
    assert trace(tmp_path / "stopped") == trace(tmp_path / "whole")
    paths = [tmp_path / name / "encoder.safetensors" for name in ("stopped", "whole")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_finished_run_exports_the_stage_of_its_checkpoint(discs: Path, tmp_path: Path) -> None:
    trainer = trainer_of(E4E)
    train(trainer, E4E, discs, tmp_path)
    (path,) = (tmp_path / "encoder.safetensors",)
    assert stage_of(trainer) == 5 and read_weight_header(path).encoder_spec().stage == 5
    path.unlink()
    train(trainer_of(E4E, seed=3), E4E, discs, tmp_path)
    spec = read_weight_header(path).encoder_spec()
    assert spec.stage == 5
    codes = load_encoder_file(path, spec, trainer.generator.eval())(torch.rand(1, 3, SIDE, SIDE))
    same = [bool(torch.equal(codes[:, row], codes[:, 0])) for row in range(ROWS)]
    assert same == [row in (0, 6, 7) for row in range(ROWS)]


def test_all_open_is_stored_without_a_number(discs: Path, tmp_path: Path) -> None:
    trainer = trainer_of(dataclasses.replace(E4E, progressive=Progressive(start=0, every=0)))
    trainer.step(batches(discs, 1)[0], 0)
    (path,) = trainer.export(tmp_path)
    assert stage_of(trainer) == ROWS - 1 and read_weight_header(path).encoder_spec() == E4E.encoder


def test_a_cycle_run_with_kept_parts_exports_every_number_once(tmp_path: Path) -> None:
    """At stage 0 more may be shared than was kept: the closed heads are the run's own all the same."""
    torch.manual_seed(0)
    generator = Generator(dataclasses.replace(GENERATOR, resolution=64)).eval()
    lite = EncoderSpec(kind="lite_e4e", input_size=64, units=LITE_UNITS, widths=LITE_WIDTHS, head_width=8)
    config = dataclasses.replace(CYCLE, encoder=lite, task=TaskData(method="cycle", heads="kept"))
    trainer = EncoderTrainer(config, generator, CPU)
    assert trainer.offsets is not None
    trainer._open(trainer.offsets.begin(100))
    path, heads = trainer.export(tmp_path)
    spec = read_weight_header(path).encoder_spec()
    assert spec.stage == 0 and not load_file(path).keys() & load_file(heads).keys()
    loaded = load_encoder_file(path, spec, generator, heads=heads).state_dict()
    wanted = trainer.average.state_dict()  # type: ignore[union-attr]
    assert all(torch.equal(value, wanted[key].half().float()) for key, value in loaded.items())


def run_of(kind: EncoderKind, discs: Path, out: Path) -> EncoderTrainer:
    config = dataclasses.replace(INVERSION, encoder=dataclasses.replace(ENCODER, kind=kind))
    trainer = trainer_of(config)
    train(trainer, config, discs, out)
    return trainer


def test_offsets_begin_at_nothing_after_an_encoder_of_rows(discs: Path, tmp_path: Path) -> None:
    before = run_of("psp", discs, tmp_path)
    trainer = trainer_of(E4E)
    trainer.take_over(tmp_path / FILE)
    image = batches(discs, 1)[0].image
    with torch.no_grad():
        wanted = before.average(image)  # type: ignore[misc]
        for stage in (0, ROWS - 1):
            trainer._open(stage)
            for encoder in (trainer.encoder.eval(), trainer.average):
                codes: Tensor = encoder(image)  # type: ignore[misc]
                torch.testing.assert_close(codes, wanted[:, :1].expand_as(codes))
    trainer.step(batches(discs, 1)[0], 5)
    assert trainer.encoder(image)[:, 1].sub(trainer.encoder(image)[:, 0]).abs().max() > 0  # and then they move
    own = without_offsets({"heads.0.linear.weight": torch.ones(2, 2), "heads.11.7.weight": torch.ones(2, 2)})
    assert bool(own["heads.0.linear.weight"].all()) and not bool(own["heads.11.7.weight"].any())


def test_offsets_go_on_from_offsets_and_rows_do_not(discs: Path, tmp_path: Path) -> None:
    before = run_of("e4e", discs, tmp_path)
    trainer = trainer_of(E4E)
    trainer.take_over(tmp_path / FILE)
    state = before.average.state_dict()  # type: ignore[union-attr]
    assert all(torch.equal(value, state[key]) for key, value in trainer.encoder.state_dict().items())
    with pytest.raises(UsageError, match="writes offsets from its first row, and one of kind psp whole rows"):
        trainer_of(INVERSION).take_over(tmp_path / FILE)


PRESET = """
[task]
method = "{method}"
[encoder]
kind = "e4e"
input_size = 32
units = [1, 1, 1, 1]
widths = [4, 8, 8, 16]
head_width = 8
[run]
steps = 4
batch = 2
held_out = 4
[losses]
lpips = 0.0
id = 0.0
delta = 0.01
adversarial = 0.1
[progressive]
start = 0
every = 0
"""
BACK = "[regressive]\nstart = 1\nevery = 1\nclose_from = 2\nclose_every = 0\n"


@pytest.fixture
def zoo(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    return tiny_zoo


def trained(discs: Path, out: Path, kind: Method, text: str, **options: Any) -> list[Event]:
    (out.parent / "preset.toml").write_text(text.format(method=kind))
    events: list[Event] = []
    api.train_encoder(
        [discs], out, generator="tiny-generator", preset=str(out.parent / "preset.toml"), device="cpu",
        on_event=events.append, **options,
    )  # fmt: skip
    return events


def test_a_cycle_run_ends_in_w_and_its_card_says_so(zoo: Path, discs: Path, tmp_path: Path) -> None:
    events = trained(discs, tmp_path / "run", "cycle", PRESET + BACK, method="cycle")
    assert Notice(message="the run ends in W") in events
    card = load_card(tmp_path / "run")
    assert card.encoder is not None and card.encoder.stage == 0 and card.title.startswith("Cycle Encoding's encoder")
    model = load_model(choose_model("invert", str(tmp_path / "run")), CPU, torch.float32)
    codes = model.encoder(torch.rand(1, 3, 32, 32))
    assert torch.equal(codes, codes[:, :1].expand_as(codes))
    events = trained(discs, tmp_path / "short", "cycle", PRESET + BACK, method="cycle", steps=2)
    late = "the run ends in W+, 7 of 7 offsets open; the schedule ends at step 2, the run at 2"
    assert Notice(message=late, level="warning") in events


def test_a_run_starts_from_a_model_by_name(zoo: Path, discs: Path, tmp_path: Path) -> None:
    sizes = "widths = [8, 16, 24, 32]\nhead_width = 16"
    text = PRESET.replace("widths = [4, 8, 8, 16]\nhead_width = 8", sizes)
    frozen = text + "[rates]\nencoder = 0.0\n"
    events = trained(discs, tmp_path / "run", "e4e", frozen, start="tiny-invert")
    assert Notice(message="encoder starts from tiny-invert") in events
    lent = load_file(zoo / "tiny-invert" / "encoder.safetensors")
    found = load_file(tmp_path / "run" / "encoder.safetensors")
    assert torch.equal(found["latent_avg"], lent["latent_avg"].half())
    assert torch.equal(found["heads.0.linear.weight"], lent["heads.0.linear.weight"].half())
    assert not bool(found["heads.1.linear.weight"].any())
    with pytest.raises(UsageError, match="no checkpoint in tiny-invrt"):
        trained(discs, tmp_path / "other", "e4e", text, start="tiny-invrt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "e4e", "preset": "psp-invert"}, "psp-invert is for the method psp, --method says e4e"),
        ({"method": "psp", "preset": "cycle-ffhq"}, "cycle-ffhq is for the method cycle, --method says psp"),
        ({"method": "cycle", "task": "superres"}, "there is no preset of cycle for superres"),
        ({"method": "restile"}, "method is 'restile'"),
    ],
)
def test_a_method_that_does_not_fit_is_refused(
    zoo: Path, discs: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        api.train_encoder([discs], tmp_path / "run", generator="tiny-generator", device="cpu", **options)
    assert message in caught.value.message and caught.value.hint
    assert not (tmp_path / "run").exists()


OPEN = {"progressive": Progressive(), "task": TaskData(method="e4e")}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EncoderTraining(progressive=Progressive()), r"psp has no use for \[progressive\]"),
        (lambda: EncoderTraining(losses=EncoderLosses(delta=1.0)), r"psp has no use for losses\.delta"),
        (lambda: EncoderTraining(losses=EncoderLosses(adversarial=1.0)), r"psp has no use for losses\.adversarial"),
        (lambda: dataclasses.replace(E4E, regressive=Regressive()), r"e4e has no use for \[regressive\]"),
        (lambda: dataclasses.replace(E4E, encoder=ENCODER), "an encoder of kind psp has none"),
        (
            lambda: dataclasses.replace(E4E, encoder=dataclasses.replace(E4E.encoder, stage=0)),
            "encoder.stage is 0, and the method e4e sets it",
        ),
        (lambda: Progressive(start=-1), r"progressive\.start is -1"),
        (lambda: Regressive(start=9, close_from=8), r"regressive\.close_from is 8, expected 9 or more"),
        (lambda: Regressive(every=0), r"regressive\.every is 0"),
        (lambda: Regressive(adversarial_factor=1.5), r"regressive\.adversarial_factor is 1\.5, expected 0 to 1"),
        (lambda: Regressive(delta_factor=100.0), "is applied 15 times, to more than any weight"),
        (lambda: Regressive(delta_factor=float("nan")), r"regressive\.delta_factor is nan"),
        (lambda: CodeGame(pool=-1), r"code_discriminator\.pool is -1"),
        (lambda: CodeGame(r1_every=0), r"code_discriminator\.r1_every is 0"),
        (lambda: EncoderLosses(delta=-1.0), r"losses\.delta is -1"),
        (lambda: EncoderSpec(stage=0), "of kind psp are no offsets, so it has no stage 0"),
        (lambda: EncoderSpec(kind="e4e", stage=-2), "encoder stage is -2, expected -1"),
        (
            lambda: EncoderSpec(kind="e4e", stage=9).open_rows(8),
            "encoder stage is 9, and a code of this generator has 8",
        ),
    ],
)
def test_nonsense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_runs_from_before_there_were_methods_can_go_on() -> None:
    now = to_json(INVERSION)
    older = now.replace('"method": "psp", ', "").replace(', "stage": -1', "")
    older = older.replace('"delta": 0.0, ', "").replace('"adversarial": 0.0, ', "")
    assert "method" not in older and "stage" not in older and "adversarial" not in older
    assert differing_keys(older, now) == []
    assert "task.method" in differing_keys(older, to_json(E4E))


def test_the_published_presets_have_the_published_settings() -> None:
    for name in ("e4e-ffhq", "cycle-ffhq"):
        config = load_training(EncoderTraining, "encoder", name, {})
        assert config.progressive == Progressive() and config.code_discriminator == CodeGame()
        weights = {"l2": 1.0, "lpips": 0.8, "id": 0.1, "delta": 2e-4, "adversarial": 0.1}
        assert {key: getattr(config.losses, key) for key in weights} == weights
    assert config.regressive == Regressive()
