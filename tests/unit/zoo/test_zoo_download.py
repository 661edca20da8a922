"""Fetching one file: which error it ends with, what it reports, and what an earlier call has left."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hub_server import COMMIT, Hub, HubFile, hub_server

from pixel2style2pixel_cli.errors import IntegrityError, MissingError, OutputError
from pixel2style2pixel_cli.events import Event, Progress
from pixel2style2pixel_cli.zoo import limits
from pixel2style2pixel_cli.zoo.cards import Card, InputRule, Source, WeightFile
from pixel2style2pixel_cli.zoo.download import discard, download_path, fetch_weight, require_source

DATA = bytes(range(256)) * 64


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("P2S2P_OFFLINE", "HF_HUB_OFFLINE", "P2S2P_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(limits, "LIMITS", replace(limits.LIMITS, silence=0.5, pause=0.0))
    return tmp_path / "home"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server() as server:
        yield server


def weight(*sources: Source, sha256: str | None = hashlib.sha256(DATA).hexdigest()) -> WeightFile:
    return WeightFile(role="checkpoint", file="w.pt", sha256=sha256, size=len(DATA), sources=sources)


def card_of(file: WeightFile) -> Card:
    return Card(
        name="model", title="", tasks=(), rank=0, licence="mit", commercial_ok=True, encoder={},
        generator={"resolution": 32}, generator_model=None, input=InputRule(), mixing_layers="8-", weights=(file,),
        folder=Path(),
    )  # fmt: skip


def fetch(file: WeightFile, **options: object) -> Path:
    return fetch_weight(card_of(file), file, **options)  # type: ignore[arg-type]


def at(hub: Hub, repository: str, file: HubFile) -> Source:
    hub.add(repository, "w.pt", file)
    return Source(kind="https", address=f"{hub.store}/{repository}/{COMMIT}/w.pt")


def test_the_way_is_reported_in_bytes(hub: Hub, home: Path) -> None:
    events: list[Event] = []
    file = weight(at(hub, "a/a", HubFile(DATA)))
    path = fetch(file, on_event=events.append)
    assert (path, path.read_bytes()) == (download_path(file), DATA)
    assert events[-1] == Progress(done=len(DATA), total=len(DATA), label="w.pt", unit="bytes")
    discard(file)
    assert list((home / "downloads").iterdir()) == []


def test_what_was_sent_wrong_is_an_integrity_error_and_what_was_not_sent_a_missing_one(hub: Hub) -> None:
    wrong = at(hub, "a/a", HubFile(bytes(len(DATA))))
    absent = Source(kind="https", address=f"{hub.store}/nowhere/{COMMIT}/w.pt")
    with pytest.raises(IntegrityError, match=r"sent another file: sha256 .*; .*: not found"):
        fetch(weight(wrong, absent))
    with pytest.raises(MissingError, match="not found"):
        fetch(weight(absent))
    assert not download_path(weight()).parent.exists()


def test_a_checked_file_of_an_earlier_call_is_used_and_a_damaged_one_is_not(hub: Hub) -> None:
    file = weight(at(hub, "a/a", HubFile(DATA)))
    fetch(file)
    asked = len(hub.requests)
    assert fetch(file, offline=True).read_bytes() == DATA
    assert len(hub.requests) == asked
    download_path(file).write_bytes(b"damaged")
    with pytest.raises(MissingError, match="no connection may be opened"):
        fetch(file, offline=True)
    assert not download_path(file).exists()
    assert fetch(file).read_bytes() == DATA


def test_a_shorter_file_elsewhere_does_not_spoil_what_was_fetched(hub: Hub) -> None:
    short, whole = at(hub, "a/a", HubFile(DATA[:4000])), at(hub, "b/b", HubFile(DATA))
    file = weight(short, whole)
    part = download_path(file).with_name("w.pt.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA[:5000])
    assert fetch(file).read_bytes() == DATA
    assert [request.range for request in hub.requests] == ["bytes=5000-", "bytes=5000-"]


@pytest.mark.parametrize("variable", ["P2S2P_OFFLINE", "HF_HUB_OFFLINE"])
def test_a_variable_forbids_connections_to_python_as_well(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(MissingError, match="no connection may be opened"):
        fetch(weight(at(hub, "a/a", HubFile(DATA))))
    assert hub.requests == []


def test_a_server_that_fails_for_a_while_costs_nothing_that_was_fetched(hub: Hub) -> None:
    file = weight(at(hub, "a/a", HubFile(DATA, store_status=503)))
    part = download_path(file).with_name("w.pt.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA[:5000])
    with pytest.raises(MissingError, match=r"the server failed \(503\)"):
        fetch(file)
    assert part.read_bytes() == DATA[:5000]
    tries = limits.LIMITS.tries
    hub.files[f"a/a/{COMMIT}/w.pt"].store_status = 200
    assert fetch(file).read_bytes() == DATA
    assert [request.range for request in hub.requests] == ["bytes=5000-"] * (tries + 1)


def test_nothing_is_fetched_that_could_not_be_checked(hub: Hub) -> None:
    file = weight(at(hub, "a/a", HubFile(DATA)), sha256=None)
    with pytest.raises(MissingError, match="no known sha256") as caught:
        require_source(card_of(file), file)
    assert "then type: p2s2p models import model w.pt" in caught.value.hint
    assert hub.requests == []


def test_a_home_that_cannot_be_written(hub: Hub, home: Path) -> None:
    home.write_text("a file", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        fetch(weight(at(hub, "a/a", HubFile(DATA))))


def test_spaces_of_the_hub_have_an_address_of_their_own() -> None:
    space = Source(kind="hf", address="o/n", revision=COMMIT, path="w.pt", repo_type="space")
    assert space.link == f"https://huggingface.co/spaces/o/n/blob/{COMMIT}/w.pt"
    assert space.fetchable
    assert not Source(kind="hf", address="o/n", revision=COMMIT[:39]).fetchable
    assert not Source(kind="gdrive", address="ID").fetchable
