"""A published weight file into our own folder: sources in order, resumed where it stopped, checked before any use."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from pixel2style2pixel_cli.config import is_offline
from pixel2style2pixel_cli.errors import IntegrityError, MissingError, OutputError, P2S2PError, UsageError, in_one_line
from pixel2style2pixel_cli.events import Notice, OnEvent, ignore_event
from pixel2style2pixel_cli.wording import duration, file_size
from pixel2style2pixel_cli.zoo import limits
from pixel2style2pixel_cli.zoo.address import parse_address
from pixel2style2pixel_cli.zoo.cards import Card, Source, WeightFile
from pixel2style2pixel_cli.zoo.choose import how_to_import
from pixel2style2pixel_cli.zoo.find import home_folder, require_space
from pixel2style2pixel_cli.zoo.limits import Budget, SourceError
from pixel2style2pixel_cli.zoo.request import STATUS
from pixel2style2pixel_cli.zoo.transfer import checked_size, hub_address, part_size, remove_part, transfer
from pixel2style2pixel_cli.zoo.verify import sha256_file

MIRROR_VARIABLE = "P2S2P_MIRROR"
LOCK_SECONDS = 1.0


def download_path(weight: WeightFile) -> Path:
    """Where the checked file lies between download and conversion; its folder is named by the hash."""
    return home_folder() / "downloads" / (weight.sha256 or "unknown")[:16] / weight.file


def require_source(card: Card, weight: WeightFile, *, offline: bool = False) -> None:
    """Raise MissingError, with what to do by hand, where ``fetch_weight`` could not even begin."""
    by_hand = how_to_import(card, weight)
    if download_path(weight).is_file():
        return
    if weight.sha256 is None:
        raise MissingError(f"{weight.file} has no known sha256 to check a download by", by_hand)
    if offline or is_offline():
        raise MissingError(
            f"{weight.file} (sha256 {weight.sha256}) is not here, and no connection may be opened (offline)",
            f"without --offline: p2s2p models pull {card.name}; or {by_hand}",
        )
    if not weight.fetchable and _mirror(weight) is None:
        raise MissingError(f"{weight.file} is at no place that a program may fetch it from", by_hand)


@contextlib.contextmanager
def hold(weight: WeightFile) -> Iterator[None]:
    """Keep other processes from fetching the same file meanwhile; MissingError while one does."""
    from filelock import FileLock, Timeout

    folder = download_path(weight).parent
    with contextlib.ExitStack() as held:
        with _writing(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder.with_name(f"{folder.name}.lock"))
            try:
                held.enter_context(lock.acquire(timeout=LOCK_SECONDS))
            except Timeout as error:
                raise MissingError(
                    f"another p2s2p is fetching {weight.file}", "wait until it has ended, then type the same again"
                ) from error
        yield


def fetch_weight(card: Card, weight: WeightFile, *, offline: bool = False, on_event: OnEvent = ignore_event) -> Path:
    """Fetch the file from the first source that has it and return its path; its sha256 is the card's.

    What an interrupted call has fetched is kept, and only the rest is asked for. It ends, whatever the servers do:
    ``Limits`` says after which time, bytes and tries. Raises MissingError naming every source and its reason,
    IntegrityError where a source sent something else, OutputError where the disk is full.
    """
    require_source(card, weight, offline=offline)
    target = download_path(weight)
    if target.is_file():
        if sha256_file(target) == weight.sha256:
            return target
        discard(weight)
        require_source(card, weight, offline=offline)
    failures: list[SourceError] = []
    budget = Budget(weight.size)
    for source in _sources(weight):
        try:
            _check_usable(source)
            budget.begin_source()
            where = source.link if source.kind == "https" else source.address
            on_event(Notice(message=f"fetching {weight.file} from {where}"))
            _fetch_from(source, weight, target, budget, on_event)
        except SourceError as error:
            login = "; HF_TOKEN gives one" if source.kind == "hf" and error.reason == STATUS[401] else ""
            failures.append(SourceError(f"{_place(source)}: {error.reason}{login}", wrong=error.wrong))
            continue
        return target
    kind = IntegrityError if any(failure.wrong for failure in failures) else MissingError
    reasons = "; ".join(failure.reason for failure in failures)
    kept = part_size(_part(target))
    goes_on = f", which goes on after the {file_size(kept)} that are here" if kept else ""
    raise kind(
        f"{weight.file} could not be fetched: {reasons}", f"try again later{goes_on}; or {how_to_import(card, weight)}"
    )


def discard(weight: WeightFile) -> None:
    """Remove the downloaded file, which has been converted or is wrong."""
    remove_part(download_path(weight))


def discard_rest(weight: WeightFile | None) -> None:
    """Remove what a killed process had fetched of a file that is needed no more, unless another one fetches it now."""
    if weight is None or weight.sha256 is None:
        return
    target = download_path(weight)
    left = [path for path in (_part(target), target) if path.is_file()]
    with contextlib.suppress(P2S2PError, OSError):
        if left:
            with hold(weight):
                for path in left:
                    remove_part(path)


def _sources(weight: WeightFile) -> list[Source]:
    mirror = _mirror(weight)
    return [*([mirror] if mirror else []), *weight.sources]


def _mirror(weight: WeightFile) -> Source | None:
    """The user's own repository; its branch moves, which the enforced hash makes harmless."""
    name = os.environ.get(MIRROR_VARIABLE)
    if not name:
        return None
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UsageError(f"{MIRROR_VARIABLE} is {name}, expected organisation/repository", f"unset {MIRROR_VARIABLE}")
    return Source(kind="hf", address=name, revision="main", path=weight.file)


