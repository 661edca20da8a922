"""The share of the inputs that a scheduler gives to one of the processes it starts, as its variables say.

Sources: slurm.schedmd.com, "Job Array Support" and "srun, output environment variables"; docs.skypilot.co, "Distributed
multi-node jobs".
"""

from __future__ import annotations

from collections.abc import Mapping


def scheduled_share(environment: Mapping[str, str]) -> tuple[int, int, str] | None:
    """Number from 0, count, and the variable that says so; None outside a job of several processes.

    A SLURM job array multiplies with the tasks of each of its jobs. SkyPilot runs one process a node.
    """
    tasks = _share(environment, "SLURM_PROCID", "SLURM_NTASKS")
    array = _array_share(environment)
    if array is not None:
        number, count = tasks or (0, 1)
        return array[0] * count + number, array[1] * count, "SLURM_ARRAY_TASK_ID"
    if tasks is not None:
        return *tasks, "SLURM_PROCID"
    nodes = _share(environment, "SKYPILOT_NODE_RANK", "SKYPILOT_NUM_NODES")
    return None if nodes is None else (*nodes, "SKYPILOT_NODE_RANK")


def _array_share(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """The place of a task in an array, whose numbers may start anywhere and go in steps: ``--array=10-40:10``."""
    found = _share(environment, "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
    if found is None:
        return None
    identity, count = found
    first = _whole(environment, "SLURM_ARRAY_TASK_MIN") or 0
    step = _whole(environment, "SLURM_ARRAY_TASK_STEP") or 1
    place, rest = divmod(identity - first, step)
    # a list such as --array=1,5,7 has no step, so which place its numbers have cannot be told
    return (place, count) if rest == 0 and 0 <= place < count else None


def _share(environment: Mapping[str, str], number: str, count: str) -> tuple[int, int] | None:
    one, all_ = _whole(environment, number), _whole(environment, count)
    return None if one is None or all_ is None or all_ < 2 else (one, all_)


def _whole(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else None
