"""Training encoders for every kind of input: what is fed, what is to be drawn, who teaches, what cannot be trained."""

from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_runs
import torch
from tiny_runs import CPU, ENCODER, GENERATOR, INVERSION, RUN, SIDE, Z, disc
from torch import Tensor

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import EncoderSpec, n_styles_of
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.tasks.table import TRAINED
from pixel2style2pixel_cli.training.config import (
    Augmentation,
    EncoderLosses,
    EncoderTraining,
    TaskData,
    load_training,
    preset_names,
)
from pixel2style2pixel_cli.training.data import Batch, PictureSource, held_out_batches, training_batches
from pixel2style2pixel_cli.training.encoder import EncoderTrainer, check_size
from pixel2style2pixel_cli.training.inputs import make_inputs, show_inputs
from pixel2style2pixel_cli.weights.digest import tensor_digest
from pixel2style2pixel_cli.weights.write import weight_metadata

KINDS = tuple(INPUT_KINDS)
# Presets of inversion that are called after a method or a space.
METHODS = ("e4e-ffhq", "cycle-ffhq", "restyle-ffhq", "lite-w", "lite-e4e", "lite-cycle", "lite-restyle")
TAUGHT = EncoderLosses(l2=1.0, lpips=0.0, id=0.0, code=1.0)


