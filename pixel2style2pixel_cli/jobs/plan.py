"""The plan of a run: every input, every output path and every conflict, settled before anything heavy loads."""

# Strings and os.path: a plan may hold 100 000 paths, and a Path for each step would cost seconds.
# ruff: noqa: PTH118, PTH119, PTH120, PTH122

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.jobs.expand import Source, expand_inputs, made_up_inputs
from pixel2style2pixel_cli.jobs.finished import Finished
from pixel2style2pixel_cli.jobs.naming import ROW, OutputNames, parse_template
from pixel2style2pixel_cli.jobs.outputs import (
    Draft,
    refuse_collisions,
    refuse_unwritable,
    settle_existing,
)
from pixel2style2pixel_cli.jobs.target import (
    Format,
    Target,
    check_animation,
    check_single,
    choose_target,
    frames_of,
    shared_paths,
)
from pixel2style2pixel_cli.options.task import Existing
from pixel2style2pixel_cli.variants import SINGLE, Variant
from pixel2style2pixel_cli.weights.latents import LATENT_SUFFIX

_NAME_BYTES = 255  # what every common file system takes for one name


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanItem:
    """One input and where its results go.

    ``index`` counts all inputs of the run before sharding. ``relative`` is the posix path below the input's root (for
    one file its name, for standard input ``-``); seeds are made from it. ``problem`` says why the input cannot be used:
    such an item is reported as failed and the others go on. ``status`` is ``skip`` when every file planned exists
    already. ``present`` are those that exist of an item that is to be completed.
    """

    index: int
    source: Path | None
    label: str
    relative: str
    output: Path
    latent: Path | None
    status: Literal["todo", "skip"]
    problem: str | None
    hint: str
    names: OutputNames
    present: frozenset[Path] = frozenset()

    def face_output(self, face: int = 0, *, variant: Variant = SINGLE) -> Path:
        """Picture of one face; ``_face{n}`` is appended exactly when the plan was made for many faces."""
        return self.names.picture(face=face, variant=variant)

    def face_latent(self, face: int = 0, *, variant: Variant = SINGLE) -> Path:
        """Latent file of one face."""
        return Path(self.names.path(LATENT_SUFFIX, face=face, variant=variant))

    def input_companion(self, ending: str, face: int = 0) -> Path:
        """A file written once for an input; the ending must have been named to ``make_plan``."""
        return Path(self.names.path(ending + self.names.suffix, face=face))

    def companion(self, ending: str, face: int = 0, *, variant: Variant = SINGLE) -> Path:
        """A file beside the picture, such as ``_pair``; the ending must have been named to ``make_plan``."""
        return Path(self.names.path(ending + self.names.suffix, face=face, variant=variant))


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a run will read and write; ``root`` is the folder of the outputs, None for standard output.

    ``endings`` are the files that each picture consists of, ``once`` those that each face has once, ``whole`` those
    that show all pictures of a face. ``damaged`` says which existing files are made again, and why. ``joined``: the
    picture is one of all faces of an input. ``frames``: the picture is an animation of these. ``shared`` are the files
    that the run has once: the first page of the sheet; ``replaced`` those that it may replace under ``skip``.
    """

    items: tuple[PlanItem, ...]
    ignored: int
    to_stdout: bool
    root: Path | None
    format: Format
    shared: tuple[Path, ...]
    variants: tuple[Variant, ...] = (SINGLE,)
    replaced: frozenset[Path] = frozenset()
    damaged: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    joined: bool = False
    frames: tuple[Variant, ...] = ()

    @property
    def todo(self) -> tuple[PlanItem, ...]:
        """Items to be processed."""
        return tuple(item for item in self.items if item.status == "todo" and item.problem is None)

    @property
    def skipped(self) -> tuple[PlanItem, ...]:
        """Items whose outputs exist."""
        return tuple(item for item in self.items if item.status == "skip")

    @property
    def problems(self) -> tuple[PlanItem, ...]:
        """Items that cannot be read."""
        return tuple(item for item in self.items if item.problem is not None)


def make_plan(
    inputs: Sequence[str],
    *,
    out: str | None = None,
    command: str,
    recursive: bool = False,
    name: str = "{stem}",
    format: str = "png",
    existing: Existing = "error",
    many_faces: bool = False,
    joined: bool = False,
    latents: bool = False,
    shard: tuple[int, int] | None = None,
    stdin: Callable[[], bytes],
    model: str = "",
    seed: int = 0,
    face: int = 0,
    variants: Sequence[Variant] = (SINGLE,),
    companions: Sequence[str] = (),
    input_companions: Sequence[str] = (),
    shared: Sequence[str] = (),
    suffixes: frozenset[str] | None = None,
    kept: Sequence[str] = (),
    fields: Mapping[str, str] | None = None,
    animates: bool = False,
    made_up: Sequence[str] = (),
    animations: Sequence[str] = (),
) -> Plan:
    """Settle every path of a run without changing anything on disk.

    ``many_faces`` gives each face files of its own, but with ``joined`` there is one picture of all of them.
    ``face`` is what ``{face}`` shows when one face is taken, ``variants`` are the pictures made of each input.
    ``companions`` are endings of further pictures beside each one (``_pair``), ``input_companions`` of those made once
    for an input (``_row``), ``shared`` stems of files made once for the run (``sheet``). ``suffixes`` are the files
    taken from folders, by default pictures. ``kept`` are other files, and folders of files, that no output may replace.
    ``fields`` are those of the name that only this command has. ``animates``: the variants of an input become one
    file where the format can move; ``animations`` are endings, with a suffix of their own, of animations beside it.
    ``made_up`` are names in the place of inputs.
    Raises UsageError for collisions, existing outputs, an output that is an input, a folder that cannot be written, an
    empty selection.
    """
    check_shard(shard)
    target = choose_target(out, command, format, animates=animates)
    frames = frames_of(target, variants) if animates else ()
    variants = (SINGLE,) if frames else variants
    output_root = target.folder if target.kind == "folder" else None
    found = (
        made_up_inputs(made_up)
        if made_up
        else expand_inputs(
            inputs,
            recursive=recursive,
            output_root=output_root,
            stdin=stdin,
            suffixes=suffixes,
            beside=None if target.kind == "stdout" else target.folder or ".",
            command=command,
        )
    )
    beside = latents or bool(companions or input_companions or shared or animations)
    if frames:
        check_animation(target, latents=latents, joined=joined, companions=(*companions, *input_companions, *shared))
    check_single(target, len(found.sources), many=many_faces > joined or len(variants) > 1, beside=beside)
    values: dict[str, str | int] = {"command": command, "model": model, "seed": seed}
    faces = _Faces(many=many_faces, joined=joined, taken=face)
    make_names = _name_maker(target, name, faces, values, fields or {})
    endings = (target.suffix, *([LATENT_SUFFIX] if latents else []), *(ending + target.suffix for ending in companions))
    once = (*(ending + target.suffix for ending in input_companions), *animations)
    drafts = [
        _draft(index, source, make_names(index, source), endings, once, tuple(variants))
        for index, source in enumerate(found.sources)
    ]
    own = [draft for draft in drafts if shard is None or in_shard(draft.source.relative, *shard)]
    common = shared_paths(target, shared, shard)
    finished = Finished(variants, endings, once)
    if target.kind != "stdout":
        claimed = refuse_collisions(drafts, common, target.folder)
        read = itertools.chain((source.path for source in found.sources), _files_of(kept))
        common = settle_existing(own, common, existing, claimed, read, finished)
        refuse_unwritable({os.path.dirname(d.files[0]) for d in own if not d.done and d.problem is None})
    return Plan(
        items=tuple(finished_item(draft, latents=latents) for draft in own),
        ignored=found.ignored,
        to_stdout=target.kind == "stdout",
        root=None if target.kind == "stdout" else Path(target.folder),
        format=target.format,
        shared=tuple(Path(path) for path in common),
        variants=tuple(variants),
        replaced=frozenset(map(Path, finished.replaced)),
        damaged=tuple(finished.damaged),
        endings=endings,
        once=tuple(ending for ending in once if not ending.startswith(ROW)),
        whole=tuple(ending for ending in once if ending.startswith(ROW)),
        joined=joined,
        frames=frames,
    )


def parse_shard(text: str) -> tuple[int, int]:
    """``I/N`` as two numbers, I from 0 to N - 1; raises UsageError."""
    left, slash, right = text.partition("/")
    if not (slash and left.strip().isdecimal() and right.strip().isdecimal()):
        raise UsageError(f"--shard {text!r} is not of the form I/N", "write 0/4, 1/4, 2/4 or 3/4 for four shards")
    shard = (int(left), int(right))
    check_shard(shard)
    return shard


def check_shard(shard: tuple[int, int] | None) -> None:
    """Raise UsageError unless the first number counts from 0 below the second."""
    if shard is not None and not 0 <= shard[0] < shard[1]:
        last = max(shard[1] - 1, 0)
        hint = f"write 0/{shard[1]} to {last}/{shard[1]}" if shard[1] > 0 else "write 0/4 to 3/4 for four shards"
        raise UsageError(f"shard {shard[0]}/{shard[1]} does not exist: shards count from 0", hint)


def in_shard(relative: str, number: int, count: int) -> bool:
    """Whether a path falls into shard ``number`` of ``count``: by its hash, so every machine agrees."""
    digest = hashlib.sha256(relative.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % count == number


def _files_of(paths: Sequence[str]) -> Iterator[str]:
    """Every file among these paths and in the folders among them."""
    for path in paths:
        yield path
        for folder, _, names in os.walk(path):
            yield from (os.path.join(folder, name) for name in names)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Faces:
    """Which faces of an input have files: ``many``, all in one picture (``joined``), or the one ``taken``."""

    many: bool
    joined: bool
    taken: int


def _name_maker(
    target: Target, name: str, faces: _Faces, values: dict[str, str | int], fields: Mapping[str, str]
) -> Callable[[int, Source], OutputNames]:
    """How an input's outputs are called: by the template in a folder, as typed when ``-o`` names the file."""
    template = parse_template(name if target.kind == "folder" else "{stem}", target.suffix, tuple(fields))
    if faces.joined and "face" in template.fields:
        raise UsageError(
            f"the name {name!r} has the field {{face}}, but all faces are put into one picture",
            "leave {face} out, or --paste",
        )

    def make_names(index: int, source: Source) -> OutputNames:
        head, tail = os.path.split(source.relative)
        stem = "stdin" if source.path is None and tail == "-" else os.path.splitext(tail)[0]
        if target.kind != "folder":
            head, stem = "", target.stem
        return OutputNames(
            folder=os.path.join(target.folder, head) if head else target.folder,
            template=template,
            values={**values, **fields, "stem": stem, "index": index},
            suffix="" if target.kind == "stdout" else target.suffix,  # which makes the name "-"
            many_faces=faces.many,
            face=0 if faces.many else faces.taken,
            joined=faces.joined,
        )

    return make_names


