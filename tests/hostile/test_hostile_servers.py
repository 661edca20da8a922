"""Some faults of servers, addresses and settings, by a seed: two lines and exit 4, or the right model, at once."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SAMPLE = 40


def load(name: str) -> ModuleType:
    """A module of the campaign, which lies outside the package."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where the others look for it
    spec.loader.exec_module(module)
    return module


*_, servers = [load(name) for name in ("fault_server", "server_faults", "setting_faults", "hostile_servers")]
FAULTS = servers.all_faults()
# What was wrong once, and what is said of it now.
SAID = {
    "proxies: proxy socks://localhost:1": "ALL_PROXY is socks://localhost:1, expected a proxy at http://",
    "proxies: proxy socks5h://me:secret@localhost:1": "ALL_PROXY is socks5h://localhost:1, expected a proxy",
    "settings: SSL_CERT_FILE of nowhere": "SSL_CERT_FILE is /nowhere/ca.pem: No such file or directory",
    "settings: SSL_CERT_FILE of a device": "SSL_CERT_FILE is /dev/null: has no certificates in it",
    "settings: HF_ENDPOINT='nonsense'": "HF_ENDPOINT is 'nonsense', expected an address such as https://",
    "settings: HF_ENDPOINT='http://[::1'": "HF_ENDPOINT is 'http://[::1', expected an address such as https://",
    "settings: HF_TOKEN='hf_s\\xe9cret'": "the login of the Hub (HF_TOKEN) has characters that no login has",
    "settings: HF_HUB_ETAG_TIMEOUT='soon'": "HF_HUB_ETAG_TIMEOUT is 'soon', expected whole seconds",
    "addresses: half an IPv6 number": "is no address (https://[::1/w.pt)",
    "addresses: a label of 64 letters": "is no address (https://aaaa",
    "addresses: empty labels": "is no address (https://a..example/w.pt)",
    "TLS: https at a silent plain port": "no answer in time",
    "TLS: https at a plain port that answers": "no TLS connection",
    "TLS: an unknown certificate": "its certificate is not valid: ",
    "TLS: a certificate of another host": "its certificate is not valid: Hostname mismatch",
    "TLS: a certificate of the past": "its certificate is not valid: certificate has expired",
    "time: a body, slowly": "is too slow (",
    "time: headers without end": "sends headers without end",
    "cut: closed without an answer": "closed the connection without an answer",
    "cut: ranges ignored and always cut": "the connection was cut after",
    "waits: Retry-After: 3600": "the server failed (503), and asks to stay away for 1 h 00 min",
    "length: no length, and without end": "sent more than",
    "content: packed by gzip": "sends the file packed (gzip), which was not asked for",
    "redirects: to a file": "redirects to file:",
    "redirects: from https to http": "redirects from https: to http:",
    "redirects: to itself": "redirects more than 8 times",
    "Hub: another hash": "has another file: sha256 abab",
}
CHOSEN = sorted({*SAID, *random.Random(9).sample(sorted(FAULTS), SAMPLE)})

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the server ends connections as POSIX has it")


@pytest.fixture(scope="module")
def campaign() -> Iterator[tuple[object, dict[str, str]]]:
    with servers.campaign() as running:
        yield running


@pytest.mark.parametrize("name", CHOSEN)
def test_a_fault_costs_little_and_is_told(campaign: tuple[object, dict[str, str]], name: str) -> None:
    outcome, again = servers.attack(*campaign[:1], name, FAULTS[name], campaign[1])
    assert outcome.wrong == [] and again.wrong == []
    assert outcome.seconds < servers.SLOW
    assert SAID.get(name, "") in outcome.error


def test_there_are_faults_of_every_kind() -> None:
    assert len(FAULTS) > 300
    assert {FAULTS[name].kind for name in CHOSEN} == {fault.kind for fault in FAULTS.values()}


def test_a_login_that_left_its_host_would_be_seen(campaign: tuple[object, dict[str, str]]) -> None:
    server = campaign[0]
    server.requests = [sys.modules["fault_server"].Request("GET", "/store/w.pt", "localhost:1", 0, "Bearer x")]
    assert servers._leaks(server, "") == ["login sent to localhost:1/store/w.pt"]
    assert servers._leaks(server, f"oh, {servers.SECRET}")[-1] == "a login was printed"


def test_a_model_that_is_not_whole_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "models" / servers.NAME).mkdir(parents=True)
    (tmp_path / "models" / servers.NAME / "generator.safetensors").write_bytes(b"half")
    (tmp_path / "downloads" / "x").mkdir(parents=True)
    (tmp_path / "downloads" / "x" / "w.pt.part").write_bytes(b"longer")
    assert [text.rpartition("/")[2] for text in servers.left_wrong(tmp_path, 4, b"short")] == [
        "w.pt.part has 6 bytes", "a model that is not whole",
    ]  # fmt: skip
