"""``train recogniser``: who is held out, what is learnt, what the finished network is good for, and bad data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tiny_runs import write_shard

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.engine.recognisers import load_recogniser
from pixel2style2pixel_cli.errors import DivergedError, IntegrityError, MissingError, UsageError
from pixel2style2pixel_cli.events import Event, Notice
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.networks.specs import RecogniserSpec
from pixel2style2pixel_cli.training.config import load_training, preset_names
from pixel2style2pixel_cli.training.people import PeopleSource
from pixel2style2pixel_cli.training.recogniser_config import RecogniserTraining
from pixel2style2pixel_cli.training.tables import from_table, to_json
from pixel2style2pixel_cli.zoo.cards import load_card

SETTINGS = """
[recogniser]
kind = "irse"
input_size = 32
embedding = 8
units = [1, 1, 1, 1]
widths = [8, 8, 8, 16]
box = [0, 256, 0, 256]
[margin]
scale = 16.0
margin = 0.2
[people]
held_out = 6
[run]
steps = 6
batch = 8
log_every = 1
checkpoint_every = 2
sample_every = 100
validate_every = 100
[rates]
warm_up = 0
recogniser = 0.003
ema_images = 40.0
"""


def portrait(person: int, view: int, side: int = 32) -> np.ndarray:
    """A person is the colour of the middle and how high that is; the ground, brightness and grain are the view's."""
    draws, change = np.random.default_rng([7, person]), np.random.default_rng([8, person, view])
    picture = np.empty((side, side, 3))
    picture[:] = change.integers(20, 230, 3)
    reach = int(draws.integers(4, 12))
    picture[16 - reach : 16 + reach, 8:24] = draws.integers(20, 230, 3) + change.integers(-25, 26)
    picture += change.normal(0, 4, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


def write_people(folder: Path, persons: int, views: int = 5) -> Path:
    """A folder with one sub-folder a person."""
    for person in range(persons):
        (folder / f"p{person:02d}").mkdir(parents=True, exist_ok=True)
        for view in range(views):
            (folder / f"p{person:02d}" / f"{view}.png").write_bytes(encode_image(portrait(person, view), "png"))
    return folder


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("people"), 24)


@pytest.fixture
def preset(tmp_path: Path) -> str:
    (tmp_path / "tiny.toml").write_text(SETTINGS)
    return str(tmp_path / "tiny.toml")


def train(people: Path, out: Path, preset: str, **options: Any) -> dict[str, Any]:
    return api.train_recogniser([people], out, preset=preset, device="cpu", **options)


@pytest.mark.parametrize("name", preset_names("recogniser"))
def test_presets_load(name: str) -> None:
    config = load_training(RecogniserTraining, "recogniser", name, {})
    assert from_table(RecogniserTraining, json.loads(to_json(config))) == config
    assert config.recogniser.picture_size in (85, 128, 153)


def test_persons_that_are_held_out_are_never_trained_on(people: Path) -> None:
    source = PeopleSource([people], 32, held_out=6)
    assert (source.trained, source.held_out_pictures, len(source)) == (18, 30, 120)
    batch = source.batch(range(len(source)), [False] * len(source))
    assert batch.person is not None and batch.person.max() == 23
    trained, others = batch.person[:90], batch.person[90:]
    assert int(trained.max()) == 17 and int(others.min()) == 18
    assert len(set(source.people_of[:90]) & set(source.people_of[90:])) == 0


def test_more_pictures_of_the_same_persons_hold_out_the_same_ones(people: Path, tmp_path: Path) -> None:
    more = write_people(tmp_path / "more", 24, views=7)
    before, after = (PeopleSource([folder], 32, held_out=6) for folder in (people, more))
    assert set(before.people_of[-30:]) == set(after.people_of[-42:])
    both = PeopleSource([people, more], 32, held_out=6)
    assert both.trained == 18 and len(both) == 288, "a name is one person in all folders"


