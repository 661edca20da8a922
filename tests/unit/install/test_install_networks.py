"""Networks that losses look through: fetched by name, checked, and asked for by the command that fetches them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import COMMIT, Hub, HubFile, hub_server

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.errors import IntegrityError, MissingError
from pixel2style2pixel_cli.zoo import auxiliary, limits
from pixel2style2pixel_cli.zoo.auxiliary import Network, networks
from pixel2style2pixel_cli.zoo.cards import Source
from pixel2style2pixel_cli.zoo.licences import find_licence

DATA = bytes(range(256)) * 64
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("P2S2P_OFFLINE", "HF_HUB_OFFLINE", "P2S2P_MIRROR", "P2S2P_ACCEPT_LICENCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(limits, "LIMITS", dataclasses.replace(limits.LIMITS, silence=0.5, pause=0.0))
    return tmp_path / "home"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server() as server:
        yield server


def serve(hub: Hub, monkeypatch: pytest.MonkeyPatch, data: bytes, **changes: Any) -> Network:
    """AlexNet's row with another file, which a server on this machine has."""
    hub.add("a/a", "net.pth", HubFile(data))
    row = networks()["lpips-alexnet"]
    source = Source(kind="https", address=f"{hub.store}/a/a/{COMMIT}/net.pth")
    weight = dataclasses.replace(row.weight, sha256=SHA256, size=len(DATA), sources=(source,))
    made = dataclasses.replace(row, weight=weight, **changes)
    monkeypatch.setattr(auxiliary, "networks", lambda: {**networks(), row.name: made})
    return made


def test_every_row_can_be_fetched_and_checked() -> None:
    for name, network in networks().items():
        assert network.name == name and network.weight.fetchable and len(network.weight.sha256 or "") == 64, name
        assert "not known" not in find_licence(network.licence).text, name
        assert network.path.name == network.weight.file


def test_a_network_is_fetched_once(hub: Hub, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    network = serve(hub, monkeypatch, DATA, licence="mit")
    (row,) = api.pull_models(["lpips-alexnet"])
    assert (row["status"], row["files"]) == ("installed", {"network": str(network.path)})
    assert network.path.read_bytes() == DATA and network.path.parent == home / "auxiliary"
    assert [path for path in (home / "downloads").iterdir() if path.suffix != ".lock"] == []
    (row,) = api.pull_models(["lpips-alexnet"], offline=True)
    assert row["status"] == "already installed"


def test_terms_are_accepted_first(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    network = serve(hub, monkeypatch, DATA)
    with pytest.raises(MissingError, match="licence torchvision of lpips-alexnet is not accepted") as caught:
        api.pull_models(["lpips-alexnet"])
    assert "p2s2p models pull lpips-alexnet --accept-licence" in caught.value.hint
    api.pull_models(["lpips-alexnet"], accept_licence=True)
    assert network.path.is_file()


def test_another_file_is_not_kept(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    network = serve(hub, monkeypatch, DATA[::-1], licence="mit")
    with pytest.raises(IntegrityError, match="sent another file") as caught:
        api.pull_models(["lpips-alexnet"])
    assert str(network.path) in caught.value.hint and "models import" not in caught.value.hint
    assert not network.path.exists()


def test_without_a_connection_the_address_is_named() -> None:
    with pytest.raises(MissingError, match="offline") as caught:
        api.pull_models(["lpips-vgg16"], offline=True)
    assert "https://download.pytorch.org/models/vgg16-397923af.pth" in caught.value.hint


def test_what_is_missing_is_asked_for_by_its_command() -> None:
    with pytest.raises(MissingError, match="LPIPS needs AlexNet of torchvision, and there is no file") as caught:
        networks()["lpips-alexnet"].require("LPIPS", "do without")
    assert caught.value.hint == "p2s2p models pull lpips-alexnet; or do without"
