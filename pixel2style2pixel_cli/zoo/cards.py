"""A model's card, `model.toml`: what the model does, how it is built, and where its weights come from."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args

from pixel2style2pixel_cli.errors import SHOWN, MissingError, UsageError, in_one_line, listed, shown_value
from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS, InputKind
from pixel2style2pixel_cli.networks.specs import MOST_PIXELS, EncoderSpec, GeneratorSpec, RecogniserSpec, read_spec

CARD_FILE = "model.toml"

Role = Literal["encoder", "heads", "generator", "recogniser", "checkpoint"]
SourceKind = Literal["hf", "https", "gdrive", "dist"]
RepoType = Literal["model", "space", "dataset"]
Grade = Literal["A", "B", "C", "none"]

PINNED = re.compile(r"[0-9a-f]{40}")
# What a model can be called. Nothing in it leads out of a folder, so that a name is never taken for a path.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

LARGEST_CARD = 1 << 20  # bytes
MOST_STEPS, MOST_PASSES = 100_000, 100
PASSES = 5  # of a ReStyle encoder, as published
ALIGNMENTS = Literal["ffhq", "none"]

LOGIN = re.compile(r"(?<=://)[^/]*@")

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One place a weight file can be had from; ``gdrive`` is fetched by hand."""

    kind: SourceKind
    address: str
    revision: str | None = None
    path: str | None = None
    repo_type: RepoType = "model"

    @property
    def fetchable(self) -> bool:
        """Whether a program may fetch it: a plain address, or a Hub repository at a pinned commit."""
        return self.kind == "https" or (self.kind == "hf" and PINNED.fullmatch(self.revision or "") is not None)

    @property
    def link(self) -> str:
        """The address a browser opens."""
        if self.kind == "hf":
            folder = "" if self.repo_type == "model" else f"{self.repo_type}s/"
            return f"https://huggingface.co/{folder}{self.address}/blob/{self.revision or 'main'}/{self.path or ''}"
        if self.kind == "gdrive":
            return f"https://drive.google.com/file/d/{self.address}/view"
        if self.kind == "dist":
            return f"the Python distribution {self.address}"
        return LOGIN.sub("", self.address)  # it is printed


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightFile:
    """One file of weights: ours (``encoder``, ``generator``) or a published ``checkpoint`` that is converted first.

    ``grade`` says who vouches for the sha256: A two or more independent publishers, one of them tied to the official
    link; B two or more uploaders; C one uploader; none where no full hash is known.
    """

    role: Role
    file: str
    sha256: str | None = None
    size: int | None = None
    container: str = "safetensors"
    grade: Grade = "none"
    sources: tuple[Source, ...] = ()
    note: str = ""

    @property
    def fetchable(self) -> bool:
        """Whether a program may fetch it: from some source, and with a hash to check it by."""
        return self.sha256 is not None and any(source.fetchable for source in self.sources)