def _draft(
    index: int,
    source: Source,
    names: OutputNames,
    endings: tuple[str, ...],
    once: tuple[str, ...],
    variants: tuple[Variant, ...],
) -> Draft:
    draft = Draft(
        index=index,
        source=source,
        names=names,
        endings=endings,
        once=once,
        variants=variants,
        problem=source.problem,
        hint=source.hint,
    )
    longest = max(len(path) for path in draft.files)
    length = 0 if longest < _NAME_BYTES // 4 else max(len(os.fsencode(os.path.basename(path))) for path in draft.files)
    if length > _NAME_BYTES and draft.problem is None:
        draft.problem = f"the name of its output has {length} bytes, and at most {_NAME_BYTES} are possible"
        draft.hint = "give shorter names with --name, for example --name '{index:05d}'"
    return draft


def finished_item(draft: Draft, *, latents: bool) -> PlanItem:
    """The item of a draft whose names are settled."""
    names, source = draft.names, draft.source
    first = draft.variants[0]
    return PlanItem(
        index=draft.index,
        source=None if source.path is None else Path(source.path),
        label=source.label,
        relative=source.relative,
        output=names.picture(variant=first),
        latent=Path(names.path(LATENT_SUFFIX, variant=first)) if latents else None,
        status="skip" if draft.done else "todo",
        problem=draft.problem,
        hint=draft.hint,
        names=names,
        present=frozenset(map(Path, draft.present)),
    )
