"""The class of every group of commands: Typer's, without the import that makes its start slow."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class Group(TyperGroup):
    """A group whose own flags default to False.

    Typer gives ``--help`` and the completion flags the default None, and converting that imports pydantic, a tenth
    of a second in every command.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, as Typer lists them."""
        parameters: list[Any] = list(super().get_params(ctx))
        for parameter in parameters:
            if getattr(parameter, "is_flag", False) and parameter.default is None:
                parameter.default = False
        return parameters
