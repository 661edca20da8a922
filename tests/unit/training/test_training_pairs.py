"""Folders of pictures and of what belongs to them: matched by path, read as what they are, fed to the encoder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from tiny_runs import SIDE, Z, disc

from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.events import Event, Notice
from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS, InputKind
from pixel2style2pixel_cli.inputs.labels import BISENET_19, CELEBAMASK, LabelSchema
from pixel2style2pixel_cli.tasks.table import TRAINED, options_of
from pixel2style2pixel_cli.training.config import Augmentation, EncoderTraining
from pixel2style2pixel_cli.training.data import PictureSource, training_batches
from pixel2style2pixel_cli.training.fit import Asked, fit_to_data, fit_to_task, partner_folders
from pixel2style2pixel_cli.training.gather import PartnerFolders
from pixel2style2pixel_cli.training.inputs import make_inputs
from pixel2style2pixel_cli.training.partners import GIVEN, PARTNERS, PartnerKind, partner_of

PLAIN = Augmentation()


def vector(number: int) -> np.ndarray:
    return np.random.default_rng(number).standard_normal(Z).astype(np.float32)


def drawn(number: int, kind: PartnerKind | None, side: int = SIDE) -> Image.Image:
    """Picture ``number``, or what belongs to it."""
    picture = disc(vector(number))
    inside = picture[..., 1] == 200
    if kind == "labels":
        found = Image.fromarray(np.where(inside, BISENET_19.classes.index("hair"), 1).astype(np.uint8))
    elif kind == "mask":
        found = Image.fromarray(np.where(inside, 255, 0).astype(np.uint8))
    elif kind == "sketch":
        found = Image.new("RGB", (4 * SIDE, 4 * SIDE), "white")
        ImageDraw.Draw(found).ellipse((20 + number, 20, 100, 90), outline=(10, 10, 10), width=5)
    elif kind == "frontal":
        found = Image.fromarray(picture[::-1].copy())
    elif kind == "small":
        found = Image.fromarray(picture).resize((SIDE // 4, SIDE // 4))
    else:
        found = Image.fromarray(picture)
    return found if side == SIDE else found.resize((side, side), Image.Resampling.NEAREST)


def write_pair(root: Path, kind: PartnerKind, names: dict[str, str], count: int = 4) -> tuple[Path, Path]:
    """Folders of pictures and of partners; the suffixes say how each is saved."""
    for number in range(count):
        for folder, suffix in names.items():
            path = root / folder / "a" / f"{number}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn(number, None if folder == "photos" else kind).save(path)
    return root / "photos", root / "beside"


def source_of(photos: Path, beside: Path, kind: PartnerKind, schema: LabelSchema = BISENET_19) -> PictureSource:
    return PictureSource(
        [photos],
        SIDE,
        labels="required" if kind == "labels" else "unused",
        frontal=kind == "frontal",
        given=(kind, SIDE // 2) if kind in GIVEN.values() else None,
        partners=PartnerFolders(kind=kind, folders=(beside,), schema=schema),
    )


@pytest.mark.parametrize("kind", PARTNERS)
@pytest.mark.parametrize("flip", [False, True])
def test_pairs_are_read_as_what_they_are(kind: PartnerKind, flip: bool, tmp_path: Path) -> None:
    photos, beside = write_pair(tmp_path, kind, {"photos": ".bmp", "beside": ".png"})
    batch = source_of(photos, beside, kind).batch([2, 0], [flip, flip])
    turn = -1 if flip else 1
    for place, number in enumerate((2, 0)):
        picture = np.array(drawn(number, None))[:, ::turn]
        np.testing.assert_allclose(batch.image[place].permute(1, 2, 0), picture / 127.5 - 1, atol=1e-6)
        inside = picture[..., 1] == 200
        if kind == "labels":
            assert batch.labels is not None  # hair is 17 in one schema and 13 in the other
            np.testing.assert_array_equal(batch.labels[place], np.where(inside, CELEBAMASK.index("hair"), 1))
        elif kind == "frontal":
            assert batch.frontal is not None
            np.testing.assert_allclose(batch.frontal[place].permute(1, 2, 0), picture[::-1] / 127.5 - 1, atol=1e-6)
        else:
            assert batch.given is not None
            found = batch.given[place]
            assert found is not None and found.shape[:2] == (SIDE // 2, SIDE // 2)
            if kind == "mask":
                assert set(np.unique(found)) == {0, 255}
                assert abs(float((found > 0).mean()) - float(inside.mean())) < 0.1
            else:
                wanted = drawn(number, kind).convert("L" if kind == "sketch" else "RGB").resize((SIDE // 2,) * 2)
                near = np.abs(found.astype(int) - np.array(wanted)[:, ::turn]).mean()
                assert near < 12, kind


@pytest.mark.parametrize("kind", GIVEN)
def test_what_the_data_hold_is_what_the_encoder_gets(kind: InputKind, tmp_path: Path) -> None:
    photos, beside = write_pair(tmp_path, GIVEN[kind], {"photos": ".png", "beside": ".png"})
    batch = source_of(photos, beside, GIVEN[kind]).batch(range(4), [False] * 4)
    torch.manual_seed(0)
    fed = make_inputs(kind, batch, SIDE // 2, PLAIN)
    torch.manual_seed(1)
    assert torch.equal(fed, make_inputs(kind, batch, SIDE // 2, PLAIN)), "nothing is drawn at random"
    assert fed.shape == (4, INPUT_KINDS[kind].channels, SIDE // 2, SIDE // 2)
    made = make_inputs(kind, dataclasses.replace(batch, given=None), SIDE // 2, PLAIN)
    assert not torch.equal(fed, made)
    given = batch.given
    assert given is not None
    some = make_inputs(kind, dataclasses.replace(batch, given=[given[0], None, given[2], None]), SIDE // 2, PLAIN)
    assert torch.equal(some[0], fed[0]) and torch.equal(some[2], fed[2]) and not torch.equal(some[1], fed[1])
    if kind == "masked":
        hole = torch.from_numpy(np.stack([mask > 0 for mask in given if mask is not None]))
        assert torch.equal(fed[:, 3] > 0, hole)


def test_unpaired_files_are_named_and_left_out(tmp_path: Path) -> None:
    photos, beside = write_pair(tmp_path, "frontal", {"photos": ".png", "beside": ".webp"}, count=12)
    for number in range(7):
        (beside / "a" / f"{number}.webp").rename(beside / "a" / f"{number}_front.webp")
    source = source_of(photos, beside, "frontal")
    assert len(source) == 5 and source.unpaired == 14
    alone, spare = source.take_news()
    assert alone == (
        f"left out, without a frontal picture in {beside}: 7 pictures (a/0.png, a/1.png, a/2.png, a/3.png, a/4.png "
        "and 2 more)"
    )
    assert spare.startswith(f"left out, without a picture in {photos}: 7 frontal pictures (a/0_front.webp, ")
    assert source.take_news() == []
    for number in range(7, 12):
        (beside / "a" / f"{number}.webp").unlink()
    with pytest.raises(UsageError, match="no picture has a frontal picture; without a frontal picture in") as caught:
        source_of(photos, beside, "frontal")
    assert "any suffix" in caught.value.hint


def test_pairs_that_are_not_clear_are_refused(tmp_path: Path) -> None:
    photos, beside = write_pair(tmp_path, "small", {"photos": ".png", "beside": ".png"})
    drawn(1, "small").save(beside / "a" / "1.bmp")
    with pytest.raises(UsageError, match=r"a/1\.bmp and a/1\.png in .*beside differ in nothing but their suffix"):
        source_of(photos, beside, "small")
    with pytest.raises(UsageError, match="is the folder of the pictures itself"):
        source_of(photos, photos, "small")
    with pytest.raises(UsageError, match="no folder of small pictures at"):
        source_of(photos, tmp_path / "absent", "small")
    folders = PartnerFolders(kind="small", folders=(beside,))
    with pytest.raises(UsageError, match="2 folders of pictures and 1 of small pictures"):
        PictureSource([photos, photos], SIDE, partners=folders)


def test_partners_below_the_pictures_are_no_pictures(tmp_path: Path) -> None:
    write_pair(tmp_path, "frontal", {"photos": ".png", "beside": ".png"})
    (tmp_path / "beside").rename(tmp_path / "photos" / "beside")
    assert len(source_of(tmp_path / "photos", tmp_path / "photos" / "beside", "frontal")) == 4


def test_a_picture_that_cannot_be_used_is_replaced_and_named_once(tmp_path: Path) -> None:
    photos, beside = write_pair(tmp_path, "labels", {"photos": ".png", "beside": ".png"}, count=8)
    clean = source_of(photos, beside, "labels").batch(range(8), [False] * 8)
    (photos / "a" / "3.png").write_bytes((photos / "a" / "3.png").read_bytes()[:60])
    wrong = np.full((SIDE, SIDE), 99, np.uint8)
    Image.fromarray(wrong).save(beside / "a" / "6.png")
    source = source_of(photos, beside, "labels")
    batches = training_batches(source, batch=4, seed=0, start=0, held_out=0, flip=False)
    seen = torch.cat([next(batches).image for _ in range(2)])
    for image in (clean.image[3], clean.image[6]):
        assert not any(torch.equal(image, found) for found in seen)
    for number, times in ((2, 2), (5, 2), (0, 1)):
        assert sum(torch.equal(clean.image[number], found) for found in seen) == times
    news = source.take_news()
    assert len(news) == 2 and source.left_out == 2
    assert any("3.png" in sentence for sentence in news)
    assert any("6.png" in sentence and "99 (1024 pixels)" in sentence for sentence in news)
    assert [source.can_be_read(index) for index in range(8)] == [True, True, True, False, True, True, False, True]
    assert source.take_news() == []
    again = source_of(photos, beside, "labels")
    resumed = next(training_batches(again, batch=4, seed=0, start=1, held_out=0, flip=False))
    assert torch.equal(resumed.image, seen[4:])


def test_of_many_that_cannot_be_used_the_first_are_named(tmp_path: Path) -> None:
    photos, _ = write_pair(tmp_path, "small", {"photos": ".png", "beside": ".png"}, count=15)
    for number in range(1, 15):
        (photos / "a" / f"{number}.png").write_bytes(b"no picture")
    source = PictureSource([photos], SIDE)
    assert [source.can_be_read(index) for index in range(15)].count(True) == 1
    news = source.take_news()
    assert len(news) == 10 and news[-1].endswith("; further ones are only counted") and source.left_out == 14
    assert torch.equal(source.batch([14], [False]).image, source.batch([0], [False]).image)
    (photos / "a" / "0.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="none of the 15 pictures can be used: "):
        PictureSource([photos], SIDE).batch([3], [False])


def test_grey_and_transparent_pictures_of_any_size_are_trained_on(tmp_path: Path) -> None:
    picture = drawn(0, None)
    picture.convert("L").save(tmp_path / "grey.png")
    clear = picture.convert("RGBA")
    clear.putalpha(0)
    clear.save(tmp_path / "clear.png")
    picture.resize((80, 80)).save(tmp_path / "large.jpg")
    picture.resize((9, 9)).save(tmp_path / "tiny.gif")
    batch = PictureSource([tmp_path], SIDE).batch(range(4), [False] * 4)
    assert batch.image.shape == (4, 3, SIDE, SIDE)
    assert bool((batch.image[0] == 1).all()), "transparent is white"
    assert torch.equal(batch.image[1][0], batch.image[1][1])
    picture.resize((40, 32)).save(tmp_path / "wide.png")
    with pytest.raises(InputError, match=r"wide\.png is 40x32, training pictures are square"):
        PictureSource([tmp_path / "wide.png"], SIDE).pixels(0)


def test_other_data_have_another_fingerprint_wherever_they_lie(tmp_path: Path) -> None:
    photos, beside = write_pair(tmp_path, "frontal", {"photos": ".png", "beside": ".png"})
    first = source_of(photos, beside, "frontal").fingerprint
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    photos, beside = photos.rename(moved / "p"), beside.rename(moved / "b")
    assert source_of(photos, beside, "frontal").fingerprint == first
    assert PictureSource([photos], SIDE).fingerprint != first
    drawn(9, "frontal").resize((40, 40)).save(beside / "a" / "2.png")
    assert source_of(photos, beside, "frontal").fingerprint != first


def asked(task: str, **changes: object) -> Asked:
    kind, preset = options_of(task).kind, f"psp-{task}"
    return dataclasses.replace(Asked(task=task, kind=kind, preset=preset, overrides={}), **changes)  # type: ignore[arg-type]


def test_each_task_says_what_it_is_paired_with(tmp_path: Path) -> None:
    wanted = {
        "invert": None, "toonify": None, "frontalize": "frontal", "sketch2face": "sketch", "seg2face": "labels",
        "superres": "small", "inpaint": "mask",
    }  # fmt: skip
    assert wanted.keys() == set(TRAINED)
    for task, kind in wanted.items():
        told, events = asked(task, partners=[tmp_path]), list[Event]()
        config = fit_to_task(told, events.append)
        assert partner_of(config.task.kind, config.task.target) == kind, task
        if kind is None:
            with pytest.raises(UsageError, match=f"{task} trains on pictures alone"):
                partner_folders(told, config)
            continue
        folders = partner_folders(told, config)
        assert folders is not None and (folders.kind, folders.folders) == (kind, (tmp_path,))
        assert [type(event) for event in events] == ([Notice] if task == "frontalize" else [])
        if task != "seg2face":
            with pytest.raises(UsageError, match=f"--labels is for label maps, and {task} reads none"):
                partner_folders(dataclasses.replace(told, labels="bisenet-19"), config)
    told = asked("seg2face", labels="bisenet-19")
    with pytest.raises(UsageError, match="--partners, their folder, is not given"):
        partner_folders(told, fit_to_task(told, events.append))


@pytest.mark.parametrize(
    ("task", "preset", "message"),
    [
        ("sketch2face", "psp-invert", "psp-invert is for inputs of kind photo, the task has sketch"),
        ("invert", "psp-frontalize", "psp-frontalize turns faces to the front, which is not what invert does"),
        ("frontalize", "psp-toonify", "psp-toonify draws faces as they are, which is not what frontalize does"),
        ("invert", "stylegan2-128", "stylegan2-128 is a preset of train generator, not of train encoder"),
    ],
)
def test_a_preset_of_another_task_is_refused(task: str, preset: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        fit_to_task(asked(task, preset=preset), lambda event: None)
    assert message in caught.value.message and f"psp-{task}" in caught.value.hint


def test_what_is_held_out_follows_the_data_unless_it_is_set(tmp_path: Path) -> None:
    photos, _ = write_pair(tmp_path, "small", {"photos": ".png", "beside": ".png"}, count=20)
    source, events = PictureSource([photos], SIDE), list[Event]()
    config = fit_to_data(EncoderTraining(), {}, source, events.append)
    assert config.run.held_out == 2 and events == [
        Notice(message="2 of 20 pictures are held out, not the 1000 of the preset")
    ]
    with pytest.raises(UsageError, match="20 pictures, 1000 held out: not enough for a batch of 8") as caught:
        fit_to_data(EncoderTraining(), {"run.held_out": "1000"}, source, events.append)
    assert "--set run.held_out=12" in caught.value.hint
    few = PictureSource([photos / "a" / f"{n}.png" for n in range(3)], SIDE)
    with pytest.raises(UsageError, match="3 pictures, 0 held out") as caught:
        fit_to_data(EncoderTraining(), {}, few, events.append)
    assert "--set run.batch=3" in caught.value.hint
