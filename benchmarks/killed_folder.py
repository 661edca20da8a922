"""Whether a run that was killed in the middle of a folder goes on as if nothing had happened.

    python benchmarks/killed_folder.py --shard shard_015.npz --task seg2face

The task runs over the folder undisturbed, then again into another folder, where it is killed (SIGKILL, no warning) once
some outputs are there, then a third time with --skip-existing. Prints one line for each check; ends with 1 if one
fails.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from command import check_available, command_line, run_command
from heldout import Faces, Unavailable, read_faces
from mixed_folder import Checks, decodes, encoded, print_checks, task_options, write_masks
from translations import find_input


def kill_after(task: str, arguments: list[str], out: Path, count: int) -> int:
    """Start the command, kill it when ``count`` outputs are there; its exit code."""
    running = subprocess.Popen(command_line(task, arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None and len(list(out.glob("*.png"))) < count:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    return running.wait()


def try_kill(faces: Faces, task: str, count: int, options: list[str]) -> Checks:
    """All checks of one task."""
    pictures = find_input(task)(faces)
    with tempfile.TemporaryDirectory() as name:
        root, masks, whole, broken = (Path(name) / part for part in ("in", "masks", "whole", "broken"))
        root.mkdir()
        for number in range(count):
            (root / f"{number:04d}.png").write_bytes(encoded(pictures[number % len(pictures)], "PNG"))
        if task == "inpaint":
            write_masks(root.iterdir(), root, masks, pictures[0].shape[0])
        arguments = [str(root), *task_options(task, "never", masks), *options]
        undisturbed = run_command(task, [*arguments, "-o", str(whole)])
        check_available(undisturbed)
        code = kill_after(task, [*arguments, "-o", str(broken)], broken, count // 3)
        left = {path: path.stat().st_mtime_ns for path in broken.rglob("*") if path.is_file()}
        pictures_left = [path for path in left if path.suffix == ".png"]
        again = run_command(task, [*arguments, "-o", str(broken), "--skip-existing"])
        after = {path.name: path.read_bytes() for path in broken.rglob("*") if path.is_file()}
        return [
            ("undisturbed: exit code", undisturbed.code, 0),
            ("undisturbed: ok", undisturbed.summary.get("ok"), count),
            ("killed: exit code", code, -signal.SIGKILL),
            ("killed: some outputs and not all", 0 < len(pictures_left) < count, True),
            ("killed: outputs cut short", sum(not decodes(path) for path in pictures_left), 0),
            ("again: exit code", again.code, 0),
            ("again: skipped", again.summary.get("skipped"), len(pictures_left)),
            ("again: ok", again.summary.get("ok"), count - len(pictures_left)),
            ("again: outputs made twice", sum(path.stat().st_mtime_ns != left[path] for path in pictures_left), 0),
            (
                "again: files unlike the undisturbed run's",
                sum(after.get(p.name) != p.read_bytes() for p in whole.iterdir()),
                0,
            ),
            ("again: files left over", len(after) - len(list(whole.iterdir())), 0),
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shard", type=Path, required=True, help="a packed shard with pictures and label maps")
    parser.add_argument("--task", default="invert")
    parser.add_argument("--count", type=int, default=200, help="how many pictures")
    parser.add_argument("--option", action="append", default=[], help="a further option of the task; repeats")
    options = parser.parse_args()
    try:
        rows = try_kill(read_faces(options.shard, 40), options.task, options.count, options.option)
    except Unavailable as error:
        print(f"{options.task}: not available, {error}", file=sys.stderr)
        return 4
    return print_checks(options.task, rows)


if __name__ == "__main__":
    sys.exit(main())
