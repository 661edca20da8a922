"""``models pull`` as a process that is killed: the same command goes on, and what is installed is the same."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from hub_server import Hub, HubFile, hub_server
from published import ACCEPTED, FILE, NAME, cached, hf, installed, write_card
from real_run import Call, contents
from tiny_zoo import tiny_model, write_published

from pixel2style2pixel_cli.install.adopt import import_model


def process(folder: Path, hub: Hub) -> dict[str, object]:
    """How a command line is started as a process of its own, which finds the Hub by HF_ENDPOINT alone."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(folder / "hf"),
        "HF_TOKEN": "hf_secret",
        "P2S2P_ZOO": str(folder / "zoo"),
        "P2S2P_HOME": str(folder / "home"),
    }
    command = [sys.executable, "-m", "pixel2style2pixel_cli", *ACCEPTED]
    return {"args": command, "env": environment, "cwd": folder, "stderr": subprocess.PIPE, "text": True}


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_killed_in_the_middle_the_same_command_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub_server() as hub:
        check_killed(hub, folder, tmp_path, monkeypatch)


def check_killed(hub: Hub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piece = 10 * 1024 * 1024
    (folder / "zoo").mkdir()
    content = torch.load(write_published(tmp_path / FILE, tiny_model()), weights_only=True)
    torch.save({**content, "optimizer": torch.zeros(3_000_000)}, tmp_path / FILE)
    data = (tmp_path / FILE).read_bytes()
    write_card(folder, data, hf("first/repo"))
    file = hub.add("first/repo", FILE, HubFile(data, stall=threading.Event(), stalls_after=piece))
    running = subprocess.Popen(**process(folder, hub))  # type: ignore[call-overload]
    parts, deadline = [], time.monotonic() + 60
    while not any(part.stat().st_size == piece for part in parts):
        assert time.monotonic() < deadline and running.poll() is None, running.communicate()
        time.sleep(0.05)
        parts = list((folder / "home").rglob("*.part"))
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert file.stall is not None
    file.stall.set()
    file.stall = None
    done = subprocess.run(**process(folder, hub), check=False)  # type: ignore[call-overload]
    assert (done.returncode, done.stderr) == (0, "")
    assert hub.asked("GET", "/store")[-1].range == f"bytes={piece}-"
    pulled = installed(folder)
    assert not (folder / "hf" / "hub").exists()  # neither does huggingface_hub keep a copy
    assert all(name.startswith("models/") for name in cached(folder))
    monkeypatch.setenv("P2S2P_ZOO", str(folder / "zoo"))
    monkeypatch.setenv("P2S2P_HOME", str(folder / "other"))
    import_model(NAME, tmp_path / FILE)
    assert contents(folder / "other" / "models" / NAME) == pulled


@pytest.mark.parametrize("left", [FILE, f"{FILE}.part"])
def test_what_a_kill_left_of_the_download_goes_once_the_model_is_installed(
    real: Call, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """Killed between the last rename and the removal of what was fetched, gigabytes stayed for ever."""
    (folder / "zoo").mkdir()
    data = write_published(tmp_path / FILE, tiny_model()).read_bytes()
    write_card(folder, data, hf("first/repo"))
    monkeypatch.setenv("P2S2P_ZOO", str(folder / "zoo"))
    monkeypatch.setenv("P2S2P_HOME", str(folder / "home"))
    import_model(NAME, tmp_path / FILE)
    rest = folder / "home" / "downloads" / hashlib.sha256(data).hexdigest()[:16] / left
    rest.parent.mkdir(parents=True)
    rest.write_bytes(data)
    before = installed(folder)
    assert real(*ACCEPTED).code == 0
    assert installed(folder) == before and cached(folder) == [f"models/{NAME}/{name}" for name in sorted(before)]
