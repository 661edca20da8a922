"""Recipes: the same bytes each time, no private words, strict reading."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.recipe import Recipe, parse_recipe, recipe_json, xmp_packet


def make(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "command": "invert",
        "options": {"noise": "fixed", "paste": False, "optimize": 0},
        "model": "mini-invert",
        "weights_sha256": {"encoder": "ab" * 32},
        "seed": 7,
        "input_name": "me.jpg",
        "input_sha256": "cd" * 32,
        "face": 0,
        "matrix": [[1.5, 0.0, -3.25], [0.0, 1.5, 2.0], [0.0, 0.0, 1.0]],
        "crop_size": 256,
    }
    return Recipe(**(values | changes))


def test_round_trip_and_stability() -> None:
    recipe = make()
    text = recipe_json(recipe)
    assert parse_recipe(text) == recipe
    assert recipe_json(parse_recipe(text)) == text
    assert text == recipe_json(make(options={"optimize": 0, "paste": False, "noise": "fixed"}))
    assert text.isascii() and "\n" not in text and ": " not in text
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_same_text_in_another_process() -> None:
    code = (
        "import sys; from pixel2style2pixel_cli.files.recipe import Recipe, recipe_json;"
        "print(recipe_json(Recipe(command='invert', options={'b': 1, 'a': [2]}, model='m', weights_sha256={},"
        " seed=0, input_name='x', input_sha256='y')), 'torch' in sys.modules, 'dlib' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    runs = {
        subprocess.run([sys.executable, "-c", code], check=True, cwd=root, capture_output=True, text=True).stdout
        for _ in "12"
    }
    assert len(runs) == 1
    assert runs.pop().strip().endswith("False False")


@pytest.mark.parametrize(
    "name", ["/home/anna/photos/me.jpg", "photos/me.jpg", "C:\\Users\\anna\\me.jpg", "..\\anna/me.jpg"]
)
def test_only_the_base_name_of_the_input(name: str) -> None:
    assert make(input_name=name).input_name == "me.jpg"


def test_places_are_cut_from_options_and_model() -> None:
    options = {"landmarks": "/home/anna/l.dat", "deep": {"list": ["~/anna/x", "C:\\Users\\anna\\y", "../anna/z"]}}
    recipe = make(options=options | {"ratio": "0/4", "id": "org/name"}, model="/home/anna/zoo/mine/model.toml")
    assert "anna" not in recipe_json(recipe)
    assert recipe.options["deep"] == {"list": ["x", "y", "z"]}
    assert (recipe.options["ratio"], recipe.options["id"], recipe.model) == ("0/4", "org/name", "model.toml")


def test_undecodable_name_is_plain_json() -> None:
    text = recipe_json(make(input_name="caf\udce9.jpg"))
    assert json.loads(text)["input_name"].encode("utf-8") == b"caf\\udce9.jpg"


def test_versions_are_recorded() -> None:
    assert {"p2s2p", "torch", "numpy", "pillow"} <= set(make().versions)


def test_recipes_of_the_first_schema_are_read() -> None:
    old = json.loads(changed(schema=1, mix_seed=3, variant="drop"))
    assert parse_recipe(json.dumps(old)).variant == {"mix_seed": 3}
    assert parse_recipe(json.dumps(old | {"mix_seed": None})).variant == {}


def test_infinite_numbers_are_not_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        recipe_json(make(matrix=[[float("nan")] * 3] * 3))


def changed(**values: object) -> str:
    data = json.loads(recipe_json(make()))
    data.update(values)
    return json.dumps({key: value for key, value in data.items() if value != "drop"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not a recipe"),
        ('{"a": 1}', "not a recipe"),
        (changed(schema=3), "schema 3"),
        (changed(seed="drop", model="drop"), "lacks model, seed"),
        (changed(seed="seven"), "wrong seed"),
        (changed(seed=True), "wrong seed"),
        (changed(matrix=[["a"]]), "wrong matrix"),
    ],
)
def test_foreign_text_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_recipe(text)


def test_keys_of_later_versions_are_left_out() -> None:
    assert parse_recipe(changed(new_key=1)) == make()


@pytest.mark.parametrize(
    ("composite", "kind"),
    [(False, "trainedAlgorithmicMedia"), (True, "compositeWithTrainedAlgorithmicMedia")],
)
def test_xmp_names_the_source_type(composite: bool, kind: str) -> None:
    packet = xmp_packet(composite=composite)
    root = ET.fromstring(packet)
    found = [value for node in root.iter() for key, value in node.attrib.items() if key.endswith("DigitalSourceType")]
    assert found == [f"http://cv.iptc.org/newscodes/digitalsourcetype/{kind}"]
    assert packet.startswith('<?xpacket begin="\ufeff"')
    assert "Date" not in packet