def _check_usable(source: Source) -> None:
    """SourceError for a place that is never fetched from."""
    if source.kind == "gdrive":
        raise SourceError("fetched by hand only")
    if source.kind == "dist":
        raise SourceError("no address to fetch from")
    if not source.fetchable and source.address != os.environ.get(MIRROR_VARIABLE):
        raise SourceError("not pinned to a commit of 40 hex digits")


def _place(source: Source) -> str:
    """What a source is called in messages; an address may have a login in it, which is not shown."""
    if source.kind == "gdrive":
        return "Google Drive"
    host = source.address.partition("://")[2].partition("/")[0].rpartition("@")[2] if source.kind == "https" else ""
    return in_one_line(host or source.address)[:100]


def _part(target: Path) -> Path:
    """Where the file grows; nothing takes what has this name for the file."""
    return target.with_name(f"{target.name}.part")


def _fetch_from(source: Source, weight: WeightFile, target: Path, budget: Budget, on_event: OnEvent) -> None:
    """One source's file, checked, at ``target``; SourceError, and no ``target``, where it has another or none."""
    part, failures = _part(target), 0
    enough = min(limits.LIMITS.progress_bytes, (weight.size or limits.LIMITS.unknown_size) // 20)
    for _ in range(limits.LIMITS.requests):
        had = part_size(part)
        try:
            _complete(source, weight, part, budget, on_event)
        except SourceError as error:
            if had and not part_size(part):
                # What was here before may have been damaged, or another source's: this one is asked for all of it.
                continue
            failures = 1 if part_size(part) - had > enough else failures + 1
            if not error.again or failures == limits.LIMITS.tries:
                raise
            pause = limits.pause_before(failures, error.wait)
            on_event(Notice(message=f"{_place(source)}: {error.reason}; trying again in {duration(pause)}"))
            limits.sleep(pause)
            continue
        part.replace(target)
        return
    raise SourceError(f"did not send the whole file in {limits.LIMITS.requests} tries")


def _complete(source: Source, weight: WeightFile, part: Path, budget: Budget, on_event: OnEvent) -> None:
    """The whole file, checked, at ``part``; after a SourceError there is at most what can be continued."""
    address, login = hub_address(source, weight) if source.kind == "hf" else (parse_address(source.address), None)
    size = weight.size
    if size is None or source.kind == "hf":  # whose headers know the hash as well
        size = checked_size(address, weight, login, budget)
        budget.learn(size)
    with _writing(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        # the rest of the file, and its converted copy
        require_space(part.parent, 2 * size - part_size(part))
        transfer(address, part, size, login=login, budget=budget, label=weight.file, on_event=on_event)
        found = sha256_file(part)
        if found != weight.sha256:
            remove_part(part)
            raise SourceError(f"sent another file: sha256 {found}, expected {weight.sha256}", wrong=True)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What the operating system says against writing there, as OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}",
            "free some space, or set P2S2P_HOME to a folder that can be written",
        ) from error
