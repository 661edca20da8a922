"""Parity runs: two threads, and one line at the end that says how close everything came."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from golden_numbers import opened


@pytest.fixture(autouse=True, scope="session")
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report the number of golden arrays compared and the largest differences."""
    forward = [(v, g.name, k) for g in opened() for k, v in g.differences.items() if not k.startswith("gradient")]
    gradient = [(v, g.name, k) for g in opened() for k, v in g.differences.items() if k.startswith("gradient")]
    for title, rows in (("golden arrays", forward), ("golden gradients", gradient)):
        if rows:
            value, name, key = max(rows)
            terminalreporter.write_line(
                f"{len(rows)} {title} compared; largest relative difference {value:.1e} ({name}: {key})"
            )
