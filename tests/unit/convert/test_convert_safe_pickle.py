"""Files that are not weights, and pickles that want to run something."""

from __future__ import annotations

import argparse
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_checkpoints import generator_state, psp_checkpoint

from pixel2style2pixel_cli.convert.safe_pickle import load_checkpoint, unsafe_globals
from pixel2style2pixel_cli.errors import IntegrityError, MissingError


class Evil:
    """Creates a file when it is unpickled in the ordinary way."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_containers_of_torch_are_read(tmp_path: Path, zipped: bool) -> None:
    checkpoint = psp_checkpoint(average=torch.zeros(8, 16), best_val_loss=0.5)
    torch.save(checkpoint, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    loaded = load_checkpoint(tmp_path / "x.pt")
    assert isinstance(loaded, dict)
    assert set(loaded) == {"state_dict", "opts", "latent_avg"}
    assert loaded["opts"]["encoder_type"] == "GradualStyleEncoder"
    state = checkpoint["state_dict"]
    assert isinstance(state, dict)
    assert all(torch.equal(loaded["state_dict"][key], value) for key, value in state.items())


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_listed_and_never_run(tmp_path: Path, zipped: bool) -> None:
    path, trace = tmp_path / "x.pt", tmp_path / "ran"
    content = {"g_ema": generator_state(), "a": Evil(trace), "args": argparse.Namespace(size=32), "p": Path("x")}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(IntegrityError) as caught:
        load_checkpoint(path)
    assert f"{os.mkdir.__module__}.mkdir" in caught.value.message
    assert "argparse.Namespace" in caught.value.message
    assert "pathlib" in caught.value.message
    assert caught.value.exit_code == 4
    assert not trace.exists()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_bare_pickle_is_refused_by_name(tmp_path: Path, protocol: int) -> None:
    path, trace = tmp_path / "x.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps({"one": Evil(trace), "two": Evil(trace)}, protocol=protocol))
    with pytest.raises(IntegrityError, match=f"{os.mkdir.__module__}.mkdir"):
        load_checkpoint(path)
    assert not trace.exists()


def test_the_list_agrees_with_torchs_own(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"w": torch.nn.Parameter(torch.ones(2)), "h": torch.ones(2).half(), "d": torch.float16, "s": {1}}, path)
    assert unsafe_globals(path, "zip") == torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
    torch.save({"a": Evil(tmp_path / "ran"), "n": argparse.Namespace()}, path)
    assert unsafe_globals(path, "zip") == sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_namespace_is_taken_from_a_stylegan2_trainer_only(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "x.pt"
    torch.save(
        {"g_ema": generator_state(), "args": argparse.Namespace(size=32)}, path, _use_new_zipfile_serialization=zipped
    )
    loaded = load_checkpoint(path)
    assert isinstance(loaded, dict)
    assert "input.input" in loaded["g_ema"]
    torch.save({**psp_checkpoint(), "opts": argparse.Namespace(a=1)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(IntegrityError, match=r"argparse\.Namespace"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>Quota exceeded</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "is a Git LFS pointer"),
        (b"hello, these are no weights", "is not a weight file of PyTorch"),
        (b"\x80\x04\x95", "is not whole"),
        (b"PK\x03\x04" + b"\0" * 64, "is truncated"),
    ],
)
def test_what_is_saved_in_place_of_weights(tmp_path: Path, data: bytes, part: str) -> None:
    (tmp_path / "x.pt").write_bytes(data)
    with pytest.raises(IntegrityError) as caught:
        load_checkpoint(tmp_path / "x.pt")
    assert part in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.99])
def test_truncated_files(tmp_path: Path, zipped: bool, kept: float) -> None:
    path = tmp_path / "x.pt"
    torch.save(psp_checkpoint(), path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(IntegrityError, match="truncated"):
        load_checkpoint(path)


def test_a_zip_of_something_else(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    with pytest.raises(IntegrityError, match="without weights"):
        load_checkpoint(tmp_path / "x.pt")


def test_absent_and_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="does not exist"):
        load_checkpoint(tmp_path / "x.pt")
    with pytest.raises(MissingError, match="cannot be read"):
        load_checkpoint(tmp_path)