def test_shards_say_whom_they_show(tmp_path: Path) -> None:
    pictures = [encode_image(portrait(i // 4, i % 4), "png") for i in range(32)]
    blob, offsets = np.frombuffer(b"".join(pictures), np.uint8), np.cumsum([0, *map(len, pictures)])
    told = {"image_blob": blob, "image_off": offsets}
    np.savez(tmp_path / "a.npz", identity=np.arange(32) // 4 + 500, **told)
    source = PeopleSource([tmp_path / "a.npz"], 32, held_out=2)
    assert (source.trained, len(source)) == (6, 32) and set(source.people_of) == {str(500 + i) for i in range(8)}
    before = source.fingerprint
    np.savez(tmp_path / "a.npz", identity=np.arange(32) // 8 + 500, **told)
    assert PeopleSource([tmp_path / "a.npz"], 32, held_out=2).fingerprint != before
    write_shard(tmp_path / "discs.npz", 6)
    with pytest.raises(UsageError, match="show nobody in particular") as caught:
        PeopleSource([tmp_path / "discs.npz"], 32, held_out=0)
    assert "one sub-folder a person" in caught.value.hint and "identity" in caught.value.hint


def test_a_picture_that_cannot_be_read_does_not_become_another_person(people: Path, tmp_path: Path) -> None:
    folder = write_people(tmp_path / "people", 8)
    (folder / "p03" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    source = PeopleSource([folder], 32, held_out=2)
    index = [entry.key for entry in source._entries].index("p03/0.png")
    batch = source.batch([index], [False])
    neighbour = source.batch([index - 1], [False])
    assert batch.person is not None and neighbour.person is not None
    assert torch.equal(batch.image, neighbour.image) and int(batch.person) == int(neighbour.person)
    count = sum(len(batch.image) for batch in PeopleSource([folder], 32, held_out=6).sound_batches(4))
    assert count in (29, 30) and source.left_out == 1


def test_pictures_of_nobody_and_persons_with_one_picture_are_left_out(tmp_path: Path) -> None:
    folder = write_people(tmp_path / "people", 8)
    (folder / "loose.png").write_bytes(encode_image(portrait(50, 0), "png"))
    (folder / "lonely").mkdir()
    (folder / "lonely" / "1.png").write_bytes(encode_image(portrait(51, 0), "png"))
    source = PeopleSource([folder], 32, held_out=2)
    news = " ".join(source.take_news())
    assert len(source) == 40 and "nobody in particular: 1 pictures" in news
    assert "persons with a single picture: 1 (lonely)" in news
    with pytest.raises(UsageError, match="8 persons with 2 pictures or more, 7 of them held out: too few") as caught:
        PeopleSource([folder], 32, held_out=7)
    assert "people.held_out to 6 or less" in caught.value.hint


def test_what_is_learnt_tells_strangers_apart(people: Path, tmp_path: Path, preset: str) -> None:
    events: list[Event] = []
    before = train(
        people, tmp_path / "none", preset, overrides={"rates.recogniser": "0", "rates.centres": "0"}, steps=1
    )
    found = train(people, tmp_path / "run", preset, steps=120, on_event=events.append)
    assert (found["step"], found["persons"], found["persons_held_out"]) == (120, 18, 6)
    key = "equal_error_rate"
    assert found[key] < 0.22 < 0.3 < before[key], "what persons differ in was learnt, on some that were never seen"
    record = json.loads((tmp_path / "run" / "verification.json").read_text())
    assert record["step"] == 120 and record["persons"] == 6 and record["pictures"] == 30
    assert round(record["equal_error"], 4) == found[key] and len(record["curve"]) > 100
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["held_out/equal_error_rate"] == found[key] and "margin" in log[0] and "right" in log[0]
    network, _ = load_recogniser(str(tmp_path / "run"))
    assert network.spec == RecogniserSpec(
        input_size=32, embedding=8, units=(1, 1, 1, 1), widths=(8, 8, 8, 16), box=(0, 256, 0, 256)
    )
    assert (tmp_path / "run" / "samples" / "0000120.png").is_file()


def test_a_run_that_was_stopped_ends_like_one_that_was_not(people: Path, tmp_path: Path, preset: str) -> None:
    whole = train(people, tmp_path / "whole", preset)
    train(people, tmp_path / "parts", preset, minutes=0)
    parts = train(people, tmp_path / "parts", preset)
    assert whole == {**parts, "files": whole["files"]}
    files = [load_file(tmp_path / name / "recogniser.safetensors") for name in ("whole", "parts")]
    assert all(torch.equal(value, files[1][key]) for key, value in files[0].items())
    with pytest.raises(UsageError, match=r"has another margin\.scale"):
        train(people, tmp_path / "parts", preset, overrides={"margin.scale": "10"})
    started = train(people, tmp_path / "next", preset, start=tmp_path / "whole", steps=1)
    assert started["step"] == 1


def test_check_says_what_a_run_would_take(people: Path, tmp_path: Path, preset: str) -> None:
    found = train(people, tmp_path / "run", preset, check=True)
    assert (found["persons"], found["persons_held_out"], found["pictures"]) == (18, 6, 120)
    assert found["parameters"].keys() == {"recogniser", "recogniser_average", "centres"}
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["samples"]


def test_few_persons_hold_out_fewer(tmp_path: Path, preset: str) -> None:
    folder, events = write_people(tmp_path / "people", 9), list[Event]()
    found = train(folder, tmp_path / "run", preset, on_event=events.append, steps=1)
    assert (found["persons"], found["persons_held_out"]) == (7, 2)
    told = [event.message for event in events if isinstance(event, Notice)]
    assert "2 of 9 persons are held out, not the 6 of the preset" in told


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"run.held_out": "5"}, "run.held_out follows from the persons"),
        ({"people.held_out": "1"}, "people.held_out is 1, expected 2 or more"),
        ({"margin.margin": "-0.1"}, "margin.margin is -0.1, expected 0 to 1.5"),
        ({"rates.recogniser": "-1"}, "rates.recogniser is -1"),
        ({"rates.recogniser": "nan"}, "rates.recogniser is nan, expected a finite number"),
        ({"recogniser.kind": "big"}, "unknown recogniser kind 'big'"),
        ({"recogniser.input_size": "50"}, "recogniser input size is 50, expected a multiple of 16"),
        ({"recogniser.box": "[0, 100, 0, 90]"}, "recogniser box is .*, expected a square"),
        ({"recogniser.kind": "lite"}, "a recogniser of kind lite has Lite0's trunk"),
        ({"people.held_out": "23"}, "24 persons with 2 pictures or more, 23 of them held out: too few"),
        ({"run.batch": "91"}, "not enough for a batch of 91"),
        ({"encoder.kind": "psp"}, "unknown key encoder"),
    ],
)
def test_impossible_settings_are_refused(
    people: Path, tmp_path: Path, preset: str, overrides: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        train(people, tmp_path / "run", preset, overrides=overrides)
    assert not (tmp_path / "run").exists()


def test_pictures_of_any_kind_and_size_are_brought_to_one(tmp_path: Path, preset: str) -> None:
    folder = write_people(tmp_path / "people", 24)
    for person, (mode, side, suffix) in enumerate(
        (("L", 40, "jpg"), ("RGBA", 90, "png"), ("P", 32, "gif"), ("1", 64, "bmp"))
    ):
        Image.fromarray(portrait(person, 9, side)).convert(mode).save(folder / f"p{person:02d}" / f"odd.{suffix}")
    Image.new("RGB", (40, 30)).save(folder / "p05" / "wide.png")
    events: list[Event] = []
    found = train(folder, tmp_path / "run", preset, check=True, on_event=events.append)
    assert (found["pictures"], found["left_out"]) == (125, 1)
    told = [event.message for event in events if isinstance(event, Notice)]
    assert any("wide.png is 40x30, training pictures are square" in message for message in told)


def test_other_persons_are_other_data(tmp_path: Path, preset: str) -> None:
    folder = write_people(tmp_path / "people", 24)
    train(folder, tmp_path / "run", preset, minutes=0)
    (folder / "p07").rename(folder / "someone")
    with pytest.raises(
        UsageError, match=r"the data of the run in .* have changed: files have other names or lengths now"
    ):
        train(folder, tmp_path / "run", preset)


def test_a_training_that_diverges_names_its_loss(people: Path, tmp_path: Path, preset: str) -> None:
    with pytest.raises(DivergedError, match=r"has diverged at step .*(margin|the weights of)") as caught:
        train(people, tmp_path / "run", preset, overrides={"rates.recogniser": "1e11"}, steps=60)
    assert caught.value.exit_code == 3 and not (tmp_path / "run" / "recogniser.safetensors").exists()


def test_what_other_processes_found_out_is_told(people: Path) -> None:
    source = PeopleSource([people], 32, held_out=6)
    source.learn_of_broken({3: "p01/3.png is cut short", 9: "p02/1.png is no picture"})
    source.learn_of_broken({3: "p01/3.png is cut short"})
    assert source.left_out == 2 and len(source.take_news()) == 2 and source.broken[3] == "p01/3.png is cut short"
    assert not source.can_be_read(3)


def test_presets_of_other_trainings_are_named(people: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mini-invert is a preset of train encoder, not of train recogniser"):
        train(people, tmp_path / "run", "mini-invert")


ENCODER = """
[encoder]
input_size = 32
units = [1, 1, 1, 1]
widths = [8, 8, 8, 16]
head_width = 8
[run]
steps = 2
batch = 4
log_every = 1
held_out = 4
[losses]
lpips = 0.0
id = 0.1
"""


def test_the_identity_loss_looks_through_it(
    people: Path, discs: Path, tmp_path: Path, preset: str, tiny_zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    for name, seed in (("faces", 0), ("others", 1)):
        train(people, tmp_path / name, preset, steps=1, seed=seed)
    (tmp_path / "encoder.toml").write_text(ENCODER)

    def encoder(out: str, **options: Any) -> dict[str, Any]:
        settings = {"preset": str(tmp_path / "encoder.toml"), "generator": "tiny-generator", "device": "cpu"}
        return api.train_encoder([discs], tmp_path / out, **settings, **options)

    found = encoder("run", recogniser=str(tmp_path / "faces"))
    assert found["step"] == 2 and found["id"] > 0
    moved = tmp_path / "elsewhere.safetensors"
    moved.write_bytes((tmp_path / "faces" / "recogniser.safetensors").read_bytes())
    assert encoder("run", recogniser=str(moved), resume=True)["step"] == 2, "the same network in another place"
    with pytest.raises(UsageError, match=r"has another losses\.recogniser"):
        encoder("run", recogniser=str(tmp_path / "others"), steps=2)
    with pytest.raises(MissingError, match="ArcFace") as missing:
        encoder("other")
    assert "--recogniser RUN" in missing.value.hint
    with pytest.raises(UsageError, match=r"a recogniser is named, but losses\.id is 0"):
        encoder("other", recogniser=str(moved), overrides={"losses.id": "0"})
    with pytest.raises(UsageError, match="tiny-generator is no face recogniser"):
        encoder("other", recogniser="tiny-generator")
    with pytest.raises(UsageError, match="no weight file"):
        encoder("other", recogniser=str(tmp_path / "none.safetensors"))
    with pytest.raises(IntegrityError, match="holds weights of kind encoder, expected recogniser"):
        encoder("other", recogniser=str(tmp_path / "run" / "encoder.safetensors"))
    moved.write_bytes(moved.read_bytes()[:-100])
    with pytest.raises((IntegrityError, UsageError), match=r"cut short|cannot be read"):
        encoder("other", recogniser=str(moved))
    assert not (tmp_path / "other").exists()


def test_a_finished_run_is_a_model_that_draws_nothing(people: Path, tmp_path: Path, preset: str) -> None:
    train(people, tmp_path / "faces", preset, steps=1)
    card = load_card(tmp_path / "faces")
    assert card.tasks == () and card.recogniser is not None and card.roles == ("recogniser",)
    shown = api.show_model(str(tmp_path / "faces"))
    assert shown["recogniser"]["embedding"] == 8 and shown["installed"].keys() == {"recogniser"}
    with pytest.raises(UsageError, match="the model faces cannot invert"):
        api.invert([str(people / "p00" / "0.png")], out=tmp_path / "x.png", model=str(tmp_path / "faces"))
    with pytest.raises(UsageError, match="the model faces has no generator"):
        api.train_encoder([people], tmp_path / "run", generator=str(tmp_path / "faces"), device="cpu")
    text = (tmp_path / "faces" / "model.toml").read_text()
    (tmp_path / "faces" / "model.toml").write_text(text + "\n[spec.generator]\nresolution = 32\n")
    with pytest.raises(UsageError, match=r"spec\.recogniser is given beside an encoder or a generator"):
        load_card(tmp_path / "faces")
