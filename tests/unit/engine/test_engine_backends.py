"""Backends that compile: the same codes and pictures, what is kept and made again, who takes over where one cannot."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_zoo import write_restyle_zoo

from pixel2style2pixel_cli.engine import backends, openvino_toolkit
from pixel2style2pixel_cli.engine.backend import TorchBackend
from pixel2style2pixel_cli.engine.backends import make_backend
from pixel2style2pixel_cli.engine.batching import BatchSize
from pixel2style2pixel_cli.engine.codes import Codes
from pixel2style2pixel_cli.engine.compiled import CompiledBackend, Network
from pixel2style2pixel_cli.engine.compiled_cache import NETWORK, CompiledCache
from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.engine.graphs import Graph
from pixel2style2pixel_cli.engine.loading import Model, load_model
from pixel2style2pixel_cli.engine.parity import Parity
from pixel2style2pixel_cli.errors import DeviceError, MissingError, UsageError
from pixel2style2pixel_cli.events import Event, Notice
from pixel2style2pixel_cli.files import atomic
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.resolve import resolve

CPU = torch.device("cpu")
REAL = [
    pytest.param("openvino", marks=pytest.mark.skipif(not backends._is_installed("openvino"), reason="no openvino")),
    pytest.param("onnx", marks=pytest.mark.skipif(not backends._is_installed("onnx"), reason="no onnxruntime")),
]


class Known:
    """A toolkit that remembers graphs by a number: what it loads is PyTorch, moved by ``off`` where asked."""

    name = "openvino"
    graphs: list[Graph] = []  # noqa: RUF012 - what was built outlives a toolkit, as files do

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.built, self.loaded = 0, 0

    off = 0.0
    refuses = ""

    @property
    def facts(self) -> dict[str, object]:
        return {"version": "1"}

    def build(self, graph: Graph) -> tuple[bytes, Network]:
        if self.refuses:
            raise RuntimeError(self.refuses)
        self.built += 1
        Known.graphs.append(graph)
        data = f"graph {len(Known.graphs) - 1}".encode()
        return data, self._network(data)

    def load(self, data: bytes) -> Network:
        self.loaded += 1
        return self._network(data)

    def _network(self, data: bytes) -> Network:
        graph = Known.graphs[int(data.removeprefix(b"graph "))]

        def run(inputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
            with torch.no_grad():
                found: NDArray[np.float32] = graph.module(*map(torch.from_numpy, inputs)).numpy()
            return found + np.float32(self.off) if graph.part == "generator" else found

        return run


@pytest.fixture
def model(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    return load_model(resolve(load_card(tiny_zoo / "tiny-invert")), CPU, torch.float32)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def make(model: Model, told: list[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A backend with the pretended toolkit in the place of OpenVINO's."""
    monkeypatch.setattr(openvino_toolkit, "OpenVINO", Known)
    monkeypatch.setattr(backends, "_is_installed", lambda name: True)
    monkeypatch.setattr(Known, "off", 0.0)
    monkeypatch.setattr(Known, "refuses", "")

    def note(event: Event) -> None:
        assert isinstance(event, Notice)
        told.append(f"{event.level}: {event.message}")

    return lambda name="openvino": make_backend(name, model, CPU, torch.float32, note)


