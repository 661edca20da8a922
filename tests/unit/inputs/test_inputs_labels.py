"""Label maps: every schema right, every unknown value named, sides swapped in the mirror."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixel2style2pixel_cli.errors import InputError, ShapeError, UsageError
from pixel2style2pixel_cli.inputs.labels import (
    BISENET_19,
    CELEBAMASK_19,
    SCHEMAS,
    LabelSchema,
    colour_map,
    decode_labels,
    find_schema,
    index_map,
    mirror_labels,
    one_hot,
    resize_labels,
)

RNG = np.random.default_rng(0)
FACES = sorted((Path(__file__).parents[2] / "data").glob("face_*.webp"))
EVERY = np.arange(19, dtype=np.uint8).reshape(1, 19)


def same(labels: np.ndarray, schema: LabelSchema, target: LabelSchema = CELEBAMASK_19) -> np.ndarray:
    return index_map(labels, schema, target, name="map.png")


def failure(labels: np.ndarray, schema: LabelSchema) -> InputError:
    with pytest.raises(InputError) as caught:
        same(labels, schema)
    return caught.value


# --- schemas -------------------------------------------------------------------------------------------------------


def test_nose_and_hair_are_where_the_data_sets_have_them() -> None:
    assert [CELEBAMASK_19.classes.index(name) for name in ("nose", "hair")] == [2, 13]
    assert [BISENET_19.classes.index(name) for name in ("nose", "hair")] == [10, 17]
    assert sorted(BISENET_19.classes) == sorted(CELEBAMASK_19.classes) and BISENET_19.count == 19


def test_palette_of_celebamask() -> None:
    assert CELEBAMASK_19.palette is not None
    assert len(set(CELEBAMASK_19.palette)) == 19
    assert CELEBAMASK_19.palette[CELEBAMASK_19.classes.index("nose")] == (76, 153, 0)
    assert CELEBAMASK_19.palette[CELEBAMASK_19.classes.index("hair")] == (0, 0, 204)


def test_schemas_are_found_by_name() -> None:
    assert all(find_schema(name) is schema for name, schema in SCHEMAS.items())
    with pytest.raises(UsageError, match="unknown label schema 'celeba'") as caught:
        find_schema("celeba")
    assert "celebamask-19, bisenet-19" in caught.value.hint


def test_schemas_must_agree_on_the_classes() -> None:
    small = LabelSchema(name="small", classes=("background", "beard"))
    with pytest.raises(UsageError, match="celebamask-19 has no class beard"):
        same(np.zeros((2, 2), np.uint8), small)
    with pytest.raises(ValueError, match="1 colours for 2 classes"):
        LabelSchema(name="small", classes=("background", "skin"), palette=((0, 0, 0),))


# --- pictures to class numbers ---------------------------------------------------------------------------------------


def test_one_map_read_in_two_schemas_gives_two_one_hots() -> None:
    labels = np.array([[10, 17], [2, 13]], np.uint8)
    celeba, bisenet = (one_hot(same(labels, schema)[None], 19)[0] for schema in (CELEBAMASK_19, BISENET_19))
    assert not np.array_equal(celeba, bisenet)
    nose, hair = CELEBAMASK_19.classes.index("nose"), CELEBAMASK_19.classes.index("hair")
    assert bisenet[nose].tolist() == [[1, 0], [0, 0]] and bisenet[hair].tolist() == [[0, 1], [0, 0]]
    assert celeba[nose].tolist() == [[0, 0], [1, 0]] and celeba[hair].tolist() == [[0, 0], [0, 1]]


def test_every_class_keeps_its_name_on_the_way_to_the_other_schema_and_back() -> None:
    there = same(EVERY, CELEBAMASK_19, BISENET_19)
    assert [BISENET_19.classes[i] for i in there[0]] == list(CELEBAMASK_19.classes)
    assert np.array_equal(same(there, BISENET_19, CELEBAMASK_19), EVERY)
    assert np.array_equal(same(EVERY, BISENET_19, BISENET_19), EVERY)


def test_colours_are_looked_up() -> None:
    labels = RNG.integers(0, 19, (30, 40), dtype=np.uint8)
    coloured = np.array(CELEBAMASK_19.palette, np.uint8)[labels]
    assert np.array_equal(same(coloured, CELEBAMASK_19), labels)
    assert np.array_equal(same(coloured, CELEBAMASK_19, BISENET_19), same(labels, CELEBAMASK_19, BISENET_19))


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_three_equal_channels_and_16_bits_are_class_numbers(schema: LabelSchema) -> None:
    assert np.array_equal(same(EVERY[:, :, None].repeat(3, axis=2), schema, schema), EVERY)
    wide = same(EVERY.astype(np.uint16), schema, schema)
    assert np.array_equal(wide, EVERY) and wide.dtype == np.uint8


def test_a_map_whose_colours_were_numbered_anew_goes_by_its_colours() -> None:
    numbers = np.array([[0, 1], [2, 1]], np.uint8)
    classes = np.array([[13, 1], [2, 1]], np.uint8)  # what the colours below say
    renumbered = np.array([CELEBAMASK_19.palette[13], CELEBAMASK_19.palette[1], CELEBAMASK_19.palette[2]], np.uint8)  # type: ignore[index]
    found = index_map(numbers, CELEBAMASK_19, CELEBAMASK_19, name="a.png", palette=renumbered)
    np.testing.assert_array_equal(found, classes)
    foreign = np.array([(0, 0, 0), (128, 0, 0), (0, 128, 0)], np.uint8)  # colours of another program, numbers of ours
    found = index_map(numbers, CELEBAMASK_19, CELEBAMASK_19, name="a.png", palette=foreign)
    np.testing.assert_array_equal(found, numbers)
    found = index_map(numbers, BISENET_19, BISENET_19, name="a.png", palette=renumbered)
    np.testing.assert_array_equal(found, numbers)  # that schema has no colours


def test_colours_need_a_palette() -> None:
    error = failure(np.array([[[204, 0, 0]]], np.uint8), BISENET_19)
    assert "bisenet-19 has no published colours" in error.message and "celebamask-19" in error.hint


def test_unknown_values_are_named_with_their_counts() -> None:
    labels = np.zeros((10, 10), np.uint8)
    labels[0, :7], labels[1, 0], labels[2, :3] = 255, 19, 40
    error = failure(labels, CELEBAMASK_19)
    assert error.message == (
        "map.png has values unknown to celebamask-19: 255 (7 pixels), 40 (3 pixels), 19 (1 pixel); expected 0 to 18"
    )
    assert "'ignore'" in error.hint and "bisenet-19" in error.hint
    labels[labels == 255] = 0
    assert "'ignore'" not in failure(labels, CELEBAMASK_19).hint
    assert "300 (1 pixel)" in failure(np.array([[300]], np.uint16), CELEBAMASK_19).message


def test_only_the_most_frequent_unknown_values_are_listed() -> None:
    labels = np.repeat(np.arange(20, 28, dtype=np.uint8), np.arange(1, 9))[None]
    message = failure(labels, CELEBAMASK_19).message
    assert "27 (8 pixels), 26 (7 pixels)" in message and "23 (4 pixels) and 3 more" in message


def test_unknown_colours_are_named() -> None:
    coloured = np.zeros((4, 4, 3), np.uint8)
    coloured[0] = 204, 0, 0
    coloured[1, :2], coloured[1, 2] = (205, 1, 0), (255, 255, 255)
    message = failure(coloured, CELEBAMASK_19).message
    assert "colours unknown to celebamask-19: #cd0100 (2 pixels), #ffffff (1 pixel); expected the 19" in message


@pytest.mark.parametrize("grey", [False, True])
def test_photographs_are_told_apart(grey: bool) -> None:
    photo = np.array(Image.open(FACES[0]).convert("L" if grey else "RGB"))
    error = failure(photo, CELEBAMASK_19)
    assert "is not a label map" in error.message and "PNG" in error.hint


def test_one_hot_refuses_classes_beyond_the_last() -> None:
    maps = np.array([[[0, 1]], [[2, 0]]], np.uint8)
    found = one_hot(maps, 3)
    assert found.shape == (2, 3, 1, 2) and found.dtype == np.float32
    assert np.array_equal(found.argmax(axis=1), maps) and (found.sum(axis=1) == 1).all()
    with pytest.raises(ShapeError, match="class 2, expected 0 to 1"):
        one_hot(maps, 2)


# --- shapes and sides -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_mirror_swaps_left_and_right_and_nothing_else(schema: LabelSchema) -> None:
    for number, name in enumerate(schema.classes):
        other = {"l_": "r_", "r_": "l_"}.get(name[:2], name[:2]) + name[2:] if name != "l_lip" else name
        expected = schema.classes.index(other)
        assert mirror_labels(np.array([[number, 0]], np.uint8), schema).tolist() == [[0, expected]], name


def test_mirror_is_the_same_in_both_schemas() -> None:
    labels = RNG.integers(0, 19, (8, 8), dtype=np.uint8)
    direct = same(mirror_labels(labels, BISENET_19), BISENET_19)
    assert np.array_equal(direct, mirror_labels(same(labels, BISENET_19)))
    assert np.array_equal(mirror_labels(mirror_labels(labels)), labels)


@pytest.mark.parametrize(("side", "size"), [(40, 16), (16, 40), (33, 32)])
def test_resize_invents_no_class(side: int, size: int) -> None:
    labels = np.where(np.indices((side, side)).sum(axis=0) % 2, 13, 1).astype(np.uint8)
    small = resize_labels(labels, size)
    assert small.shape == (size, size) and set(np.unique(small)) == {1, 13}


def test_maps_that_are_not_square_are_refused() -> None:
    with pytest.raises(InputError, match=r"map\.png is 30 x 20, expected a square"):
        resize_labels(np.zeros((20, 30), np.uint8), 16, name="map.png")


def test_preview_colours_depend_on_the_class_alone() -> None:
    labels = RNG.integers(0, 19, (8, 8), dtype=np.uint8)
    seen = colour_map(labels, BISENET_19)
    assert seen.dtype == np.uint8 and np.array_equal(seen, colour_map(same(labels, BISENET_19), CELEBAMASK_19))
    assert colour_map(np.array([[17]], np.uint8), BISENET_19).tolist() == [[[0, 0, 204]]]


def test_maps_in_shards_are_one_channel() -> None:
    def png(image: Image.Image) -> bytes:
        out = io.BytesIO()
        image.save(out, "PNG")
        return out.getvalue()

    assert np.array_equal(decode_labels(png(Image.fromarray(EVERY)), name="x"), EVERY)
    with pytest.raises(InputError, match="x: the label map has mode RGB"):
        decode_labels(png(Image.new("RGB", (2, 2))), name="x")
    with pytest.raises(InputError, match="x: the label map cannot be read"):
        decode_labels(b"no picture", name="x")
