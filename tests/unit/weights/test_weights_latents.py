"""Latent files: exact round trip, same bytes each time, everything else refused."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from safetensors.numpy import save_file

from pixel2style2pixel_cli.errors import InputError, ShapeError
from pixel2style2pixel_cli.weights.latents import LatentFile, load_latents, save_latents

DIGEST = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4


def make(**changes: Any) -> LatentFile:
    codes = np.random.default_rng(3).normal(size=(12, 16)).astype(np.float32)
    values: dict[str, Any] = {
        "codes": codes,
        "space": "W+",
        "generator": DIGEST,
        "matrix": [[1.0, 0.1, 2.0], [0.0, 1.0 / 3, 3.0], [0.0, 0.0, 1.0]],
        "recipe": '{"a":"ü"}',
    }
    return LatentFile(**(values | changes))


def test_round_trip(tmp_path: Path) -> None:
    latent = make()
    save_latents(tmp_path / "sub" / "a.safetensors", latent)
    back = load_latents(tmp_path / "sub" / "a.safetensors", expect_generator=DIGEST)
    assert back.codes.dtype == np.float32
    np.testing.assert_array_equal(back.codes, latent.codes)
    for name in ("space", "generator", "latent_avg_included", "matrix", "recipe"):
        assert getattr(back, name) == getattr(latent, name)


@pytest.mark.parametrize(("space", "tensor", "rows"), [("W+", "w_plus", 12), ("W", "w", 1), ("Z", "z", 1)])
def test_tensor_name_says_the_space(tmp_path: Path, space: str, tensor: str, rows: int) -> None:
    from safetensors import safe_open

    path = tmp_path / "a.safetensors"
    save_latents(
        path, make(space=space, codes=make().codes[:rows], latent_avg_included=False, matrix=None, recipe=None)
    )
    with safe_open(path, framework="numpy") as file:
        assert list(file.keys()) == [tensor]
        assert file.metadata() == {
            "p2s2p": "latent 1",
            "space": space,
            "generator": DIGEST,
            "latent_avg_included": "false",
        }
    assert not load_latents(path).latent_avg_included


def test_same_latent_same_bytes(tmp_path: Path) -> None:
    written = set()
    for number in range(12):  # the library's own order of metadata is random
        save_latents(tmp_path / f"{number}", make())
        written.add((tmp_path / f"{number}").read_bytes())
    assert len(written) == 1
    data = written.pop()
    size = int.from_bytes(data[:8], "little")
    assert size % 8 == 0
    assert json.loads(data[8 : 8 + size])["__metadata__"]["recipe"] == '{"a":"ü"}'


def test_views_and_other_float_types_are_stored_as_float32(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).normal(size=(16, 24)).T[::2]
    save_latents(tmp_path / "a", make(codes=codes))
    np.testing.assert_array_equal(load_latents(tmp_path / "a").codes, codes.astype(np.float32))


def test_other_generator_is_named(tmp_path: Path) -> None:
    save_latents(tmp_path / "a", make())
    with pytest.raises(InputError) as caught:
        load_latents(tmp_path / "a", expect_generator=OTHER)
    assert DIGEST[:12] in caught.value.message
    assert OTHER[:12] in caught.value.message
    assert DIGEST[:13] not in caught.value.message


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_a_number(tmp_path: Path, bad: float) -> None:
    latent = make()
    latent.codes[3, 4] = bad
    with pytest.raises(InputError, match="not finite"):
        save_latents(tmp_path / "a", latent)
    assert not (tmp_path / "a").exists()
    save_file({"w_plus": latent.codes}, tmp_path / "b", metadata=header())
    with pytest.raises(InputError, match="not finite"):
        load_latents(tmp_path / "b")


def header(**changes: str) -> dict[str, str]:
    base = {"p2s2p": "latent 1", "space": "W+", "generator": DIGEST, "latent_avg_included": "true"}
    return {key: value for key, value in (base | changes).items() if value != "drop"}


CODES = np.zeros((4, 8), np.float32)


@pytest.mark.parametrize(
    ("tensors", "metadata", "said"),
    [
        ({"weight": CODES}, None, "found: tensors weight"),
        ({"w_plus": CODES}, {"format": "pt"}, "found: tensors w_plus"),
        ({"w_plus": CODES}, header(p2s2p="latent 2"), "found: latent 2"),
        ({"w_plus": CODES}, header(p2s2p="weights"), "found: weights"),
        ({"w_plus": CODES}, header(space="S"), "damaged"),
        ({"w_plus": CODES}, header(space="W"), "damaged"),
        ({"w_plus": CODES}, header(generator="drop"), "damaged"),
        ({"w_plus": CODES, "more": CODES}, header(), "damaged"),
        ({"w": CODES}, header(space="W"), "float32 4x8"),
        ({"w_plus": CODES.astype(np.float64)}, header(), "float64 4x8"),
        ({"w_plus": CODES[None]}, header(), "1x4x8"),
        ({"w_plus": CODES[:0]}, header(), "0x8"),
        ({"w_plus": CODES}, header(matrix="[[1,2],[3,4]]"), "not 3 x 3"),
        ({"w_plus": CODES}, header(matrix="nonsense"), "cannot be read"),
        ({"w_plus": CODES}, header(matrix="[[NaN,0,0],[0,1,0],[0,0,1]]"), "not 3 x 3"),
    ],
)
def test_foreign_files_are_refused(
    tmp_path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str] | None, said: str
) -> None:
    save_file(tensors, tmp_path / "a", metadata=metadata)
    with pytest.raises(InputError, match=said):
        load_latents(tmp_path / "a")


@pytest.mark.parametrize("data", [b"", b"\x00" * 7, b"\x80\x04pickle", b"<html></html>", b"\xff" * 64])
def test_files_that_are_no_safetensors(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InputError, match="not a safetensors file"):
        load_latents(tmp_path / "a")


def test_truncated(tmp_path: Path) -> None:
    save_latents(tmp_path / "a", make())
    data = (tmp_path / "a").read_bytes()
    for size in (4, 100, len(data) - 1):
        (tmp_path / "b").write_bytes(data[:size])
        with pytest.raises(InputError):
            load_latents(tmp_path / "b")


def test_missing_folder_and_huge(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_latents(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be read"):
        load_latents(tmp_path)
    with (tmp_path / "big").open("wb") as file:
        file.truncate(1 << 30)  # sparse
    with pytest.raises(InputError, match="too large"):
        load_latents(tmp_path / "big")


def test_type_without_numpy_equivalent(tmp_path: Path) -> None:
    text = json.dumps({"__metadata__": header(), "w_plus": {"dtype": "BF16", "shape": [1, 4], "data_offsets": [0, 8]}})
    text += " " * (-len(text) % 8)
    (tmp_path / "a").write_bytes(len(text).to_bytes(8, "little") + text.encode() + bytes(8))
    with pytest.raises(InputError):
        load_latents(tmp_path / "a")


def test_shapes_of_the_spaces() -> None:
    with pytest.raises(ShapeError, match="codes in W has shape 2x4"):
        make(space="W", codes=CODES[:2, :4])
    with pytest.raises(ShapeError):
        make(codes=CODES[0])
    assert cast(Any, dataclasses.replace(make(), matrix=((1, 0, 0), (0, 1, 0), (0, 0, 1)))).matrix[0] == [1.0, 0.0, 0.0]


def test_no_torch_needed(tmp_path: Path) -> None:
    save_latents(tmp_path / "a", make())
    code = (
        "import sys, pathlib; from pixel2style2pixel_cli.weights.latents import load_latents;"
        f"load_latents(pathlib.Path({str(tmp_path / 'a')!r})); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]).returncode == 0
