"""The kinds of pictures that encoders read; a card, a task and a training run name them alike."""

from __future__ import annotations

from typing import Literal

InputKind = Literal["photo", "sketch", "labels", "lowres", "masked"]
