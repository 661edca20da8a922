"""What ``show`` tells of pictures, latents and weights, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.files.recipe import Recipe, recipe_json, xmp_packet
from pixel2style2pixel_cli.weights.describe import describe_file
from pixel2style2pixel_cli.weights.directions import DirectionFile, save_direction
from pixel2style2pixel_cli.weights.latents import LatentFile, save_latents

DIGEST = "0123456789abcdef" * 4
MATRIX = [[1.0, 0.0, 2.5], [0.0, 1.0, 3.0], [0.0, 0.0, 1.0]]
CONTENT = {"kind": "encoder", "spec": {"input_size": 128}, "digest": DIGEST, "licence": "MIT", "source_sha256": DIGEST}


def recipe() -> Recipe:
    return Recipe(
        command="invert",
        options={"noise": "fixed", "paste": False},
        model="mini-invert",
        weights_sha256={"encoder": DIGEST},
        seed=7,
        input_name="a.jpg",
        input_sha256=DIGEST,
        face=0,
        matrix=MATRIX,
        crop_size=128,
    )


def write_weights(path: Path, content: object = CONTENT, mark: str = "p2s2p") -> Path:
    tensors = {"a": np.zeros((3, 4), np.float16), "b": np.zeros(5, np.float32), "c": np.zeros((), np.int64)}
    text = content if isinstance(content, str) else json.dumps(content)
    save_file(tensors, path, metadata={mark: text})
    return path


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
def test_picture(tmp_path: Path, format: Literal["png", "jpg", "webp"]) -> None:
    path = tmp_path / f"a.{format}"
    pixels = np.zeros((16, 16, 3), np.uint8)
    path.write_bytes(encode_image(pixels, format, recipe=recipe_json(recipe()), xmp=xmp_packet()))
    found = describe_file(path)
    assert next(iter(found)) == "kind" and found["kind"] == "picture"
    assert (found["seed"], found["model"], found["matrix"]) == (7, "mini-invert", MATRIX)
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("composite", [False, True])
def test_picture_whose_recipe_was_left_out(tmp_path: Path, composite: bool) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode_image(np.zeros((8, 8, 3), np.uint8), "png", xmp=xmp_packet(composite=composite)))
    assert describe_file(path) == {"kind": "picture", "synthetic": True, "recipe": None}


def test_latent(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    codes = np.zeros((12, 16), np.float32)
    save_latents(
        path, LatentFile(codes=codes, space="W+", generator=DIGEST, matrix=MATRIX, recipe=recipe_json(recipe()))
    )
    found = describe_file(path)
    assert (found["kind"], found["space"], found["shape"]) == ("latent", "W+", [12, 16])
    assert (found["generator"], found["matrix"], found["recipe"]["input_name"]) == (DIGEST, MATRIX, "a.jpg")
    save_latents(path, LatentFile(codes=codes[:1], space="W", generator=DIGEST))
    assert (describe_file(path)["shape"], describe_file(path)["recipe"]) == ([1, 16], None)


def test_weights_under_any_name(tmp_path: Path) -> None:
    expected: dict[str, Any] = {
        "kind": "weights",
        "part": "encoder",
        "spec": {"input_size": 128},
        "digest": DIGEST,
        "licence": "MIT",
        "source_sha256": DIGEST,
        "tensors": 3,
        "parameters": 3 * 4 + 5 + 1,
        "dtypes": ["F16", "F32", "I64"],
        "bytes": 24 + 20 + 8,
    }
    assert describe_file(write_weights(tmp_path / "encoder.safetensors")) == expected
    assert describe_file(write_weights(tmp_path / "weights")) == expected


def test_number_types_that_numpy_lacks_need_no_torch(tmp_path: Path) -> None:
    header = {"__metadata__": {"p2s2p": json.dumps(CONTENT)}, "a": {"dtype": "BF16", "shape": [2, 2]}}
    header["a"]["data_offsets"] = [0, 8]
    text = json.dumps(header).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    code = (
        "import sys; from pathlib import Path; from pixel2style2pixel_cli.weights.describe import describe_file; "
        "print(describe_file(Path(sys.argv[1]))['dtypes'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['BF16'] False"


def write_refused(folder: Path, name: str) -> Path:
    path = folder / name
    ours = write_weights(folder / "ours").read_bytes()
    length = int.from_bytes(ours[:8], "little")
    data = {
        "empty.png": b"",
        "text.png": b"hello",
        "cut.safetensors": ours[:-5],
        "header.safetensors": ours[: 8 + length // 2],
        "broken.safetensors": ours[:8] + b"{" + b"x" * (length - 1) + ours[8 + length :],
        "huge.safetensors": b"\xff" * 7 + b"\x00{",
        "other.pt": b"PK\x03\x04 and so on",
        "list.safetensors": (22).to_bytes(8, "little") + b'{"__metadata__": [12]}',
        "offsets.safetensors": (10).to_bytes(8, "little") + b'{"a": [1]}',
    }
    if name == "folder":
        path.mkdir()
    elif name == "plain.png":
        Image.new("RGB", (8, 8)).save(path)
    elif name == "theirs.safetensors":
        write_weights(path, mark="format")
    elif name == "half.safetensors":
        write_weights(path, {"kind": "encoder"})
    elif name == "nojson.safetensors":
        write_weights(path, "[1, 2")
    elif name != "absent":
        path.write_bytes(data[name])
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "does not exist"),
        ("folder", "is a folder"),
        ("empty.png", "is empty"),
        ("text.png", "a text file"),
        ("plain.png", "a picture without a recipe"),
        ("other.pt", "a checkpoint that p2s2p did not write"),
        ("theirs.safetensors", "a safetensors file that p2s2p did not write"),
        ("half.safetensors", "a safetensors file that p2s2p did not write"),
        ("nojson.safetensors", "a safetensors file that p2s2p did not write"),
        ("list.safetensors", "a damaged safetensors file"),
        ("offsets.safetensors", "a damaged safetensors file"),
        ("broken.safetensors", "a damaged safetensors file"),
        ("header.safetensors", "cut short"),
        ("cut.safetensors", "cut short"),
        ("huge.safetensors", "not a picture"),
    ],
)
def test_everything_else_is_refused(tmp_path: Path, name: str, message: str) -> None:
    path = write_refused(tmp_path, name)
    with pytest.raises(InputError, match=message) as caught:
        describe_file(path)
    assert str(path) in caught.value.message and caught.value.hint


def test_a_direction(tmp_path: Path) -> None:
    step = np.ones((1, 8), np.float32)
    save_direction(
        tmp_path / "smile.safetensors", DirectionFile(name="smile", step=step, space="W", generators=("ab",))
    )
    found = describe_file(tmp_path / "smile.safetensors")
    assert (found["kind"], found["name"], found["shape"], found["rows"]) == ("direction", "smile", [1, 8], "all")