def packed(pictures: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    return np.frombuffer(b"".join(pictures), np.uint8), np.cumsum([0, *map(len, pictures)])


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty discs with label maps, and the same discs in the middle of the picture as their frontal faces."""
    z = np.random.default_rng(3).standard_normal((20, Z)).astype(np.float32)
    centred = np.where(np.arange(Z) < 2, 0, z).astype(np.float32)
    pictures = [disc(vector) for vector in z]
    maps = [np.where(p[..., 1] == 200, 1, 0).astype(np.uint8) for p in pictures]
    arrays: dict[str, np.ndarray] = {}
    for name, encoded in (
        ("image", [encode_image(p, "png") for p in pictures]),
        ("mask", [png_of(m) for m in maps]),
        ("frontal", [encode_image(disc(vector), "png") for vector in centred]),
    ):
        arrays[f"{name}_blob"], arrays[f"{name}_off"] = packed(encoded)
    path = tmp_path_factory.mktemp("labelled") / "discs.npz"
    np.savez(path, **arrays)
    return path


def png_of(labels: np.ndarray) -> bytes:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(labels).save(stream, "PNG")
    return stream.getvalue()


def config_of(kind: str, target: str = "photo", **changes: Any) -> EncoderTraining:
    spec = dataclasses.replace(ENCODER, input_channels=INPUT_KINDS[kind].channels)
    return dataclasses.replace(
        INVERSION,
        encoder=spec,
        task=TaskData(kind=kind, target=target),
        **changes,  # type: ignore[arg-type]
    )


def source_of(path: Path, config: EncoderTraining) -> PictureSource:
    labels = "required" if config.task.kind == "labels" else "unused"
    return PictureSource([path], SIDE, labels=labels, frontal=config.task.target == "frontal")


def generator_of() -> Generator:
    torch.manual_seed(0)
    generator = Generator(GENERATOR)
    generator.latent_avg.copy_(torch.randn(GENERATOR.style_dim))
    return generator


def teacher_for(generator: Generator, seed: int = 9) -> Encoder:
    torch.manual_seed(seed)
    encoder = build_encoder(ENCODER, GENERATOR.n_styles, GENERATOR.style_dim)
    encoder.latent_avg.copy_(generator.latent_avg.expand(GENERATOR.n_styles, -1))
    return encoder.eval()


def trainer_of(config: EncoderTraining, seed: int = 1) -> EncoderTrainer:
    generator = generator_of()
    teacher = teacher_for(generator) if config.losses.code else None
    torch.manual_seed(seed)
    return EncoderTrainer(config, generator, CPU, teacher=teacher)


def batches(source: PictureSource, count: int) -> list[Batch]:
    return list(islice(training_batches(source, batch=4, seed=0, start=0, held_out=4, flip=True), count))


@pytest.mark.parametrize("name", preset_names("encoder"))
def test_every_preset_can_be_built(name: str) -> None:
    config = load_training(EncoderTraining, "encoder", name, {})
    assert name.split("-", 1)[1] in TRAINED or (name in METHODS and config.task.kind == "photo")
    pictures = 2 if config.task.method == "restyle" else 1  # what is drawn so far beside the photograph
    assert config.encoder.input_channels == pictures * INPUT_KINDS[config.task.kind].channels
    assert config.run.log_every % config.losses.draw_every == 0 or config.run.steps % config.losses.draw_every == 0
    with torch.device("meta"):
        for resolution in (128, 256, 1024):  # presets do not say for which generator
            build_encoder(config.encoder, n_styles_of(resolution), 512)


def test_every_task_has_a_published_preset_of_its_kind_of_input() -> None:
    from pixel2style2pixel_cli.tasks.table import options_of

    for task in TRAINED:
        assert load_training(EncoderTraining, "encoder", f"psp-{task}", {}).task.kind == options_of(task).kind


@pytest.mark.parametrize(
    ("kind", "target"),
    [*((kind, "photo") for kind in KINDS), ("photo", "frontal"), ("photo", "flips")],
)
def test_some_steps_lower_the_loss(labelled: Path, kind: str, target: str) -> None:
    config = config_of(kind, target)
    trainer, source = trainer_of(config), source_of(labelled, config)
    values = []
    for step, batch in enumerate(batches(source, 24)):
        torch.manual_seed(step)
        values.append(trainer.step(batch, step)["l2"])
    assert sum(values[-5:]) < 0.93 * sum(values[:5])
    found = trainer.validate(held_out_batches(source, batch=4, held_out=4))
    assert 0 < found["mse"] < found["mse_average_face"] * 1.5
    rows = trainer.samples(batches(source, 1)[0])
    assert [(len(row), row[0].shape) for row in rows] == [(4, (SIDE, SIDE, 3))] * 3


def test_what_each_kind_is_fed(labelled: Path) -> None:
    batch = batches(source_of(labelled, config_of("labels")), 1)[0]
    plain = Augmentation()
    fed = {}
    for kind in KINDS:
        torch.manual_seed(0)
        fed[kind] = make_inputs(kind, batch, SIDE, plain)
        assert fed[kind].shape == (4, INPUT_KINDS[kind].channels, SIDE, SIDE), kind
        assert show_inputs(fed[kind], kind, 16).shape == (4, 3, 16, 16)
    assert torch.equal(fed["photo"], batch.image)
    assert batch.labels is not None
    assert torch.equal(fed["labels"].argmax(dim=1), batch.labels.long()) and bool((fed["labels"].sum(1) == 1).all())
    assert 0 <= float(fed["sketch"].min()) < float(fed["sketch"].max()) <= 1
    hole = fed["masked"][:, 3:] > 0
    assert bool(hole.any()) and not bool(hole.all())
    known = ~hole.expand(-1, 3, -1, -1)
    torch.testing.assert_close(fed["masked"][:, :3][known], batch.image[known], atol=1e-6, rtol=0)
    assert float(fed["masked"][:, :3][~known].abs().max()) < 0.005
    torch.manual_seed(1)
    assert not torch.equal(make_inputs("masked", batch, SIDE, plain), fed["masked"])
    torch.manual_seed(0)
    assert torch.equal(make_inputs("masked", batch, SIDE, plain), fed["masked"])


def test_large_pictures_are_degraded_at_the_published_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from pixel2style2pixel_cli.inputs import lowres

    seen: list[tuple[int, int]] = []

    def degrade(picture: np.ndarray, factor: int) -> np.ndarray:
        seen.append(picture.shape[:2])
        return picture

    monkeypatch.setattr(lowres, "degrade", degrade)
    for side in (512, 64):
        make_inputs("lowres", Batch(torch.zeros(1, 3, side, side), None, torch.ones(1)), 32, Augmentation())
    assert seen == [(256, 256), (64, 64)]


def test_targets(labelled: Path) -> None:
    batch = batches(source_of(labelled, config_of("photo", "frontal")), 1)[0]
    assert batch.frontal is not None and not torch.equal(batch.frontal, batch.image)
    assert torch.equal(trainer_of(config_of("photo", "frontal"))._target(batch), batch.frontal)
    flipping, mirrored = trainer_of(config_of("photo", "flips")), []
    torch.manual_seed(0)
    for _ in range(10):
        for drawn, image in zip(flipping._target(batch), batch.image, strict=True):
            assert torch.equal(drawn, image) or torch.equal(drawn, image.flip(2))
            mirrored.append(not torch.equal(drawn, image))
    assert 8 < sum(mirrored) < 32


def test_a_teacher_gives_the_codes_of_the_target_and_drawing_is_done_now_and_then(labelled: Path) -> None:
    config = config_of("sketch", losses=dataclasses.replace(TAUGHT, draw_every=3))
    trainer = trainer_of(config)
    drawn: list[int] = []
    generator = trainer.generator
    generator.register_forward_pre_hook(lambda *_: drawn.append(1))
    assert trainer.teacher is not None
    before = {key: value.clone() for key, value in trainer.teacher.state_dict().items()}
    values = [trainer.step(batch, step) for step, batch in enumerate(batches(source_of(labelled, config), 6))]
    assert [v.keys() == {"code", "l2"} for v in values] == [False, False, True] * 2
    assert len(drawn) == 2
    assert all(torch.equal(value, before[key]) for key, value in trainer.teacher.state_dict().items())


def test_the_teachers_codes_are_learnt(labelled: Path) -> None:
    losses, rates = dataclasses.replace(TAUGHT, l2=0.0), dataclasses.replace(INVERSION.rates, encoder=0.01)
    config = config_of("labels", losses=losses, rates=rates)
    trainer = trainer_of(config)
    values = [trainer.step(batch, step)["code"] for step, batch in enumerate(batches(source_of(labelled, config), 40))]
    assert sum(values[-5:]) < 0.7 * sum(values[:5])


def test_a_pupil_that_copies_its_teacher_has_no_code_loss(labelled: Path) -> None:
    config = config_of("photo", losses=TAUGHT)
    trainer = trainer_of(config)
    assert trainer.teacher is not None
    trainer.encoder.load_state_dict(trainer.teacher.state_dict())
    encoder = trainer.encoder.eval()
    encoder.train = lambda mode=True: encoder  # type: ignore[method-assign]
    assert trainer.step(batches(source_of(labelled, config), 1)[0], 0)["code"] < 1e-8


@pytest.mark.parametrize(("kind", "target"), [("masked", "flips"), ("labels", "photo")])
def test_a_resumed_run_ends_the_same(labelled: Path, tmp_path: Path, kind: str, target: str) -> None:
    losses = dataclasses.replace(TAUGHT, draw_every=2)
    config = config_of(kind, target, losses=losses, run=dataclasses.replace(RUN, validate_every=2))

    def run(out: Path, stop: int | None = None, seed: int = 1) -> EncoderTrainer:
        trainer, step = trainer_of(config, seed), 0
        plain = trainer.step

        def watched(batch: Batch, number: int) -> dict[str, float]:
            if number == stop:
                raise KeyboardInterrupt
            return plain(batch, number)

        trainer.step = watched  # type: ignore[method-assign]
        source = source_of(labelled, config)
        tiny_runs.run_training(
            trainer, config.run, tiny_runs.to_json(config), source, out, seed=step, resume=True,
            on_event=tiny_runs.ignore_event,
        )  # fmt: skip
        return trainer

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", stop=4)
    resumed = run(tmp_path / "parts", seed=5)
    for mine, other in zip(resumed.modules().values(), whole.modules().values(), strict=True):
        assert all(torch.equal(value, other.state_dict()[key]) for key, value in mine.state_dict().items())
    ours, theirs = (tmp_path / name / "encoder.safetensors" for name in ("parts", "whole"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_channels_must_be_those_of_the_input() -> None:
    config = dataclasses.replace(INVERSION, task=TaskData(kind="labels"))
    with pytest.raises(UsageError, match="inputs of kind labels have 19 channels, the encoder takes 3") as caught:
        check_size(config, generator_of())
    assert caught.value.hint == "set encoder.input_channels to 19"
    check_size(config_of("labels"), generator_of())


@pytest.mark.parametrize(
    ("losses", "target", "message"),
    [
        ({"l2": 0.0}, "photo", "no loss teaches the encoder"),
        ({"l2": 1.0, "draw_every": 2}, "photo", "losses.draw_every leaves steps without a loss"),
        ({"l2": 1.0, "draw_every": 0}, "photo", "losses.draw_every is 0"),
        ({"l2": 1.0, "detail": 2.0}, "flips", "losses.detail goes by label maps, which do not fit targets of kind"),
        ({"l2": 1.0, "detail": 2.0}, "frontal", "losses.detail goes by label maps"),
    ],
)
def test_losses_that_cannot_work_are_refused(losses: dict[str, Any], target: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        config_of("photo", target, losses=EncoderLosses(**{"lpips": 0.0, "id": 0.0, **losses}))


def write_run(folder: Path, role: str, state: dict[str, Tensor], spec: Any) -> Path:
    """A run folder that has exported one network."""
    from safetensors.torch import save_file

    folder.mkdir()
    metadata = weight_metadata(role, dataclasses.asdict(spec), tensor_digest(state), "MIT", "0" * 64)
    save_file(state, folder / f"{role}.safetensors", metadata=metadata)
    return folder


@pytest.fixture
def start(labelled: Path, tmp_path: Path) -> Any:
    """``train encoder`` for a tiny generator and, where asked, with a tiny teacher of some channels."""
    generator = generator_of()
    written = write_run(tmp_path / "generator", "generator", generator.state_dict(), GENERATOR)
    sizes = [f"{k} = {list(v) if isinstance(v, tuple) else repr(v)}" for k, v in dataclasses.asdict(ENCODER).items()]
    runs = "\n[run]\nsteps = 2\nbatch = 4\nheld_out = 4\n[losses]\nlpips = 0.0\nid = 0.0\n"

    def call(task: str, *, data: Path = labelled, preset: str = "", teacher: int = 0, **sets: str) -> dict[str, Any]:
        (tmp_path / "preset.toml").write_text("[encoder]\n" + "\n".join(sizes) + runs + preset)
        name = None
        if teacher:
            spec = dataclasses.replace(ENCODER, input_channels=teacher)
            encoder = build_encoder(spec, GENERATOR.n_styles, GENERATOR.style_dim)
            state = encoder.state_dict()
            name = str(write_run(tmp_path / "teacher", "encoder", state, spec))
        return api.train_encoder(
            [data], tmp_path / "run", generator=str(written), task=task, teacher=name, device="cpu",
            preset=str(tmp_path / "preset.toml"), overrides={k.replace("__", "."): v for k, v in sets.items()},
        )  # fmt: skip

    return call


def test_a_run_of_a_task_exports_its_encoder(start: Any, tmp_path: Path) -> None:
    from pixel2style2pixel_cli.weights.header import read_weight_header

    sets = {"encoder__input_channels": "19", "task__kind": "labels", "losses__code": "1.0", "losses__draw_every": "2"}
    result = start("seg2face", teacher=3, **sets)
    assert result["step"] == 2 and result["code"] > 0 and result["l2"] > 0
    spec = read_weight_header(tmp_path / "run" / "encoder.safetensors").spec
    assert EncoderSpec(**{**spec, "units": tuple(spec["units"]), "widths": tuple(spec["widths"])}).input_channels == 19
    assert (tmp_path / "run" / "samples" / "0000002.png").is_file()


@pytest.mark.parametrize(
    ("task", "teacher", "sets", "message"),
    [
        ("sketch2face", 0, {}, "is for inputs of kind photo, the task has sketch"),
        ("sketch2face", 0, {"task__kind": "sketch"}, "inputs of kind sketch have 1 channels, the encoder takes 3"),
        ("invert", 0, {"losses__code": "1.0"}, "losses.code has a weight but --teacher is not given"),
        ("invert", 3, {}, "--teacher is given but losses.code is 0"),
        ("invert", 1, {"losses__code": "1.0"}, "reads 1 channels"),
        ("invert", 0, {"task__kind": "drawing"}, "task.kind is 'drawing', expected one of photo, sketch"),
        ("mix", 0, {}, "no training task 'mix'"),
    ],
)
def test_what_cannot_be_trained_is_named(
    start: Any, tmp_path: Path, task: str, teacher: int, sets: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        start(task, teacher=teacher, **sets)
    assert message in caught.value.message and caught.value.hint
    assert not (tmp_path / "run").exists()


def test_data_without_what_the_task_needs(start: Any, discs: Path) -> None:
    with pytest.raises(UsageError, match="no label maps in"):
        start("seg2face", data=discs, encoder__input_channels="19", task__kind="labels")
    with pytest.raises(UsageError, match="no frontal pictures in"):
        start("frontalize", data=discs, task__target="frontal")
