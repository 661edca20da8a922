"""A session: models loaded once, pictures in memory in, results out, the same pixels as the command."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_zoo import GENERATOR

from pixel2style2pixel_cli import Session, api, load
from pixel2style2pixel_cli.engine import start
from pixel2style2pixel_cli.errors import InputError, MissingError, ShapeError, UsageError
from pixel2style2pixel_cli.tasks.table import TASKS
from pixel2style2pixel_cli.weights.latents import load_latents

DATA = Path(__file__).parents[1] / "data"
FACES = sorted(DATA.glob("face_*.webp"))
PLAIN = {"align": "never"}


@pytest.fixture
def session(task_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("P2S2P_ZOO", str(task_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    with load(device="cpu") as made:
        yield made


@pytest.fixture
def face() -> Image.Image:
    return Image.open(FACES[0]).convert("RGB")


def test_a_picture_is_what_the_command_makes_of_it(session: Session, face: Image.Image, tmp_path: Path) -> None:
    face.save(tmp_path / "a.png")
    api.invert(tmp_path / "a.png", out=tmp_path / "out", save_latents=True, device="cpu", **PLAIN)
    wanted = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    for given in (face, np.asarray(face), tmp_path / "a.png", str(tmp_path / "a.png")):
        made = session.invert(given, **PLAIN)
        assert np.array_equal(made.array, wanted) and np.array_equal(np.asarray(made.image), wanted)
        assert np.array_equal(made.codes, load_latents(tmp_path / "out" / "a.safetensors").codes)


def test_a_card_says_at_which_size_codes_are_optimised(
    session: Session, task_zoo: Path, face: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = tmp_path / "zoo"
    shutil.copytree(task_zoo, zoo)
    card = zoo / "tiny-invert" / "model.toml"
    card.write_text(card.read_text() + f"\n[invert]\noptimize = 4\noptimize_size = {GENERATOR.resolution // 2}\n")
    whole = session.invert(face, optimize=4, **PLAIN)
    monkeypatch.setenv("P2S2P_ZOO", str(zoo))
    with load(device="cpu") as other:
        reduced = other.invert(face, **PLAIN)
    assert not np.array_equal(whole.codes, reduced.codes)
    assert whole.recipe["options"]["optimize_size"] == 0
    assert reduced.recipe["options"]["optimize_size"] == GENERATOR.resolution // 2


def test_models_are_loaded_once_and_share_their_generator(
    session: Session, face: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    load_model = start.load_model
    monkeypatch.setattr(start, "load_model", lambda *args, **kw: loaded.append(args[0].name) or load_model(*args, **kw))
    for _ in range(3):
        session.invert(face, **PLAIN)
        session.superres(face, factor=2, **PLAIN)
    assert len(loaded) == 2
    first, second = (engine.model for engine in session._engines.values())
    assert first.weights_sha256["generator"] == second.weights_sha256["generator"]
    assert first.generator is second.generator


def test_lists_keep_their_order_and_one_bad_picture_costs_no_other(session: Session, face: Image.Image) -> None:
    dark = Image.eval(face, lambda value: value // 2)
    alone = [session.invert(picture, **PLAIN) for picture in (face, dark)]
    found = session.invert([face, "nowhere.png", dark], on_error="return", **PLAIN)
    assert [isinstance(result, InputError) for result in found] == [False, True, False]
    assert np.array_equal(found[0].array, alone[0].array) and np.array_equal(found[2].array, alone[1].array)
    with pytest.raises(InputError, match=r"nowhere\.png does not exist"):
        session.invert([face, "nowhere.png"], **PLAIN)


def test_several_styles_are_a_list(session: Session, face: Image.Image) -> None:
    several = session.invert(face, mix_seed="3-4", **PLAIN)
    assert [result.variant.mix_seed for result in several] == [3, 4]
    one = session.invert(face, mix_seed=3, **PLAIN)
    assert np.array_equal(one.array, several[0].array) and repr(one).endswith("style 3)")


def test_codes_are_drawn_again_as_they_were(session: Session, face: Image.Image) -> None:
    made = session.invert(face, **PLAIN)
    codes = session.encode([face, face], **PLAIN)
    assert codes.shape == (2, GENERATOR.n_styles, GENERATOR.style_dim) and codes.dtype == np.float32
    assert np.array_equal(session.draw(codes[0]).array, made.array)
    assert [np.array_equal(each.array, made.array) for each in session.draw(codes)] == [True, True]
    row = session.draw(codes[0, 0])
    assert np.array_equal(row.codes, np.broadcast_to(codes[0, 0], row.codes.shape))
    with pytest.raises(ShapeError):
        session.draw(np.zeros((3, 5), np.float32))


def test_mix_takes_pictures_codes_and_results(session: Session, face: Image.Image) -> None:
    content = session.invert(face, **PLAIN)
    style = Image.open(FACES[1]).convert("RGB")
    mixed = session.mix(content, style, mix_layers="4-7", **PLAIN)
    assert np.array_equal(mixed.codes[:4], content.codes[:4]) and not np.array_equal(mixed.codes[4:], content.codes[4:])
    same = session.mix(face, session.encode(style, **PLAIN), mix_layers="4-7", **PLAIN)
    assert np.array_equal(same.array, mixed.array)
    assert len(session.mix(content, [style, style], **PLAIN)) == 2
    assert [result.variant.mix_seed for result in session.mix(content, mix_seed=[1], **PLAIN)] == [1]
    with pytest.raises(UsageError, match="no style"):
        session.mix(content)


def test_results_carry_their_recipe_and_are_saved_with_it(session: Session, face: Image.Image, tmp_path: Path) -> None:
    made = session.frontalize(face, strength=1.0, **PLAIN)
    assert made.recipe["command"] == "frontalize" and made.recipe["options"]["strength"] == 1.0
    assert api.show_file(made.save(tmp_path / "a.webp"))["model"] == made.recipe["model"]
    latent = load_latents(made.save(tmp_path / "a.safetensors"), expect_generator=made.generator)
    assert np.array_equal(latent.codes, made.codes)
    with pytest.raises(UsageError, match="ends in none of"):
        made.save(tmp_path / "a.gif")


def test_every_task_is_a_method_with_its_options(session: Session) -> None:
    import inspect

    for task in TASKS:
        method = getattr(session, task)
        assert method.__doc__ and task in dir(session)
        if task not in ("mix", "transfer", "generate"):
            names = inspect.signature(method).parameters
            assert {"image", "on_error", "mix_seed", "seed"} <= set(names) and not {"out", "model", "grid"} & set(names)


def test_what_is_no_picture_is_refused(session: Session, face: Image.Image) -> None:
    wrong = (np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 2), np.uint8), 3, None)
    for given in wrong:
        with pytest.raises(ShapeError, match="expected a Pillow image"):
            session.invert(given, **PLAIN)
    with pytest.raises(UsageError, match="has no option out"):
        session.invert(face, out="x")
    with pytest.raises(UsageError):
        session.invert(face, align="sometimes")


def test_a_name_that_nobody_has_is_told_at_once(session: Session) -> None:
    with pytest.raises(MissingError, match="tiny-inverd"):
        load("tiny-inverd")


def test_a_closed_session_says_so(task_zoo: Path, session: Session, face: Image.Image) -> None:
    session.invert(face, **PLAIN)
    session.close()
    assert not session._engines
    with pytest.raises(UsageError, match="closed"):
        session.invert(face, **PLAIN)


def test_calls_from_several_threads_do_not_disturb_each_other(session: Session, face: Image.Image) -> None:
    wanted = session.invert(face, **PLAIN).array
    found: list[bool] = []
    threads = [
        threading.Thread(target=lambda: found.append(np.array_equal(session.invert(face, **PLAIN).array, wanted)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4
