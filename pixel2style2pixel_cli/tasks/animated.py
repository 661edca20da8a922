"""Options of tasks whose pictures can be the frames of an animation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pixel2style2pixel_cli.options.declare import OUTPUT, declare
from pixel2style2pixel_cli.tasks.optimised import OptimisedOptions

MovingFormat = Literal["png", "jpg", "webp", "gif", "mp4"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class AnimatedOptions(OptimisedOptions):
    """Options of tasks that make several pictures out of codes, and of what becomes of these."""

    # Wider than that of tasks that draw single pictures only.
    format: MovingFormat = declare(  # type: ignore[assignment]
        "webp", "--format", metavar="TYPE", section=OUTPUT,
        help="File type: webp, gif or mp4 for an animation, png or jpg for its frames.",
    )  # fmt: skip
    fps: float = declare(
        24.0, "--fps", metavar="N", section=OUTPUT, minimum=0.1, maximum=50, help="Frames of an animation a second."
    )

    @property
    def animates(self) -> bool:
        """Whether the pictures of an input may be the frames of an animation."""
        return True

    @property
    def frame_rate(self) -> float:
        """Frames of an animation a second."""
        return self.fps
