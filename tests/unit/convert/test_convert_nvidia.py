"""NVIDIA's generators: the renaming, and network pickles read without running their source."""

from __future__ import annotations

import os
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_checkpoints import GENERATOR, generator_state, nvidia_state
from torch import Tensor

from pixel2style2pixel_cli.convert.layout import convert_checkpoint, detect_layout
from pixel2style2pixel_cli.convert.nvidia import nvidia_to_rosinality
from pixel2style2pixel_cli.convert.safe_pickle import load_checkpoint
from pixel2style2pixel_cli.errors import IntegrityError
from pixel2style2pixel_cli.events import Event, Notice


def test_names_come_out_as_the_ports() -> None:
    converted, average = nvidia_to_rosinality(nvidia_state())
    expected = generator_state()
    assert set(converted) == set(expected)
    for key, value in expected.items():
        assert converted[key].shape == value.shape, key
        torch.testing.assert_close(converted[key], value)
    assert torch.equal(average, torch.linspace(-1, 1, 16))


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("mapping.embed.weight", torch.ones(2, 2), "conditioned on class labels"),
        ("synthesis.b8.skip.weight", torch.ones(2), "1 unknown tensor "),
        ("synthesis.b8.resample_filter", torch.ones(4, 4) / 16, "another filter"),
        ("synthesis.b8.resample_filter", torch.ones(12, 12) / 144, "another filter"),
    ],
)
def test_other_networks_are_refused(key: str, value: Tensor, part: str) -> None:
    with pytest.raises(IntegrityError, match=part):
        nvidia_to_rosinality({**nvidia_state(), key: value})


def test_a_generator_without_its_average_is_refused() -> None:
    state = nvidia_state()
    del state["mapping.w_avg"]
    with pytest.raises(IntegrityError, match=r"no mapping\.w_avg"):
        nvidia_to_rosinality(state)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_state_dict_in_a_torch_file(tmp_path: Path, wrapped: bool) -> None:
    torch.save({"G_ema": nvidia_state()} if wrapped else nvidia_state(), tmp_path / "x.pt")
    checkpoint = load_checkpoint(tmp_path / "x.pt")
    assert detect_layout(checkpoint) == ("nvidia" if wrapped else "nvidia-bare")
    converted = convert_checkpoint(checkpoint)
    assert converted.generator_spec == GENERATOR
    assert converted.encoder is None
    assert torch.equal(converted.generator["latent_avg"], torch.linspace(-1, 1, 16))


# What follows writes pickles with the structure of NVIDIA's: modules that reduce to a call with source code in it.


def _reconstruct_persistent_obj(meta: object) -> object:
    raise AssertionError("the source inside the pickle was about to run")


class EasyDict(dict[str, Any]):
    """Stands for dnnlib.util.EasyDict."""


class PersistentModule:
    """Pickles as torch_utils.persistence makes its modules pickle."""

    def __init__(self, class_name: str, **attributes: object) -> None:
        self.class_name = class_name
        self.state = {"training": False, "_parameters": {}, "_buffers": {}, "_modules": {}, **attributes}

    def __reduce__(self) -> tuple[Callable[[object], object], tuple[object], None]:
        source = "raise SystemExit('the source inside the pickle ran')"
        meta = {"type": "class", "version": 6, "module_src": source, "class_name": self.class_name, "state": self.state}
        return _reconstruct_persistent_obj, (meta,), None


@pytest.fixture
def nvidia_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes the two callables pickle under NVIDIA's names."""
    for name, item in (("torch_utils.persistence", _reconstruct_persistent_obj), ("dnnlib.util", EasyDict)):
        monkeypatch.setitem(sys.modules, name.split(".")[0], types.ModuleType(name.split(".")[0]))
        module = types.ModuleType(name)
        setattr(module, item.__name__, item)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(item, "__module__", name)
    yield


def network_pickle(state: dict[str, Tensor], conv_clamp: float | None = None, **extra: object) -> dict[str, object]:
    """The dictionary NVIDIA's training loop pickles."""
    root = PersistentModule("Generator", init_kwargs=EasyDict(z_dim=16, gain=np.sqrt(2)), **extra)
    for key, value in state.items():
        module = root
        *path, leaf = key.split(".")
        for name in path:
            children = module.state["_modules"]
            assert isinstance(children, dict)
            attributes = {"conv_clamp": conv_clamp, "act_gain": np.float64(1.4), "_non_persistent_buffers_set": set()}
            module = children.setdefault(name, PersistentModule("Layer", **attributes))
        kind = "_buffers" if leaf in ("w_avg", "noise_const", "resample_filter") else "_parameters"
        tensors = module.state[kind]
        assert isinstance(tensors, dict)
        tensors[leaf] = value if kind == "_buffers" else torch.nn.Parameter(value)
    return {
        "G": root,
        "D": PersistentModule("Discriminator"),
        "G_ema": root,
        "training_set_kwargs": EasyDict(path="x.zip"),
    }


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.usefixtures("nvidia_modules")
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_network_pickle_gives_its_tensors_and_runs_nothing(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "network.pkl"
    path.write_bytes(pickle.dumps(network_pickle(nvidia_state(), conv_clamp=256), protocol=protocol))
    events: list[Event] = []
    checkpoint = load_checkpoint(path)
    assert isinstance(checkpoint, dict)
    assert all(torch.equal(checkpoint["G_ema"][key], value) for key, value in nvidia_state().items())
    converted = convert_checkpoint(checkpoint, events.append)
    assert converted.generator_spec == GENERATOR
    assert any(isinstance(event, Notice) and "256" in event.message and event.level == "warning" for event in events)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.usefixtures("nvidia_modules")
def test_a_network_pickle_with_code_in_it_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "network.pkl"
    path.write_bytes(pickle.dumps(network_pickle(nvidia_state(), hook=Evil())))
    with pytest.raises(IntegrityError, match=f"asks for {os.mkdir.__module__}.mkdir"):
        load_checkpoint(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("nvidia_modules")
def test_code_hidden_in_the_bytes_of_a_tensor_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    class Storage:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[bytes]]:
            return torch.storage._load_from_bytes, (pickle.dumps(Evil(), protocol=2),)

    path = tmp_path / "network.pkl"
    path.write_bytes(pickle.dumps(network_pickle({}, hook=Storage())))
    with pytest.raises(IntegrityError):
        load_checkpoint(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.usefixtures("nvidia_modules")
@pytest.mark.parametrize("content", ["truncated", "no network", "a list"])
def test_broken_network_pickles(tmp_path: Path, content: str) -> None:
    data = pickle.dumps(network_pickle(nvidia_state()))
    if content == "truncated":
        data = data[: len(data) // 2]
    elif content == "no network":
        data = pickle.dumps({"D": PersistentModule("Discriminator")})
    else:
        data = pickle.dumps([PersistentModule("Generator")])
    (tmp_path / "network.pkl").write_bytes(data)
    with pytest.raises(IntegrityError):
        load_checkpoint(tmp_path / "network.pkl")
