"""models/README.md lists what the cards say."""

from models_index import MODELS, models_index


def test_index_is_up_to_date() -> None:
    assert (MODELS / "README.md").read_text(encoding="utf-8") == models_index(), (
        "run: PYTHONPATH=. python tests/packaging/models_index.py"
    )
