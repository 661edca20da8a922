"""What a pickle asks for and what it would build, found by following its instructions without carrying them out."""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import IO

from pixel2style2pixel_cli.errors import IntegrityError

# A published checkpoint has some ten thousand instructions, and its tuples hold four numbers. Far more takes minutes,
# or, since a tuple may hold another one twice, and that a third one twice, more time than there is once it is hashed.
MOST_INSTRUCTIONS = 300_000
MOST_IN_TUPLE = 100_000

_NOT_A_CHECKPOINT = "no checkpoint is made like this; fetch the file from its publisher"
_TUPLES = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})


@dataclass(frozen=True, slots=True)
class _Item:
    """Something on the stack: its text where it is one, and how many values it holds if it is a tuple."""

    text: str = ""
    size: int = 1


_MARK, _PLAIN = _Item(), _Item()


def scan_pickles(stream: IO[bytes], count: int, where: str) -> tuple[set[str], bool]:
    """The names that the next ``count`` pickles look up, as ``module.name``, and whether all of them are whole.

    A pickle that ends early or makes no sense gives the names up to there. IntegrityError, which begins with ``where``,
    for one that would take time or memory without end.
    """
    names: set[str] = set()
    for _ in range(count):
        try:
            _scan(stream, names, where)
        except IntegrityError:
            raise
        except Exception:  # the parser of the standard library meets damage with errors of many kinds
            return names, False
    return names, True


def _scan(stream: IO[bytes], names: set[str], where: str) -> None:
    stack: list[_Item] = []
    memo: dict[int, _Item] = {}
    for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if number > MOST_INSTRUCTIONS:
            raise IntegrityError(f"{where} has more than {MOST_INSTRUCTIONS} instructions", _NOT_A_CHECKPOINT)
        name = opcode.name
        if "PUT" in name or name == "MEMOIZE":
            place = len(memo) if name == "MEMOIZE" else int(str(argument))
            if place > MOST_INSTRUCTIONS:  # the place is an index into memory that is taken at once
                raise IntegrityError(f"{where} remembers a value at place {place}", _NOT_A_CHECKPOINT)
            memo[place] = stack[-1]
            continue
        taken = _taken(stack, opcode)
        if name in ("GLOBAL", "INST"):
            names.add(str(argument).replace(" ", ".", 1))
        elif name == "STACK_GLOBAL":
            names.add(".".join(item.text for item in taken))
        if "GET" in name:
            made = [memo[int(str(argument))]]
        elif name == "DUP":
            made = [*taken, *taken]
        elif name in _TUPLES:
            size = 1 + sum(item.size for item in taken)
            if size > MOST_IN_TUPLE:
                raise IntegrityError(f"{where} holds a tuple of more than {MOST_IN_TUPLE} values", _NOT_A_CHECKPOINT)
            made = [_Item(size=size)]
        elif isinstance(argument, str):
            made = [_Item(text=argument)] * len(opcode.stack_after)
        else:
            made = [_MARK if kind is pickletools.markobject else _PLAIN for kind in opcode.stack_after]
        stack += made


def _taken(stack: list[_Item], opcode: pickletools.OpcodeInfo) -> list[_Item]:
    """Take from the stack what an instruction takes, in order; IndexError where it is not there."""
    wanted, taken = opcode.stack_before, []
    below = len(wanted)
    if pickletools.markobject in wanted or (opcode.name == "POP" and stack[-1] is _MARK):
        while (item := stack.pop()) is not _MARK:
            taken.append(item)
        below = wanted.index(pickletools.markobject) if pickletools.markobject in wanted else 0
    taken += [stack.pop() for _ in range(below)]
    return taken[::-1]
