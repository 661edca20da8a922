"""Latents and recipes that no program of ours wrote: named, whatever is wrong with them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.recipe import Recipe, parse_recipe, recipe_json
from pixel2style2pixel_cli.files.strict_json import parse_json
from pixel2style2pixel_cli.weights.describe import describe_file
from pixel2style2pixel_cli.weights.latents import LatentFile, load_latents, save_latents

GOOD = {"p2s2p": "latent 1", "space": "W+", "generator": "ab" * 32, "latent_avg_included": "true"}
EYE = "[[1,0,0],[0,1,0],[0,0,1]]"


def latent(path: Path, codes: np.ndarray | None = None, **metadata: str) -> Path:
    values = np.zeros((4, 8), np.float32) if codes is None else codes
    path.write_bytes(save({"w_plus": values}, metadata=GOOD | metadata))
    return path


def test_whole_latent(tmp_path: Path) -> None:
    assert load_latents(latent(tmp_path / "x.safetensors", matrix=EYE)).matrix is not None


@pytest.mark.parametrize(
    "matrix",
    ["[[1" + "0" * 400 + ",0,0],[0,1,0],[0,0,1]]", "[[1e999,0,0],[0,1,0],[0,0,1]]", "[[NaN,0,0],[0,1,0],[0,0,1]]",
     "[" * 100_000,      "[" * 100_000 + "]" * 100_000, "9" * 5000, "null", "1", '"text"', "[[1,0],[0,1]]",
     '[["a",0,0],[0,1,0],[0,0,1]]', "{}"],
)  # fmt: skip
def test_matrices_that_are_none(matrix: str, tmp_path: Path) -> None:
    path = latent(tmp_path / "x.safetensors", matrix=matrix)
    for read in (load_latents, describe_file):
        with pytest.raises(InputError, match="alignment matrix"):
            read(path)


@pytest.mark.parametrize("value", [3e38, -3e38, 1e7, math.inf, math.nan])
def test_codes_that_no_face_has(value: float, tmp_path: Path) -> None:
    codes = np.zeros((4, 8), np.float32)
    codes[1, 1] = value
    with pytest.raises(InputError, match=r"codes as large as|not finite"):
        load_latents(latent(tmp_path / "x.safetensors", codes))


def test_shapes_that_no_array_has(tmp_path: Path) -> None:
    for shape in ([1] * 71, [4294967295] * 64, [0] * 71):
        size = 4 if 0 not in shape else 0
        tensors = {"w_plus": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}, "__metadata__": GOOD}
        text = json.dumps(tensors).encode()
        path = tmp_path / "x.safetensors"
        path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(size))
        for read in (load_latents, describe_file):
            with pytest.raises(InputError) as caught:
                read(path)
            assert len(caught.value.message) < 600


def test_foreign_text_in_messages_is_printable(tmp_path: Path) -> None:
    path = latent(tmp_path / "x.safetensors", p2s2p="\x1b[31mlatent\n" + "x" * 10_000)
    with pytest.raises(InputError) as caught:
        load_latents(path)
    assert caught.value.message.isprintable() and len(caught.value.message) < 400


def recipe_text(**changes: Any) -> str:
    made = Recipe(command="invert", options={}, model="m", weights_sha256={}, seed=1, input_name="a", input_sha256="b")
    return json.dumps(json.loads(recipe_json(made)) | changes)


def nested(levels: int) -> str:
    return recipe_text().replace('"options": {}', '"options": {"a": ' + "[" * levels + "]" * levels + "}")


@pytest.mark.parametrize("levels", [100, 400, 990, 5000, 100_000])
def test_recipes_that_nest(levels: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nested more than 32 levels"):
        parse_recipe(nested(levels))
    with pytest.raises(InputError, match="nested more than 32 levels"):
        describe_file(latent(tmp_path / "x.safetensors", recipe=nested(levels)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (recipe_text(schema=True), "not a recipe"),
        (recipe_text(seed=1).replace('"seed": 1', '"seed": ' + "9" * 5000), "5000 digits"),
        (recipe_text(crop_size=1).replace('"crop_size": 1', '"crop_size": 1e999'), "too large a number"),
        (recipe_text(crop_size=1).replace('"crop_size": 1', '"crop_size": NaN'), "NaN is not a number"),
        (recipe_text(model="\ud800"), "surrogates"),
        (recipe_text(matrix=[[1, 2, 3]] * 2), "wrong matrix"),
        (recipe_text(matrix=[[1, 2, 3], [1, 2, True], [1, 2, 3]]), "wrong matrix"),
        (recipe_text(weights_sha256={"encoder": 3}), "wrong weights_sha256"),
        (recipe_text(versions={"torch": []}), "wrong versions"),
    ],
)
def test_recipes_with_impossible_values(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_recipe(text)


def test_names_that_are_no_text_do_not_break_the_next_run() -> None:
    """A name that could not be decoded is written as whole characters, so that the recipe can be read again."""
    odd = Recipe(
        command="inpaint", options={"mask": "caf\udce9.png"}, model="m\udce9", weights_sha256={}, seed=1,
        input_name="a", input_sha256="b",
    )  # fmt: skip
    assert parse_recipe(recipe_json(odd)) == odd


def test_plain_json_is_read() -> None:
    value = {"a": [1, 2.5, None, True, "ü", {"b": []}]}
    assert parse_json(json.dumps(value)) == value
    assert parse_json(b"[1]") == [1]
    with pytest.raises(ValueError, match="nested"):
        parse_json("[" * 40 + "]" * 40)


def test_latents_of_today_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    codes = np.linspace(-30, 30, 32, dtype=np.float32).reshape(4, 8)
    save_latents(path, LatentFile(codes=codes, space="W+", generator="ab", recipe=recipe_text()))
    assert np.array_equal(load_latents(path).codes, codes)
    assert describe_file(path)["kind"] == "latent"
