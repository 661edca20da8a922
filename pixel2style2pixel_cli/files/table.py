"""A table of labels: the name of a picture in each row, then numbers or words in columns with names."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixel2style2pixel_cli.errors import InputError, in_one_line
from pixel2style2pixel_cli.files.paths import display

LARGEST = 64 << 20  # bytes
_WRITE_IT = "write one picture a row: file,smile,glasses and then a.jpg,0.7,yes"


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelTable:
    """``rows`` by the name of the picture, each a text for every one of the ``columns``; empty where there is none."""

    path: Path
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[str]]

    def of(self, relative: str) -> Sequence[str] | None:
        """The row of a picture, by its path below the input's root, its name, or its name without ending."""
        name = relative.rsplit("/", 1)[-1]
        for key in (relative, name, name.rsplit(".", 1)[0]):
            if key in self.rows:
                return self.rows[key]
        return None


def read_labels(path: Path) -> LabelTable:
    """Read a table of comma, semicolon or tab separated text; InputError where it is none, or ambiguous."""
    shown = display(path)
    try:
        if path.is_file() and path.stat().st_size > LARGEST:
            raise InputError(f"the table {shown} is larger than {LARGEST} bytes", "split it")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"the table {shown} is not UTF-8 text", "save it as CSV in UTF-8") from error
    except OSError as error:
        raise InputError(
            f"the table {shown} cannot be read: {(error.strerror or str(error)).lower()}", "check it"
        ) from error
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if any(line)]
    except csv.Error as error:
        raise InputError(f"the table {shown} cannot be read: {in_one_line(error)}", _WRITE_IT) from error
    if len(lines) < 2 or len(lines[0]) < 2:
        raise InputError(f"the table {shown} has no labels", _WRITE_IT)
    columns = tuple(name.strip() for name in lines[0][1:])
    if len(set(columns)) != len(columns) or not all(columns):
        raise InputError(f"the columns of {shown} have no names of their own: {', '.join(columns)}", _WRITE_IT)
    rows: dict[str, Sequence[str]] = {}
    for number, line in enumerate(lines[1:], 2):
        name = line[0].strip().replace("\\", "/").removeprefix("./")
        if len(line) != len(columns) + 1:
            raise InputError(
                f"row {number} of {shown} has {len(line)} fields, expected {len(columns) + 1}",
                "quote fields with commas",
            )
        if name in rows:
            raise InputError(f"{in_one_line(name)} is in two rows of {shown}", "leave one of them out")
        rows[name] = [field.strip() for field in line[1:]]
    return LabelTable(path=path, columns=columns, rows=rows)


def as_number(text: str) -> float | None:
    """A finite number out of a field, NaN for an empty one; None for a word."""
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
