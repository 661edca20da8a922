"""p2s2p: face image-to-image translation in the latent space of StyleGAN2.

``load`` gives a session for pictures in memory; ``api`` has a function for each command, for files.
"""

from typing import TYPE_CHECKING, Any

from pixel2style2pixel_cli.version import __version__

if TYPE_CHECKING:
    from pixel2style2pixel_cli.result import Result as Result
    from pixel2style2pixel_cli.result import save_animation as save_animation
    from pixel2style2pixel_cli.session import Session as Session
    from pixel2style2pixel_cli.session import load as load

__all__ = ["Result", "Session", "__version__", "load", "save_animation"]

_HOMES = {"load": "session", "Session": "session", "Result": "result", "save_animation": "result"}


def __getattr__(name: str) -> Any:
    """Public names, imported at their first use: importing the package costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
