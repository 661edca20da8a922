"""Words of the environment and of configuration files that more than one room reads."""

from __future__ import annotations

import os

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})

OFFLINE_VARIABLES = ("P2S2P_OFFLINE", "HF_HUB_OFFLINE")


def is_offline() -> bool:
    """Whether a variable forbids connections: for Python callers, whose options no variable fills in."""
    return any(os.environ.get(name, "").lower() in TRUE for name in OFFLINE_VARIABLES)
