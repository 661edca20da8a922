"""``models pull`` and ``remove`` against a Hub on the loopback address: what is installed, and what faults leave."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hub_server import COMMIT, Hub, HubFile, hub_server
from huggingface_hub import constants
from published import ACCEPTED, FILE, NAME, PULL, cached, hf, installed, write_card
from real_run import Call, RealRun
from tiny_zoo import tiny_model, write_published

from pixel2style2pixel_cli.cli.app import run
from pixel2style2pixel_cli.zoo import limits

PIECE = 4096


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small checkpoint in the published layout."""
    return write_published(tmp_path_factory.mktemp("published") / FILE, tiny_model()).read_bytes()


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The Hub that huggingface_hub talks to in this process: short waits, a login."""
    with hub_server() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(limits, "LIMITS", replace(limits.LIMITS, silence=0.3, pause=0.0))
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        yield server


@pytest.fixture
def cli(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Call:
    """Run one command line for real, in a zoo that ``write_card`` fills and a home folder of its own."""
    (folder / "zoo").mkdir()
    monkeypatch.setenv("P2S2P_ZOO", str(folder / "zoo"))
    monkeypatch.setenv("P2S2P_HOME", str(folder / "home"))

    def call(*arguments: str) -> RealRun:
        capsysbinary.readouterr()
        code = run(arguments)
        captured = capsysbinary.readouterr()
        return RealRun(code=code, out=captured.out, err=captured.err.decode())

    return call


def test_a_published_model_is_fetched_installed_and_used(
    cli: Call, hub: Hub, folder: Path, checkpoint: bytes, tmp_path: Path
) -> None:
    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint))
    result = cli(*PULL, "--accept-licence")
    assert result.code == 0, result.err
    first, *rest = result.err.splitlines()
    assert first.startswith(f"licence nvidia-nc of {FILE} (") and first.endswith("/LICENSE.txt")
    assert rest[0] == f"fetching {FILE} from first/repo"
    assert b"status" in result.out and b"installed" in result.out
    files = installed(folder)
    assert set(files) == {"encoder.safetensors", "generator.safetensors", "installed.json"}
    assert cached(folder) == sorted(f"models/{NAME}/{name}" for name in files)  # the original is gone
    # the same bytes imported by hand are the same model
    (folder / FILE).write_bytes(checkpoint)
    assert cli("models", "import", NAME, FILE, "-q").code == 0
    assert installed(folder) == files
    before = len(hub.requests)
    again = cli(*PULL, "--json")
    assert (again.code, again.rows) == (
        0,
        [{"event": "pull", "schema": 1, "name": NAME, "status": "already installed"}],
    )
    assert len(hub.requests) == before
    assert cli("models", "verify", NAME).code == 0


def test_the_login_reaches_the_hub_and_no_other_host(cli: Call, hub: Hub, folder: Path, checkpoint: bytes) -> None:
    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint))
    assert cli(*ACCEPTED).code == 0
    assert {request.login for request in hub.asked("HEAD") + hub.asked("GET", "/first")} == {"Bearer hf_secret"}
    assert [request.login for request in hub.asked("GET", "/store")] == [None]


def test_a_plain_address_gets_no_login(cli: Call, hub: Hub, folder: Path, checkpoint: bytes) -> None:
    hub.add("any/where", FILE, HubFile(checkpoint))
    write_card(folder, checkpoint, f'https = "{hub.store}/any/where/{COMMIT}/{FILE}"')
    assert cli(*ACCEPTED).code == 0
    assert [(request.method, request.login) for request in hub.asked("GET")] == [("GET", None)]
    assert hub.asked("HEAD") == []


def test_a_generator_is_pulled_by_itself(cli: Call, hub: Hub, folder: Path) -> None:
    import torch
    from tiny_zoo import GENERATOR

    from pixel2style2pixel_cli.convert.rosinality import publish_generator

    state, average = publish_generator(GENERATOR, tiny_model().generator)
    torch.save({"g_ema": state, "latent_avg": average}, folder / FILE)
    data = (folder / FILE).read_bytes()
    write_card(folder, data, hf("first/repo"))
    card = folder / "zoo" / NAME / "model.toml"
    text = card.read_text(encoding="utf-8")
    encoder = text[text.index("[spec.encoder]") : text.index("[spec.generator]")]
    card.write_text(text.replace(encoder, "").replace('tasks = ["invert"]', "tasks = []"), encoding="utf-8")
    hub.add("first/repo", FILE, HubFile(data))
    result = cli(*PULL, "--accept-licence", "--json")
    assert (result.code, list(result.rows[0]["files"])) == (0, ["generator"])
    assert set(installed(folder)) == {"generator.safetensors", "installed.json"}
    (shown,) = cli("models", "show", NAME, "--json").rows
    assert (shown["weights"][0]["grade"], shown["auto"]) == ("none", True)
    assert list(shown["installed"]) == ["generator"]


PAGE = b"<!DOCTYPE html><html><title>Quota exceeded</title></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.mark.parametrize(
    ("fault", "reason", "asked_for_content"),
    [
        (lambda good: HubFile(good[: len(good) // 2]), "has another file: {half} bytes, expected {size}", False),
        (lambda good: HubFile(good[: len(good) // 2], claimed=good), "has another file: {half} bytes, expected", True),
        (lambda good: HubFile(bytes(len(good))), "has another file: sha256 ", False),
        (lambda good: HubFile(bytes(len(good)), claimed=good), "sent another file: sha256 ", True),
        (lambda good: HubFile(good + b"more", claimed=good), "has another file: {more} bytes, expected {size}", True),
        (lambda good: HubFile(PAGE, claimed=good), "sent a web page, not weights", True),
        (lambda good: HubFile(POINTER, claimed=good), "sent a Git LFS pointer, not weights", True),
        (lambda good: HubFile(good, status=401), "needs a login (401)", False),
        (lambda good: HubFile(good, status=403), "refuses access (403)", False),
        (lambda good: HubFile(good, status=404), "not found (404)", False),
        (lambda good: HubFile(good, status=429), "too many requests (429)", False),
        (lambda good: HubFile(good, status=500), "the server failed (500)", False),
        (lambda good: HubFile(good, store_status=503), "the server failed (503)", True),
        (lambda good: HubFile(good, stall=threading.Event(), stalls_after=-1), "no answer in time", False),
        (lambda good: HubFile(good, stall=threading.Event()), "no answer in time", True),
    ],
)
def test_a_fault_is_explained_leaves_nothing_and_the_next_source_helps(
    cli: Call, hub: Hub, folder: Path, checkpoint: bytes, fault: object, reason: str, asked_for_content: bool
) -> None:
    assert callable(fault)
    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, fault(checkpoint))
    result = cli(*ACCEPTED)
    assert result.code == 4
    ((error, hint),) = result.problems
    wanted = reason.format(half=len(checkpoint) // 2, more=len(checkpoint) + 4, size=len(checkpoint))
    assert error.startswith(f"{FILE} could not be fetched: first/repo: {wanted}")
    assert error.endswith("; Google Drive: fetched by hand only")
    assert "https://drive.google.com/file/d/DRIVE/view" in hint
    assert hint.endswith(f"p2s2p models import {NAME} {FILE}")
    assert cached(folder) == []
    assert bool(hub.asked("GET")) == asked_for_content
    write_card(folder, checkpoint, hf("first/repo"), hf("second/repo"))
    hub.add("second/repo", FILE, HubFile(checkpoint))
    again = cli(*ACCEPTED)
    assert again.code == 0, again.err
    assert installed(folder)


def test_where_nothing_listens(cli: Call, folder: Path, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{taken.getsockname()[1]}"
    write_card(folder, checkpoint, f'https = "{gone}/{FILE}"')
    result = cli(*ACCEPTED)
    ((error, _),) = result.problems
    assert (result.code, cached(folder)) == (4, [])
    assert f"{gone.removeprefix('http://')}: the connection failed" in error


def test_a_hub_source_that_is_not_pinned_is_not_used(cli: Call, hub: Hub, folder: Path, checkpoint: bytes) -> None:
    write_card(folder, checkpoint, hf("first/repo", "main"), hf("first/repo", "0123456"))
    hub.add("first/repo", FILE, HubFile(checkpoint), "main")
    result = cli(*ACCEPTED)
    ((error, _),) = result.problems
    assert (result.code, hub.requests, cached(folder)) == (4, [], [])
    assert error == f"{FILE} is at no place that a program may fetch it from"
    write_card(folder, checkpoint, hf("first/repo", "main"), hf("second/repo"))
    ((error, _),) = cli(*ACCEPTED).problems
    assert "first/repo: not pinned to a commit of 40 hex digits; second/repo: not found (404)" in error


def test_a_cut_connection_is_resumed(cli: Call, hub: Hub, folder: Path, checkpoint: bytes) -> None:
    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint, cuts=[2 * PIECE, PIECE]))
    assert cli(*ACCEPTED).code == 0
    asked = hub.asked("GET", "/store")
    assert [request.range for request in asked] == [None, f"bytes={2 * PIECE}-", f"bytes={3 * PIECE}-"]
    assert sum(request.sent for request in asked) == len(checkpoint)  # nothing was fetched twice
    assert installed(folder)


def test_what_was_fetched_is_continued_by_the_next_call_and_from_another_source(
    cli: Call, hub: Hub, folder: Path, checkpoint: bytes
) -> None:
    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint, cuts=[3 * PIECE, *[0] * 20]))
    result = cli(*ACCEPTED)
    ((error, _),) = result.problems
    assert result.code == 4 and "first/repo: the connection was cut" in error
    (part,) = cached(folder)
    assert part.endswith(f"/{FILE}.part")  # under no name that anything else would take for the file
    write_card(folder, checkpoint, hf("second/repo"))
    hub.add("second/repo", FILE, HubFile(checkpoint))
    assert cli(*ACCEPTED).code == 0
    assert [request.range for request in hub.asked("GET", "/store/second")] == [f"bytes={3 * PIECE}-"]
    assert all(name.startswith("models/") for name in cached(folder))


@pytest.mark.parametrize("left", [b"damaged" * 1000, b"too long" * 500_000])
def test_a_damaged_part_is_fetched_anew_once(cli: Call, hub: Hub, folder: Path, checkpoint: bytes, left: bytes) -> None:
    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint))
    part = folder / "home" / "downloads" / hashlib.sha256(checkpoint).hexdigest()[:16] / f"{FILE}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    assert cli(*ACCEPTED).code == 0
    assert hub.asked("GET", "/store")[-1].range is None
    assert installed(folder)


def test_a_server_without_ranges_sends_all_of_it(cli: Call, hub: Hub, folder: Path, checkpoint: bytes) -> None:
    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint, cuts=[2 * PIECE], ranges=False))
    assert cli(*ACCEPTED).code == 0
    assert installed(folder)


def test_the_mirror_comes_first_and_its_hash_counts(
    cli: Call, hub: Hub, folder: Path, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2S2P_MIRROR", "our/mirror")
    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint))
    mirrored = hub.add("our/mirror", FILE, HubFile(bytes(len(checkpoint)), claimed=checkpoint), "main")
    assert cli(*ACCEPTED).code == 0
    assert [request.path.split("/")[2] for request in hub.asked("GET", "/store")] == ["our", "first"]
    assert cli("models", "remove", NAME).code == 0
    mirrored.body = checkpoint
    assert cli(*ACCEPTED).code == 0
    assert len(hub.asked("HEAD", "/first")) == 1
    monkeypatch.setenv("P2S2P_MIRROR", "no repository")
    assert cli("models", "remove", NAME).code == 0
    result = cli(*ACCEPTED)
    ((error, _),) = result.problems
    assert result.code == 2 and error.startswith("P2S2P_MIRROR is no repository")


@pytest.mark.parametrize("variable", [None, "P2S2P_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_opens_no_connection(
    cli: Call, hub: Hub, folder: Path, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint))

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    if variable:
        monkeypatch.setenv(variable, "1")
    result = cli(*ACCEPTED, *([] if variable else ["--offline"]))
    ((error, hint),) = result.problems
    assert (result.code, cached(folder), hub.requests) == (4, [], [])
    assert error.startswith(f"{FILE} (sha256 {hashlib.sha256(checkpoint).hexdigest()}) is not here")
    assert f"p2s2p models pull {NAME}" in hint and f"p2s2p models import {NAME} {FILE}" in hint


def test_the_terms_come_before_the_first_byte(
    cli: Call, hub: Hub, folder: Path, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint))
    result = cli(*PULL, "-q")
    assert (result.code, hub.requests, cached(folder)) == (4, [], [])
    assert result.problems == [
        (
            f"the licence nvidia-nc of {NAME} is not accepted",
            "read https://github.com/NVlabs/stylegan2-ada-pytorch/blob/main/LICENSE.txt, then type: "
            f"p2s2p models pull {NAME} --accept-licence, or set P2S2P_ACCEPT_LICENCE=nvidia-nc",
        )
    ]
    monkeypatch.setenv("P2S2P_ACCEPT_LICENCE", "s-lab-1.0")
    assert cli(*PULL).code == 4
    monkeypatch.setenv("P2S2P_ACCEPT_LICENCE", "s-lab-1.0, nvidia-nc")
    assert cli(*PULL).code == 0
    monkeypatch.delenv("P2S2P_ACCEPT_LICENCE")
    assert cli("models", "remove", NAME).code == 0
    assert "licence nvidia-nc of" not in cli(*PULL).err  # accepted once, not asked again
    assert installed(folder)


@pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("n\n", 4), ("", 4)])
def test_on_a_terminal_a_question_is_put(
    cli: Call, hub: Hub, folder: Path, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint))
    typed = io.StringIO(answer)
    monkeypatch.setattr(typed, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", typed)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    result = cli(*PULL)
    assert result.code == code
    assert result.err.splitlines()[1] == "accept nvidia-nc? Type yes or no:"
    assert bool(hub.requests) == (code == 0)


def test_no_room_is_said_before_the_first_byte(
    cli: Call, hub: Hub, folder: Path, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    result = cli(*ACCEPTED)
    ((error, hint),) = result.problems
    assert (result.code, hub.asked("GET"), cached(folder)) == (3, [], [])
    assert "GB free" in error and "P2S2P_HOME" in hint


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_disk_that_fills_up_keeps_what_there_is(cli: Call, hub: Hub, folder: Path, checkpoint: bytes) -> None:
    import resource

    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * PIECE, before[1]))
    try:
        result = cli(*ACCEPTED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    ((error, hint),) = result.problems
    assert result.code == 3 and error.endswith(f"{FILE}.part cannot be written: File too large")
    assert "what is fetched already is kept" in hint
    assert cli(*ACCEPTED).code == 0
    assert hub.asked("GET", "/store")[-1].range == f"bytes={2 * PIECE}-"


def test_names_are_checked_before_anything_is_fetched(cli: Call, hub: Hub, folder: Path, checkpoint: bytes) -> None:
    write_card(folder, checkpoint, hf("first/repo"))
    hub.add("first/repo", FILE, HubFile(checkpoint))
    result = cli(*PULL, "publishd", "--accept-licence", "-q")
    assert result.code == 4 and hub.requests == []
    assert "did you mean published?" in result.problems[0][1]


def test_two_models_by_one_command(cli: Call, hub: Hub, folder: Path, checkpoint: bytes) -> None:
    write_card(folder, checkpoint, hf("first/repo"))
    write_card(folder, checkpoint, hf("first/repo"), name="other")
    hub.add("first/repo", FILE, HubFile(checkpoint))
    result = cli("models", "pull", NAME, "other", "--accept-license", "--json")
    assert result.code == 0
    assert [(row["name"], row["status"]) for row in result.rows] == [(NAME, "installed"), ("other", "installed")]
    assert result.rows[0]["digests"] == result.rows[1]["digests"]
    assert result.err.count("licence nvidia-nc of") == 1
    removed = cli("models", "remove", "other", NAME, "other", "--json")
    assert removed.code == 0 and cached(folder) == []
    assert [row["name"] for row in removed.rows] == ["other", NAME]
    assert all(row["freed"] > 100_000 for row in removed.rows)


def test_another_process_is_waited_for_by_the_user(cli: Call, hub: Hub, folder: Path, checkpoint: bytes) -> None:
    from pixel2style2pixel_cli.zoo.download import hold
    from pixel2style2pixel_cli.zoo.find import find_card

    write_card(folder, checkpoint, hf("first/repo"))
    weight = find_card(NAME).weight("checkpoint")
    assert weight is not None
    with hold(weight):
        result = cli(*ACCEPTED)
    ((error, _),) = result.problems
    assert (result.code, error, hub.requests) == (4, f"another p2s2p is fetching {FILE}", [])


def test_only_what_was_imported_is_removed(cli: Call, folder: Path, checkpoint: bytes) -> None:
    write_card(folder, checkpoint, hf("first/repo"))
    (folder / FILE).write_bytes(checkpoint)
    for name in (NAME, "mine"):
        assert cli("models", "import", name, FILE, "-q").code == 0
    result = cli("models", "remove", "mine")
    assert result.code == 0 and result.out.startswith(b"removed mine: ") and result.out.endswith(b" freed\n")
    assert not (folder / "home" / "models" / "mine").exists() and installed(folder)
    result = cli("models", "remove", NAME, "mine")
    assert result.code == 4 and "no model is called 'mine'" in result.problems[0][0]
    assert installed(folder)  # one wrong name, and none is removed
    (folder / "zoo" / NAME / "model.toml").unlink()
    assert cli("models", "remove", NAME).code == 0  # also where the zoo no longer has its card
    for name in ("../zoo", str(folder / "zoo"), "..", "."):
        assert cli("models", "remove", name).code != 0
    assert (folder / "zoo").is_dir()


def test_a_bundled_model_stays(real: Call) -> None:
    result = real("models", "remove", "tiny-invert")
    assert (result.code, result.problems[0][0]) == (2, "tiny-invert is bundled with the program")
    result = real("models", "pull", "tiny-invert")
    assert result.code == 0 and "tiny-invert is bundled already" in result.err
