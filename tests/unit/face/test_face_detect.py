"""Order of faces, choice among them, and the registry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pixel2style2pixel_cli.errors import NoFaceError, UsageError
from pixel2style2pixel_cli.face.detect import Face, best_first, choose_faces, far_weaker, rank
from pixel2style2pixel_cli.face.detectors import load_detector


def face(left: float, size: float, score: float) -> Face:
    return Face(box=(left, 10.0, left + size, 10.0 + size), score=score, points=np.zeros((68, 2)))


FACES = best_first([face(0, 50, 2.0), face(200, 52, 0.35), face(400, 90, 1.2), face(100, 120, 0.3)])
SOME_WEAK = best_first([face(0, 50, 2.0), face(200, 89, 0.12), face(400, 90, 0.4), face(100, 400, -0.1)])


def chosen(choice: str) -> list[tuple[int, float]]:
    return [(index, found.box[0]) for index, found in choose_faces(FACES, choice)]


def test_best_first_weighs_score_and_size() -> None:
    assert [found.box[0] for found in FACES] == [400, 0, 100, 200]


def test_rank_grows_with_both() -> None:
    assert rank(face(0, 60, 1.0)) > rank(face(0, 50, 1.0))
    assert rank(face(0, 50, 1.0)) > rank(face(0, 50, 0.9))
    assert rank(face(0, 90, 1.5)) > rank(face(0, 50, 3.0)), "of two faces that are beyond doubt the larger one wins"
    assert rank(face(0, 50, 1.0)) > rank(face(0, 200, -0.5)) > 0, "size does not make up for a negative score"


def test_order_does_not_depend_on_the_order_of_detection() -> None:
    twins = [face(50, 40, 1.0), face(10, 40, 1.0)]
    assert [f.box for f in best_first(twins)] == [f.box for f in best_first(twins[::-1])]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("best", [(0, 400)]),
        ("largest", [(2, 100)]),
        ("all", [(0, 400), (1, 0), (2, 100), (3, 200)]),
        ("left-to-right", [(1, 0), (2, 100), (3, 200), (0, 400)]),
        ("0", [(0, 400)]),
        ("3", [(3, 200)]),
    ],
)
def test_choices(choice: str, expected: list[tuple[int, float]]) -> None:
    assert chosen(choice) == expected


def test_of_several_those_far_weaker_than_the_best_are_left_out() -> None:
    assert [found.score for found in SOME_WEAK] == [2.0, 0.4, 0.12, -0.1]
    for choice, scores in (("all", [2.0, 0.4]), ("left-to-right", [2.0, 0.4])):
        assert [found.score for _, found in choose_faces(SOME_WEAK, choice)] == scores
    assert [(index, found.score) for index, found in far_weaker(SOME_WEAK)] == [(2, 0.12), (3, -0.1)]
    assert len(choose_faces(SOME_WEAK, "all", every=True)) == 4
    assert choose_faces(SOME_WEAK, "2")[0][1].score == 0.12, "a face asked for by its number is taken"
    assert choose_faces(SOME_WEAK, "largest")[0][1].score == -0.1


def test_faces_that_are_all_weak_are_kept() -> None:
    dark = best_first([face(0, 50, 0.15), face(100, 50, 0.05), face(200, 50, 0.1)])
    assert far_weaker(dark) == []
    assert len(choose_faces(dark, "all")) == 3
    assert far_weaker([]) == []


def test_index_out_of_range_is_a_missing_face() -> None:
    with pytest.raises(NoFaceError, match="there is no face 4: 4 faces were found") as caught:
        choose_faces(FACES, "4")
    assert "--list-faces" in caught.value.hint


@pytest.mark.parametrize("choice", ["best", "all", "0"])
def test_no_face_at_all(choice: str) -> None:
    with pytest.raises(NoFaceError, match="no face found") as caught:
        choose_faces([], choice)
    assert "--on-no-face" in caught.value.hint


@pytest.mark.parametrize("choice", ["", "biggest", "-1", "1.5", "²", "Best"])
def test_nonsense_is_a_usage_error_even_without_faces(choice: str) -> None:
    with pytest.raises(UsageError, match="unknown face choice") as caught:
        choose_faces([], choice)
    assert "left-to-right" in caught.value.hint


def test_unknown_detector_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown detector 'mtcnn'") as caught:
        load_detector("mtcnn", landmarks=Path("x.dat"))
    assert "dlib" in caught.value.hint
