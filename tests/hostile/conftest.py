"""The campaigns lie outside the package; their folder comes last, so that nothing is found there by accident."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
