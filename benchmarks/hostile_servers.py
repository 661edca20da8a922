"""``models pull`` against servers, proxies, addresses and settings with every fault that we know, one after another.

    python benchmarks/hostile_servers.py --out benchmarks/records/hostile_servers.json
    python benchmarks/hostile_servers.py --only 'chunk'        # those with this in their names, with what was said

Each fault has to end within seconds, with exit code 4 and two lines, or with the right model installed where it can be
survived; to leave nothing half-written; and to show the login to no other host. Then the same command is given with a
sound source behind the bad one, or with the setting mended, and has to install the right model whatever was left. Times
that the program waits are shortened (``LIMITS`` below). The tests run some of the faults with the same functions.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from unittest import mock

import server_faults
import setting_faults
from fault_server import COMMIT, FILE, Fault, FaultServer, Request
from fault_server import fault_server as running

from pixel2style2pixel_cli.zoo import limits

LIMITS = dataclasses.replace(
    limits.LIMITS, silence=0.4, connect=0.8, headers=1.2, window=0.8, pause=0.05, longest_pause=0.1, longest_wait=1.0
)
SLOW = 10.0  # seconds that no fault may take
NAME, SECRET = "victim", "hf_secret"
SPEC = {"resolution": 32, "style_dim": 32, "z_dim": 16, "channel_multiplier": 1 / 64, "channel_max": 16}
TABLES = (
    server_faults.statuses, server_faults.lengths, server_faults.parts_and_content,
    setting_faults.slow, setting_faults.garbage, setting_faults.leading_away, setting_faults.hub_headers,
    setting_faults.with_tls, setting_faults.addresses, setting_faults.settings,
)  # fmt: skip


@dataclass
class Outcome:
    """What one command did; ``wrong`` says what it must not do."""

    code: int
    error: str
    seconds: float
    bytes: int
    requests: int
    kept: int = 0
    wrong: list[str] = field(default_factory=list)


def all_faults() -> dict[str, Fault]:
    """Every fault by its name."""
    return {f"{fault.kind}: {name}": fault for table in TABLES for name, fault in table().items()}


def checkpoint() -> bytes:
    """A small generator in a published layout, with something more in it, so that it has half a megabyte."""
    import torch

    from pixel2style2pixel_cli.convert.rosinality import publish_generator
    from pixel2style2pixel_cli.networks.specs import GeneratorSpec
    from pixel2style2pixel_cli.networks.stylegan2 import Generator

    torch.manual_seed(0)
    spec = GeneratorSpec(**SPEC, mapping_layers=2)  # type: ignore[arg-type]
    state, average = publish_generator(spec, Generator(spec).state_dict())
    out = io.BytesIO()
    torch.save({"g_ema": state, "latent_avg": average, "rest": torch.rand(100_000)}, out)
    return out.getvalue()


def write_card(folder: Path, data: bytes, sources: list[str], *, sized: bool = True) -> None:
    """The card of the file, with these sources in TOML."""
    spec = "\n".join(f"{key} = {value!r}" for key, value in {**SPEC, "mapping_layers": 2}.items())
    (folder / "zoo" / NAME).mkdir(parents=True, exist_ok=True)
    (folder / "zoo" / NAME / "model.toml").write_text(
        f'name = "{NAME}"\ntasks = []\nlicence = "MIT"\n[spec.generator]\n{spec}\n[[weights]]\nrole = "checkpoint"\n'
        f'file = "{FILE}"\ncontainer = "rosinality-pt"\nsha256 = "{hashlib.sha256(data).hexdigest()}"\n'
        f"{f'size = {len(data)}' if sized else ''}\nsources = [{', '.join(f'{{ {source} }}' for source in sources)}]\n",
        encoding="utf-8",
    )


@contextlib.contextmanager
def settings(folder: Path, server: FaultServer, environment: dict[str, str]) -> Iterator[None]:
    """The environment of a command: short times, the Hub at our server, a login, no proxy unless the fault has one."""
    from huggingface_hub import constants

    values = {"P2S2P_ZOO": str(folder / "zoo"), "P2S2P_HOME": str(folder / "home"), "HF_TOKEN": SECRET}
    values |= {"NO_PROXY": "127.0.0.1,localhost", "HF_HOME": str(folder / "hf")}
    values |= {name: value.format(**server.names) for name, value in environment.items()}
    ours = {
        name: value for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("HF_", "P2S2P_", "SSL_", "HUGGING"))
    }  # fmt: skip
    template = server.names["plain"] + "/{repo_id}/resolve/{revision}/{filename}"
    with (
        mock.patch.dict(os.environ, {**ours, **values}, clear=True),
        mock.patch.object(limits, "LIMITS", LIMITS),
        mock.patch.object(constants, "ENDPOINT", server.names["plain"]),
        mock.patch.object(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template),
    ):
        yield


def pull(folder: Path, server: FaultServer, environment: dict[str, str]) -> Outcome:
    """One ``models pull``, and everything about it that does not depend on the fault."""
    from pixel2style2pixel_cli.cli.app import run

    taken, take = [0], limits.Budget.take

    def count(budget: limits.Budget, number: int) -> None:
        taken[0] += number
        take(budget, number)

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "12")
    started = time.perf_counter()
    with (
        settings(folder, server, environment),
        mock.patch.object(limits.Budget, "take", count),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run(["models", "pull", NAME, "--accept-licence", "-q"])
    seconds = time.perf_counter() - started
    said = err.buffer.getvalue().decode()  # type: ignore[attr-defined]
    outcome = Outcome(code, said, seconds, taken[0], len(server.requests))
    outcome.wrong += _wrong_words(code, said) + _leaks(server, said + out.buffer.getvalue().decode())  # type: ignore[attr-defined]
    most = LIMITS.file_copies * len(server.data) + LIMITS.spare_bytes
    if outcome.bytes > most + (64 << 10):
        outcome.wrong.append(f"took {outcome.bytes} bytes, expected at most {most}")
    if seconds > SLOW:
        outcome.wrong.append(f"took {seconds:.1f} s")
    return outcome


def _wrong_words(code: int, said: str) -> list[str]:
    """Anything but silence and 0, or two printable lines and 4."""
    lines = said.splitlines()
    if code == 0 and not lines:
        return []
    good = len(lines) == 2 and lines[0].startswith("error: ") and lines[1].startswith("hint: ")
    good = good and code == 4 and all(line.isprintable() for line in lines)
    return [] if good else [f"exit {code}: {said[-500:]!r}"]


def _leaks(server: FaultServer, said: str) -> list[str]:
    """Where the login went besides the Hub, and whether it, or that of a proxy, was printed."""

    def is_hub(request: Request) -> bool:
        return not request.tls and request.host == f"127.0.0.1:{server.port}" and request.method != "CONNECT"

    leaks = [f"login sent to {r.host}{r.path}" for r in server.requests if r.login is not None and not is_hub(r)]
    return leaks + ["a login was printed" for word in (SECRET, "secret@", "me:") if word in said]


def left_wrong(home: Path, code: int, data: bytes) -> list[str]:
    """Files that a command must not leave; what can be continued may stay, under its own name."""
    files = [path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock"]
    places = {path.relative_to(home).parts[0] for path in files}
    wrong = sorted(places - {"downloads", "models", "licences.json", "verified"})
    parts = [path for path in files if "downloads" in path.parts]
    wrong += [str(path) for path in parts if code == 0 or path.name != f"{FILE}.part"]
    wrong += [f"{path} has {path.stat().st_size} bytes" for path in parts if path.stat().st_size > len(data)]
    return wrong if ("models" in places) == (code == 0) else [*wrong, "a model that is not whole"]


def installed(home: Path) -> dict[str, str]:
    """The files of the model, by their sha256."""
    folder = home / "models" / NAME
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.safetensors"))}


def attack(server: FaultServer, name: str, fault: Fault, expected: dict[str, str]) -> tuple[Outcome, Outcome]:
    """The command with the fault alone, and once more with a sound source behind it or the setting mended."""
    with tempfile.TemporaryDirectory() as place:
        folder, data = Path(place), server.data
        if fault.before is not None:
            part = folder / "home" / "downloads" / hashlib.sha256(data).hexdigest()[:16] / f"{FILE}.part"
            part.parent.mkdir(parents=True)
            part.write_bytes(fault.before(data))
        hub = f'hf = "owner/repo", revision = "{COMMIT}", path = "{FILE}"'
        address = json.dumps(fault.address.format(**server.names), ensure_ascii=False)
        source = f"https = {address}" if fault.address else hub
        write_card(folder, data, [source], sized=fault.sized)
        server.begin(fault)
        outcome = pull(folder, server, fault.environment)
        outcome.kept = sum(path.stat().st_size for path in (folder / "home").rglob("*.part"))
        outcome.wrong += left_wrong(folder / "home", outcome.code, data)
        if outcome.code != (0 if fault.survives else 4):
            outcome.wrong.append(f"exit {outcome.code}: {outcome.error.strip()[:300]}")
        if outcome.code == 0:
            if installed(folder / "home") != expected:
                outcome.wrong.append("another model was installed")
            return outcome, outcome
        write_card(folder, data, [source, f'https = "{server.names["plain"]}/good/{FILE}"'], sized=fault.sized)
        if fault.place == "raw":
            server.begin(dataclasses.replace(fault, answer=None, place="store"))
        mended = {} if fault.kind in ("settings", "proxies") else fault.environment
        again = pull(folder, server, mended)
        again.wrong += left_wrong(folder / "home", again.code, data)
        if again.code != 0 or installed(folder / "home") != expected:
            again.wrong.append(f"not mended, exit {again.code}: {again.error.strip()[:300]}")
        return outcome, again


@contextlib.contextmanager
def campaign() -> Iterator[tuple[FaultServer, dict[str, str]]]:
    """A running server, and the files of the model that its sound answers make."""
    with running(checkpoint()) as server, tempfile.TemporaryDirectory() as place:
        server.begin(Fault(kind=""))
        write_card(Path(place), server.data, [f'hf = "owner/repo", revision = "{COMMIT}", path = "{FILE}"'])
        outcome = pull(Path(place), server, {})
        if outcome.code != 0:
            raise SystemExit(f"a sound server does not help: {outcome.error}")
        yield server, installed(Path(place) / "home")


def main() -> int:
    """Run the faults and write the record; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="", help="faults with this in their names, with what was said of them")
    parser.add_argument("--out", type=Path, help="where the record goes")
    arguments = parser.parse_args()
    faults = {name: fault for name, fault in all_faults().items() if arguments.only in name}
    kinds: dict[str, Counter[str]] = {}
    first: list[Outcome] = []
    again: list[Outcome] = []
    wrong: list[str] = []
    with campaign() as (server, expected):
        for name, fault in faults.items():
            outcome, second = attack(server, name, fault, expected)
            first.append(outcome)
            again += [second] if second is not outcome else []
            problems = [*outcome.wrong, *(f"afterwards: {text}" for text in second.wrong if second is not outcome)]
            wrong += [f"{name}: {text}" for text in problems]
            kind = kinds.setdefault(fault.kind, Counter(faults=0, survived=0, refused=0, kept=0, wrong=0))
            kind.update(faults=1, survived=outcome.code == 0, refused=outcome.code == 4, kept=outcome.kept > 0)
            kind.update(wrong=bool(problems))
            if arguments.only:
                print(f"{name}\n  exit {outcome.code}, {outcome.seconds:.2f} s, {outcome.requests} requests, "
                      f"{outcome.bytes} bytes, kept {outcome.kept}\n  {outcome.error.strip()}", flush=True)  # fmt: skip
    for name, kind in kinds.items():
        print(f"{name}: {dict(kind)}")
    print(*wrong, sep="\n")
    every = first + again
    size = len(server.data)
    from command import record_head  # and with it much that the tests do not need

    record = record_head("python benchmarks/hostile_servers.py") | {
        "file_bytes": size,
        "faults": len(first),
        "commands": len(every),
        "exit_codes": {str(code): count for code, count in sorted(Counter(o.code for o in every).items())},
        "tracebacks": sum("Traceback" in o.error for o in every),
        "other_than_two_lines": sum("Traceback" not in o.error and bool(_wrong_words(o.code, o.error)) for o in every),
        "half_written_files": sum("model that is not whole" in text for text in wrong),
        "logins_leaked": sum("login" in text for text in wrong),
        "mended_afterwards": sum(o.code == 0 for o in again),
        "longest_seconds": round(max(o.seconds for o in every), 2),
        "most_requests": max(o.requests for o in first),
        "most_bytes": max(o.bytes for o in every),
        "most_bytes_by_size": round(max(o.bytes for o in every) / size, 2),
        "wrong": wrong,
        "kinds": {name: dict(kind) for name, kind in kinds.items()},
        "limits": asdict(LIMITS),
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
