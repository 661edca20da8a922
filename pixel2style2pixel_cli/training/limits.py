"""Limits of the numbers in presets."""

from __future__ import annotations

from pixel2style2pixel_cli.errors import UsageError


def check_least(section: str, least: float, **values: float) -> None:
    wrong = [f"{section}.{key} is {value}" for key, value in values.items() if value < least]
    if wrong:
        raise UsageError(f"{', '.join(wrong)}: expected {least} or more")
