"""The findings of Image2StyleGAN's paper, measured on the bundled generator: one study a name.

    python benchmarks/study.py spaces
    python benchmarks/study.py alignment --steps 300 --shard shard_015.npz --count 12
    python benchmarks/study.py defects --record benchmarks/records/study_defects.json --sheet docs/pictures/studies

The studies are in ``studies/``. Each prints its table, and writes its record and its sheet where asked. Without a shard
the faces are the four held-out renders among the tests' data; the photograph is NASA's portrait of Eileen Collins, and
what is no face are photographs of things, both as scikit-image carries them.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from studies.common import Study, read_subjects, table

NAMES = ("spaces", "alignment", "defects", "subjects")


def main() -> None:
    """Run one study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--model", default="mini", help="a model of the zoo that inverts")
    parser.add_argument("--steps", type=int, default=300, help="of each optimisation")
    parser.add_argument("--count", type=int, default=4, help="how many faces")
    parser.add_argument("--shard", type=Path, help="a packed shard of held-out renders")
    parser.add_argument("--record", type=Path, help="where the numbers go, as JSON")
    parser.add_argument("--sheet", type=Path, help="the folder that the sheet goes to")
    given = parser.parse_args()
    subjects = read_subjects(given.shard, given.count)
    study = Study(given.name, subjects, model=given.model, steps=given.steps, record=given.record, sheet=given.sheet)
    rows = importlib.import_module(f"studies.{given.name}").run(study)
    print(table(rows))
    study.write(rows)


if __name__ == "__main__":
    main()
