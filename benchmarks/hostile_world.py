"""A small world to attack the program in: tiny models, inputs of every task, and commands as processes that can be hit.

Most runs are forked from one process that has imported everything, which costs a tenth of a start; ``Fresh`` starts
them as a shell would. Both can set limits, close streams, take root's powers away, and count what changes the disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import fcntl
import json
import mmap
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[1]
TESTS = (ROOT / "tests", ROOT / "tests" / "cli", ROOT / "tests" / "unit" / "training")
LONGEST = 240.0  # of a command that nothing disturbs, on a busy machine
_HIGHEST = 256  # file descriptor that a fork may have from its parent
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CAPABILITIES = (1, 2, 3)  # to write, read and own whatever the permissions say
_CHANGES = {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """One command line and where it runs; streams are paths, ``closed``, or standard input as a path to read.

    ``at``: the command sends itself ``signal`` before its change of the disk with that number, the first being 0.
    """

    arguments: Sequence[str]
    cwd: str
    environment: Mapping[str, str]
    stdin: str = os.devnull
    stdout: str = "out.txt"
    stderr: str = "err.txt"
    limits: Mapping[str, int] = field(default_factory=dict)
    powerless: bool = False
    user: int = 0  # whose limits count, where root starts the campaign; its powers over files stay
    umask: int = 0o022
    before: str = ""  # a file of Python that runs in the process before the program does
    at: int = -1
    signal: int = signal.SIGKILL


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended: its exit code, negative for a signal that ended it, and what it said and took."""

    code: int
    out: str
    err: str
    seconds: float
    peak_mb: int
    cpu: float
    changes: int = 0
    hung: bool = False

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The whole JSON lines of standard output."""
        lines = [line for line in self.out.splitlines(keepends=True) if line.endswith("\n")]
        return [json.loads(line) for line in lines if line.startswith("{")]


def enter(request: Request) -> None:
    """Make this process what the request asks for; standard streams come last, so that failures are seen."""
    os.chdir(request.cwd)
    os.umask(request.umask)
    streams = [
        _opened(request.stdin, os.O_RDONLY),
        *(_opened(p, os.O_WRONLY) for p in (request.stdout, request.stderr)),
    ]
    if request.powerless:
        _drop_powers()
    if request.user and os.geteuid() == 0:
        _become(request.user)
    for name, most in request.limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    for number, opened in enumerate(streams):
        if opened is None:
            with contextlib.suppress(OSError):
                os.close(number)
        else:
            os.dup2(opened, number)
            os.close(opened)


def _opened(path: str, flags: int) -> int | None:
    if path == "closed":
        return None
    if path == "pipe":  # that nobody reads
        ends = os.pipe()
        os.close(ends[0])
        return fcntl.fcntl(ends[1], fcntl.F_DUPFD, 3)
    made = os.O_CREAT | os.O_TRUNC if flags == os.O_WRONLY and not path.startswith("/dev/") else 0
    handle = os.open(path, flags | made, 0o666)
    return fcntl.fcntl(handle, fcntl.F_DUPFD, 3) if handle < 3 else handle  # one stream cannot close another


def _drop_powers() -> None:
    """Take from root what lets it pass permissions, now and after an exec; nothing to do for others."""
    if os.geteuid() != 0:
        return
    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    library.capget(header, data)
    for number in _CAPABILITIES:
        library.prctl(24, number, 0, 0, 0)  # PR_CAPBSET_DROP
        for group in (0, 1, 2):
            data[group] &= ~(1 << number)
    if library.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _become(user: int) -> None:
    """Another user, whose number of processes is limited, that still may read and write what root may."""
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    bits = sum(1 << number for number in _CAPABILITIES)
    if library.capset(header, (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    for number in _CAPABILITIES:
        library.prctl(47, 2, number, 0, 0)  # PR_CAP_AMBIENT_RAISE


def _watch_changes(counter: mmap.mmap, request: Request) -> None:
    """Count what changes the disk, from any thread, and strike at the wanted number."""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not writes or not isinstance(path, (str, bytes)) or os.fsdecode(path).startswith(("/dev/", "/proc/")):
                return
        elif event not in _CHANGES:
            return
        number = int.from_bytes(counter[:8], "little")
        counter[:8] = (number + 1).to_bytes(8, "little")
        if number == request.at:
            os.kill(os.getpid(), request.signal)

    sys.addaudithook(hook)


class Fresh:
    """Commands as a shell starts them: a new interpreter each."""

    def start(self, request: Request) -> int:
        self._request, self._started = request, time.monotonic()
        command = [sys.executable, "-P", "-m", "pixel2style2pixel_cli", *request.arguments]
        if request.before:
            code = f"exec(open({request.before!r}).read()); from pixel2style2pixel_cli.__main__ import main; main()"
            command[1:4] = ["-P", "-c", code]
        self._running = subprocess.Popen(
            command, env=dict(request.environment), preexec_fn=lambda: enter(request), close_fds=True
        )
        return self._running.pid

    def wait(self, timeout: float = LONGEST) -> Ended:
        until, status, hung = time.monotonic() + timeout, 0, False
        while True:
            pid, status, used = os.wait4(self._running.pid, os.WNOHANG)
            if pid:
                break
            if not hung and time.monotonic() > until:
                hung = True
                os.kill(self._running.pid, signal.SIGKILL)
            time.sleep(0.01)
        self._running.returncode = os.waitstatus_to_exitcode(status)
        return _ended(self._request, status, time.monotonic() - self._started, _used(used), 0, hung)

    def close(self) -> None:
        pass


class Server:
    """Commands forked from a process of its own that has imported everything and computed nothing."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), "--serve"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=plain_environment(), start_new_session=True,
        )  # fmt: skip
        self._answers = b""

    def start(self, request: Request) -> int:
        assert self._process.stdin is not None
        self._request, self._started = request, time.monotonic()
        self._process.stdin.write(json.dumps(dataclasses.asdict(request)).encode() + b"\n")
        self._process.stdin.flush()
        self._pid = int(self._answer(LONGEST)["pid"])
        return self._pid

    def wait(self, timeout: float = LONGEST) -> Ended:
        hung = False
        try:
            found = self._answer(timeout)
        except TimeoutError:
            hung = True
            os.kill(self._pid, signal.SIGKILL)
            found = self._answer(LONGEST)
        seconds = time.monotonic() - self._started
        return _ended(self._request, found["status"], seconds, (found["peak_kb"], found["cpu"]), found["changes"], hung)

    def _answer(self, timeout: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        until = time.monotonic() + timeout
        while b"\n" not in self._answers:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError
            data = os.read(self._process.stdout.fileno(), 65536)
            if not data:
                raise EOFError("the process that forks has ended")
            self._answers += data
        line, _, self._answers = self._answers.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _ended(request: Request, status: int, seconds: float, used: tuple[int, float], changes: int, hung: bool) -> Ended:
    out, err = (_said(Path(request.cwd) / path) for path in (request.stdout, request.stderr))
    return Ended(
        code=os.waitstatus_to_exitcode(status), out=out, err=err, seconds=seconds, cpu=used[1],
        peak_mb=int(used[0]) // 1024, changes=changes, hung=hung,
    )  # fmt: skip


def _used(used: resource.struct_rusage) -> tuple[int, float]:
    """Most memory in kB, and seconds of work."""
    return used.ru_maxrss, used.ru_utime + used.ru_stime


def _said(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def plain_environment(**more: str) -> dict[str, str]:
    """The variables of the caller without those that the program listens to; one thread, this package."""
    ours = ("P2S2P_", "_P2S2P", "SLURM_", "HF_", "NO_COLOR", "FORCE_COLOR")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1,localhost"} | more


def serve() -> None:
    """Fork once for each request on standard input; two answers each, when it has begun and when it has ended."""
    import gc
    import importlib
    import pkgutil

    import pixel2style2pixel_cli

    for module in pkgutil.walk_packages(pixel2style2pixel_cli.__path__, "pixel2style2pixel_cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for late in (
        "torch._dynamo",
        "typer._adapters",
        "pydantic_core",
        "safetensors.torch",
    ):  # what commands import later
        with contextlib.suppress(ImportError):
            importlib.import_module(late)
    gc.collect()
    gc.freeze()  # what a collection looks at would be copied for every command
    counter = mmap.mmap(-1, 8)
    answers = os.fdopen(os.dup(1), "w")
    requests = os.fdopen(os.dup(0))
    while line := requests.readline():
        request = Request(**json.loads(line))
        counter[:8] = bytes(8)
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # until the program listens, which an exec does at once
        pid = os.fork()
        if pid == 0:
            _run_forked(request, counter)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        print(json.dumps({"pid": pid}), file=answers, flush=True)
        _, status, used = os.wait4(pid, 0)
        done = {"status": status, "changes": int.from_bytes(counter[:8], "little")}
        done |= dict(zip(("peak_kb", "cpu"), _used(used), strict=True))
        print(json.dumps(done), file=answers, flush=True)


def _run_forked(request: Request, counter: mmap.mmap) -> None:
    from pixel2style2pixel_cli.__main__ import main
    from pixel2style2pixel_cli.cli import signals

    watch = signals.watch

    def listen() -> None:
        watch()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)

    signals.watch = listen
    os.closerange(3, _HIGHEST)
    os.environ.clear()
    os.environ.update(request.environment)
    enter(request)
    sys.stdin, sys.stdout, sys.stderr = (_stream(n, mode) for n, mode in enumerate("rww"))
    sys.argv = ["p2s2p", *request.arguments]
    if request.before:
        exec(Path(request.before).read_text(), {})
    _watch_changes(counter, request)
    main()


def _stream(number: int, mode: str) -> Any:
    """What the interpreter makes of a descriptor, nothing where it is closed."""
    try:
        os.fstat(number)
    except OSError:
        return None
    return open(number, mode, encoding="utf-8", closefd=False)


@contextlib.contextmanager
def scratch(folder: Path | None = None) -> Iterator[Path]:
    """A temporary folder, with whatever permissions its contents have gone with the block."""
    made = Path(tempfile.mkdtemp(prefix="p2s2p-hostile-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def build_zoo(folder: Path) -> Path:
    """A model of a few pixels for every task, and a checkpoint of the published kind; in a process of its own."""
    code = (
        "import sys; from pathlib import Path; import tiny_zoo, tiny_runs; root = Path(sys.argv[1])\n"
        "tiny_zoo.write_task_zoo(root / 'zoo')\n"
        "tiny_zoo.write_published(root / 'published.pt', tiny_zoo.tiny_model())\n"
        "tiny_runs.write_shard(root / 'discs.npz', 20)\n"
        "import numpy\n"
        "people = numpy.arange(20) // 2\n"
        "numpy.savez(root / 'people.npz', identity=people, **numpy.load(root / 'discs.npz'))"
    )
    paths = os.pathsep.join(map(str, (ROOT, *TESTS)))
    subprocess.run([sys.executable, "-c", code, str(folder)], env=plain_environment(PYTHONPATH=paths), check=True)
    return folder


def contents(folder: Path, ignore: Callable[[str], bool] = lambda name: False) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in sorted(found.items()) if not ignore(name)}


if __name__ == "__main__" and sys.argv[1:] == ["--serve"]:
    serve()