@dataclass(frozen=True, kw_only=True, slots=True)
class InputRule:
    """What the encoder reads: the kind of picture, and whether a face is cut out and how."""

    kind: InputKind = "photo"
    align: ALIGNMENTS = "ffhq"
    schema: str | None = None

    @property
    def has_faces(self) -> bool:
        """Whether photographs for the model are searched for faces; "none" of a drawing is said of the drawing."""
        return self.align == "ffhq" or INPUT_KINDS[self.kind].drawn

    @classmethod
    def of(cls, kind: InputKind) -> InputRule:
        """The rule of a face model that reads this kind: drawings and label maps are taken as they are."""
        row = INPUT_KINDS[kind]
        return cls(kind=kind, align="none" if row.drawn else "ffhq", schema=row.schema)


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """Everything the program knows about a model before it opens the weights.

    A model that is a face recogniser draws nothing: it has a ``recogniser`` and neither encoder nor generator.

    ``auto`` is False for a model that is used only where it is named: one of something other than faces, or one look of
    the user's own among others. ``encoder_model``
    and ``generator_model`` name the models whose networks this one works with, where they are not its own;
    ``heads_model`` the one whose encoder's heads complete its own encoder.
    ``optimize`` counts the steps that improve each code of ``invert`` unless the user says otherwise: what a small
    encoder needs. They compare pictures at ``optimize_size``, which costs less where the generator's is larger, but for
    the last ``optimize_whole`` of them; 0 is the generator's own. ``passes`` are those of a ReStyle encoder.
    """

    name: str
    title: str
    tasks: tuple[str, ...]
    rank: int
    auto: bool = True
    licence: str
    commercial_ok: bool
    encoder: EncoderSpec | None = None
    generator: GeneratorSpec | None = None
    recogniser: RecogniserSpec | None = None
    encoder_model: str | None = None
    heads_model: str | None = None
    generator_model: str | None = None
    input: InputRule
    mixing_layers: str
    optimize: int = 0
    optimize_size: int = 0
    optimize_whole: int = 0
    passes: int = PASSES
    weights: tuple[WeightFile, ...]
    measured: dict[str, object] = field(default_factory=dict)
    bundled: bool = False
    folder: Path

    def weight(self, role: Role) -> WeightFile | None:
        """The weight file with this role, if the card names one."""
        return next((weight for weight in self.weights if weight.role == role), None)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The files an installed copy of this model consists of, not counting those of other models."""
        own: dict[Role, object] = {
            "encoder": self.encoder, "heads": self.weight("heads"), "generator": self.generator,
            "recogniser": self.recogniser,
        }  # fmt: skip
        return tuple(role for role, what in own.items() if what is not None)

    @property
    def borrowed(self) -> dict[Role, str]:
        """The models that lend a network to this one, by role."""
        named: dict[Role, str | None] = {
            "encoder": self.encoder_model, "heads": self.heads_model, "generator": self.generator_model,
        }  # fmt: skip
        return {role: name for role, name in named.items() if name is not None}


class _Table:
    """A TOML table that is read key by key; everything wrong with it is collected, not raised one by one."""

    def __init__(self, raw: Mapping[str, object], where: str, problems: list[str]) -> None:
        self.raw, self.where, self.problems = dict(raw), where, problems

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """The value of ``key``; a missing key without a default or a value of another type is a problem."""
        value = self.raw.pop(key, default)
        # bool is an int in Python, never in TOML
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        if value is None:
            self.problems.append(f"{self.where}{key} is missing")
        else:
            self.problems.append(f"{self.where}{key} is {shown_value(value)}, expected {kind.__name__}")
        return kind()

    def maybe(self, key: str, kind: type[T]) -> T | None:
        """The value of an optional ``key``."""
        return self.take(key, kind) if key in self.raw else None

    def choice(self, key: str, options: object, default: str | None = None) -> str:
        """A text that must be one of a Literal's values."""
        return self.one_of(key, cast(tuple[str, ...], get_args(options)), default)

    def one_of(self, key: str, known: tuple[str, ...], default: str | None = None) -> str:
        """A text that must be one of the known ones."""
        value = self.take(key, str, default)
        if value and value not in known:
            self.problems.append(f"{self.where}{key} is {shown_value(value)}, expected one of {', '.join(known)}")
        return value if value in known else known[0]

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty when absent."""
        values: list[object] = self.take(key, list, [])
        wrong = [value for value in values if not isinstance(value, str)]
        self.problems.extend(f"{self.where}{key} holds {shown_value(value)}, expected text" for value in wrong)
        return tuple(value for value in values if isinstance(value, str))

    def table(self, key: str) -> _Table:
        """A table inside this one, empty when absent."""
        return _Table(self.take(key, dict, {}), f"{self.where}{key}.", self.problems)

    def tables(self, key: str) -> list[_Table]:
        """A list of tables inside this one, empty when absent."""
        rows: list[object] = self.take(key, list, [])
        found = []
        for index, row in enumerate(rows):
            if isinstance(row, dict):
                found.append(_Table(row, f"{self.where}{key}[{index}].", self.problems))
            else:
                self.problems.append(f"{self.where}{key}[{index}] is {shown_value(row)}, expected a table")
        return found

    def spec(self, key: str, kind: type[S]) -> S | None:
        """The sizes of a network, None when absent or wrong."""
        if key not in self.raw:
            return None
        try:
            return read_spec(kind, self.take(key, dict), f"{self.where}{key}")
        except UsageError as error:
            self.problems.append(error.message)
            return None

    def model(self, key: str) -> str | None:
        """The name of another model; a path would lead out of the zoo."""
        name = self.maybe(key, str)
        if name is not None and not NAME.fullmatch(name):
            self.problems.append(f"{self.where}{key} is {shown_value(name)}, expected the name of a model, not a path")
        return name

    def finish(self) -> None:
        """Whatever was not taken is unknown."""
        self.problems.extend(f"{self.where}{in_one_line(key)[:SHOWN]} is not a known key" for key in self.raw)


def load_card(folder: Path, *, any_name: bool = False) -> Card:
    """Read `folder/model.toml`; MissingError if there is none, UsageError naming everything wrong in it.

    A card is called as its folder is, except with ``any_name``: a run folder may be renamed. A card that has not
    changed since it was last read is not parsed again.
    """
    path = folder / CARD_FILE
    try:
        # a file of a device or of gigabytes is no card, and reading it would never end
        if path.exists() and not (path.is_file() and path.stat().st_size <= LARGEST_CARD):
            raise UsageError(f"{path} is not a model card", f"a card is a text file of at most {LARGEST_CARD} bytes")
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingError(f"no model card at {path}", "name a model of p2s2p models list, or a model.toml") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the model card {path} cannot be read: {in_one_line(error)}", "restore the file") from error
    card = _parsed(text, folder)
    if card.name != folder.resolve().name and not any_name:
        raise UsageError(
            f"the model card {path} is wrong: name is {shown_value(card.name)}, expected the folder's name "
            f"{folder.resolve().name!r}",
            "correct these keys in the file",
        )
    return card


@functools.lru_cache(maxsize=1024)
def _parsed(text: str, folder: Path) -> Card:
    path = folder / CARD_FILE
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # besides TOML's own errors: numbers and nesting without end
        raise UsageError(f"the model card {path} cannot be read: {in_one_line(error)}", "restore the file") from error
    problems: list[str] = []
    card = _parse_card(_Table(raw, "", problems), folder)
    if problems:
        raise UsageError(f"the model card {path} is wrong: {listed(problems)}", "correct these keys in the file")
    return card


def _parse_card(top: _Table, folder: Path) -> Card:
    """All fields of a card; problems are collected in the table."""
    name = top.take("name", str)
    spec, rule, mixing, inversion = (top.table(key) for key in ("spec", "input", "mixing", "invert"))
    card = Card(
        name=name,
        title=top.take("title", str, name),
        tasks=top.texts("tasks"),
        rank=top.take("rank", int, 0),
        auto=top.take("auto", bool, True),
        licence=top.take("licence", str),
        commercial_ok=top.take("commercial_ok", bool, False),
        encoder=spec.spec("encoder", EncoderSpec),
        generator=spec.spec("generator", GeneratorSpec),
        recogniser=spec.spec("recogniser", RecogniserSpec),
        encoder_model=top.model("encoder_model"),
        heads_model=top.model("heads_model"),
        generator_model=top.model("generator_model"),
        input=InputRule(
            kind=rule.one_of("kind", tuple(INPUT_KINDS), "photo"),
            align=cast(ALIGNMENTS, rule.choice("align", ALIGNMENTS, "ffhq")),
            schema=rule.maybe("schema", str),
        ),
        mixing_layers=mixing.take("layers", str, "8-"),
        optimize=inversion.take("optimize", int, 0),
        optimize_size=inversion.take("optimize_size", int, 0),
        optimize_whole=inversion.take("optimize_whole", int, 0),
        passes=inversion.take("passes", int, PASSES),
        weights=tuple(_parse_weight(row) for row in top.tables("weights")),
        measured=top.take("measured", dict, {}),
        bundled=top.take("bundled", bool, False),
        folder=folder,
    )
    for table in (spec, rule, mixing, inversion, top):
        table.finish()
    if card.generator is None and card.generator_model is None and card.recogniser is None:
        top.problems.append("neither spec.generator nor generator_model is given")
    if card.recogniser is not None and (card.encoder, card.generator, *card.borrowed) != (None, None):
        top.problems.append("spec.recogniser is given beside an encoder or a generator, expected it alone")
    for role, own, model in (
        ("encoder", card.encoder, card.encoder_model),
        ("generator", card.generator, card.generator_model),
        ("heads", card.weight("heads"), card.heads_model),
    ):
        if own is not None and model is not None:
            top.problems.append(f"the {role} of its own and {role}_model are both given, expected one")
    if name and not NAME.fullmatch(name):
        top.problems.append(f"name is {shown_value(name)}, expected letters, digits, dots and dashes")
    for key, found, least, most, unit in (
        ("optimize", card.optimize, 0, MOST_STEPS, "steps"),
        ("optimize_whole", card.optimize_whole, 0, MOST_STEPS, "steps"),
        ("optimize_size", card.optimize_size, 0, MOST_PIXELS, "pixels"),
        ("passes", card.passes, 1, MOST_PASSES, "passes"),
    ):
        if not least <= found <= most:
            top.problems.append(f"invert.{key} is {shown_value(found)}, expected {least} to {most} {unit}")
    return card


def _parse_weight(row: _Table) -> WeightFile:
    """One row of [[weights]]."""
    weight = WeightFile(
        role=cast(Role, row.choice("role", Role)),
        file=row.take("file", str),
        sha256=row.maybe("sha256", str),
        size=row.maybe("size", int),
        container=row.take("container", str, "safetensors"),
        grade=cast(Grade, row.choice("grade", Grade, "none")),
        sources=tuple(_parse_source(source) for source in row.tables("sources")),
        note=row.take("note", str, ""),
    )
    if weight.sha256 is not None and (len(weight.sha256) != 64 or set(weight.sha256) - set("0123456789abcdef")):
        row.problems.append(f"{row.where}sha256 is {shown_value(weight.sha256)}, expected 64 lower-case hex digits")
    if weight.file and Path(weight.file).name != weight.file:
        row.problems.append(f"{row.where}file is {shown_value(weight.file)}, expected a name without folders")
    row.finish()
    return weight


def _parse_source(row: _Table) -> Source:
    """One entry of `sources`: exactly one of hf, https, gdrive, dist says where."""
    kinds = [kind for kind in get_args(SourceKind) if kind in row.raw]
    if len(kinds) != 1:
        row.problems.append(f"{row.where[:-1]} names {len(kinds)} places, expected one of hf, https, gdrive, dist")
    kind = kinds[0] if kinds else "https"
    source = Source(
        kind=cast(SourceKind, kind),
        address=row.take(kind, str, ""),
        revision=row.maybe("version" if kind == "dist" else "revision", str),
        path=row.maybe("path", str),
        repo_type=cast(RepoType, row.choice("repo_type", RepoType, "model")),
    )
    row.finish()
    return source


def with_mixing(task: str | None) -> tuple[str, ...]:
    """The tasks of an encoder: one that inverts photographs can mix them too."""
    return ("invert", "mix") if task == "invert" else () if task is None else (task,)


def mixing_layers(rows: int) -> str:
    """The rows of style mixing for a generator of so many: the published ones, or the finer half of a smaller one's."""
    return "8-" if rows > 8 else f"{rows // 2}-"