def pictures(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def engine_of(backend: Any, model: Model) -> Engine:
    return Engine(model, backend, CPU, torch.float32, BatchSize(4))


@pytest.mark.parametrize("name", REAL)
def test_codes_and_pictures_are_those_of_pytorch(name: str, model: Model) -> None:
    plain = engine_of(TorchBackend(model, CPU, torch.float32), model)
    other = engine_of(make_backend(name, model, CPU, torch.float32), model)
    assert other.backend.name == name
    codes = plain.encode(pictures())
    torch.testing.assert_close(other.encode(pictures()).w_plus, codes.w_plus, rtol=0, atol=2e-5)
    own = Codes(codes.w_plus, noise=tuple(plain.random_noise([7, 8, 9])))
    for given, noise, seeds in (
        (codes, "fixed", ()), (codes, "off", ()), (codes, "random", (1, 2, 3)), (own, "fixed", ()), (own, "off", ()),
    ):  # fmt: skip
        wanted, drawn = plain.draw(given, noise, seeds), other.draw(given, noise, seeds)  # type: ignore[arg-type]
        torch.testing.assert_close(drawn, wanted, rtol=0, atol=2e-5)
        assert float(wanted.std()) > 0.05
    assert not torch.equal(plain.draw(codes, "off"), plain.draw(codes))


@pytest.mark.parametrize("name", REAL)
def test_what_was_prepared_serves_the_next_process(name: str, model: Model, told: list[str]) -> None:
    first = make_backend(name, model, CPU, torch.float32)
    wanted = first.draw(Codes(model.encoder.latent_avg[None]), "fixed")
    again = make_backend(name, model, CPU, torch.float32, lambda event: told.append(str(event)))
    assert torch.equal(again.draw(Codes(model.encoder.latent_avg[None]), "fixed"), wanted)
    assert told == []  # nothing was made, nothing was said


@pytest.mark.parametrize("name", REAL)
def test_passes_of_a_restyle_encoder_are_those_of_pytorch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = write_restyle_zoo(tmp_path / "zoo")
    monkeypatch.setenv("P2S2P_ZOO", str(zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    model = load_model(resolve(load_card(zoo / "tiny-restyle")), CPU, torch.float32)
    wanted = engine_of(TorchBackend(model, CPU, torch.float32), model).encode(pictures(2))
    found = engine_of(make_backend(name, model, CPU, torch.float32), model).encode(pictures(2))
    torch.testing.assert_close(found.w_plus, wanted.w_plus, rtol=1e-4, atol=1e-4)


def test_a_change_of_tensors_is_drawn_by_pytorch(make: Callable[..., Any], model: Model) -> None:
    changed = Codes(model.encoder.latent_avg[None], tensors={"constant": model.generator.constant * 1.5})
    with torch.no_grad():
        wanted = TorchBackend(model, CPU, torch.float32).draw(changed, "fixed")
        assert torch.equal(make().draw(changed, "fixed"), wanted)


def test_auto_takes_what_was_prepared_and_faster_and_nothing_else(
    make: Callable[..., Any], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(backends, "_compiled", lambda *_: pytest.fail("nothing was prepared, so nothing is imported"))
        assert make("auto").name == "torch" and told == []
    assert make().name == "openvino"
    assert any("preparing" in line for line in told) and any("taken" in line for line in told)
    for faster in (True, False):
        monkeypatch.setattr(Parity, "faster", faster)
        assert make("auto").name == ("openvino" if faster else "torch")
    monkeypatch.setattr(Parity, "faster", True)
    monkeypatch.setattr(backends, "_is_installed", lambda name: False)
    assert make("auto").name == "torch"


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_a_missing_package_is_named_with_its_extra(
    name: str, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "_is_installed", lambda name: False)
    with pytest.raises(MissingError, match="which is not installed") as caught:
        make(name)
    assert f"pixel2style2pixel-cli[{name}]" in caught.value.hint and caught.value.exit_code == 4


def test_a_package_that_does_not_load_is_told_apart(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: torch.device, dtype: torch.dtype) -> None:
        raise ImportError("libopenvino.so: cannot open shared object file")

    monkeypatch.setattr(openvino_toolkit, "OpenVINO", broken)
    with pytest.raises(MissingError, match=r"cannot be loaded: libopenvino\.so"):
        make()
    assert make("auto").name == "torch"


def test_another_result_is_refused_and_remembered(
    make: Callable[..., Any], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Known, "off", 4 / 255)
    assert make().name == "torch"
    warning = told[-1]
    assert warning.startswith("warning: PyTorch draws, not openvino") and "2 of 255 grey levels" in warning
    told.clear()
    monkeypatch.setattr(Parity, "faster", True)
    assert make().name == "torch" and len(told) == 1  # compared once only
    assert make("auto").name == "torch"


def test_numbers_that_are_none_are_refused(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Known, "off", float("nan"))
    assert make().name == "torch"


def test_a_model_that_the_library_cannot_take_is_drawn_by_pytorch(
    make: Callable[..., Any], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Known, "refuses", "unsupported shape 1x3x4096x4096")
    assert make().name == "torch"
    assert told[-1].startswith("warning: ") and "unsupported shape 1x3x4096x4096" in told[-1]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "gone"])
def test_a_damaged_file_is_made_again(damage: str, make: Callable[..., Any], model: Model, told: list[str]) -> None:
    codes = Codes(model.encoder.latent_avg[None])
    wanted = make().draw(codes, "fixed")
    for path in CompiledCache().folder.glob(f"*{NETWORK}"):
        data = path.read_bytes()
        content = {"cut": data[:-1], "changed": data[:-1] + b"9", "empty": b""}
        path.unlink() if damage == "gone" else path.write_bytes(content[damage])
    told.clear()
    assert torch.equal(make().draw(codes, "fixed"), wanted)
    assert [line for line in told if "making the generator again" in line]
    told.clear()
    assert torch.equal(make().draw(codes, "fixed"), wanted) and told == []


def test_bytes_that_the_library_does_not_take_are_made_again(
    make: Callable[..., Any], model: Model, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = Codes(model.encoder.latent_avg[None])
    wanted = make().draw(codes, "fixed")
    load = Known.load
    monkeypatch.setattr(Known, "load", lambda self, data: load(self, b"of another version"))
    assert torch.equal(make().draw(codes, "fixed"), wanted)
    assert any(line.startswith("warning: openvino: the generator kept on the disk is of no use") for line in told)


@pytest.mark.parametrize("reason", ["No space left on device", "Read-only file system"])
def test_a_disk_that_takes_nothing_costs_only_time(
    reason: str, make: Callable[..., Any], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    number = {"No space left on device": 28, "Read-only file system": 30}[reason]

    def fail(part: Path, data: bytes) -> None:
        raise OSError(number, reason)

    monkeypatch.setattr(atomic, "_write_synced", fail)
    assert make().name == "openvino"
    warnings = [line for line in told if line.startswith("warning: ")]
    assert len(warnings) == 1 and "not kept for the next run" in warnings[0]
    assert make("auto").name == "torch"  # which nothing was prepared for


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    cache = CompiledCache(tmp_path, most_bytes=1000)
    for number, key in enumerate("abc"):
        assert cache.store(key, bytes(400)) is None or key == "never"
        os.utime(tmp_path / f"{key}{NETWORK}", (number, number)) if (tmp_path / f"{key}{NETWORK}").exists() else None
        if key == "b":
            assert cache.load("a") == bytes(400)  # used again, so b is the longest unused
    assert [key for key in "abc" if cache.load(key) is not None] == ["a", "c"]
    assert "larger than" in str(cache.store("d", bytes(1001)))
    assert cache.load("a") == bytes(400)


def test_other_weights_sizes_or_versions_have_files_of_their_own(
    make: Callable[..., Any], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keys(**hashes: str) -> dict[str, str]:
        installed = dataclasses.replace(model.installed)
        object.__setattr__(installed, "hashes", {**model.installed.hashes, **hashes})
        other = TorchBackend(dataclasses.replace(model, installed=installed), CPU, torch.float32)
        toolkit = Known(CPU, torch.float32)
        made = CompiledBackend(toolkit, other, lambda: model, cache=CompiledCache(), on_event=lambda event: None)
        return dict(made._keys)

    first = keys()
    assert keys() == first
    assert keys(encoder="0" * 64)["encoder"] != first["encoder"]
    assert keys(encoder="0" * 64)["generator"] == first["generator"]  # shared by every encoder that draws with it
    assert keys(generator="0" * 64)["generator"] != first["generator"]
    monkeypatch.setattr(Known, "facts", {"version": "2"})
    assert not set(keys().values()) & set(first.values())


def test_devices_and_precisions_that_a_library_lacks_are_refused() -> None:
    pytest.importorskip("onnxruntime")
    from pixel2style2pixel_cli.engine.onnx_toolkit import OnnxRuntime

    with pytest.raises(UsageError, match="on the CPU, not on cuda"):
        openvino_toolkit.OpenVINO(torch.device("cuda"), torch.float32)
    with pytest.raises(UsageError, match="in float32"):
        OnnxRuntime(CPU, torch.bfloat16)
    with pytest.raises(DeviceError, match="no provider for mps") as caught:
        OnnxRuntime(torch.device("mps"), torch.float32)
    assert "--backend torch" in caught.value.hint


def test_bfloat16_is_compared_with_single_precision(tiny_zoo: Path, model: Model, told: list[str]) -> None:
    pytest.importorskip("openvino")
    from pixel2style2pixel_cli.device import is_fast_in_bfloat16

    if not is_fast_in_bfloat16(CPU):
        with pytest.raises(UsageError, match="does not multiply bfloat16"):
            openvino_toolkit.OpenVINO(CPU, torch.bfloat16)
        return
    half = load_model(model.installed, CPU, torch.bfloat16)
    backend = make_backend("openvino", half, CPU, torch.bfloat16, lambda event: told.append(str(event)))
    assert backend.name == "openvino" and "grey levels" in told[-1]
    drawn = backend.draw(Codes(half.encoder.latent_avg[None]), "fixed")
    assert drawn.dtype == torch.bfloat16
    with torch.no_grad():
        wanted = model.generator(model.encoder.latent_avg[None])
    assert 0 < float((drawn.float() - wanted).abs().mean()) < 0.03


def test_openvino_is_loaded_without_the_part_that_reports_to_its_makers() -> None:
    pytest.importorskip("openvino")
    code = (
        "import sys; from pixel2style2pixel_cli.engine.openvino_toolkit import import_openvino\n"
        "import_openvino(); print([n for n, m in sys.modules.items() if n.startswith('openvino_telemetry') and m])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
