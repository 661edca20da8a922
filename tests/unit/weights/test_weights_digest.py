"""The tensor digest: equal for equal weights, different for anything else."""

from __future__ import annotations

import torch

from pixel2style2pixel_cli.weights.digest import tensor_digest

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3), "c": torch.empty(0, 2)}


def test_the_digest_is_pinned() -> None:
    assert (
        tensor_digest({"a": torch.tensor([1.0, 2.0])})
        == "400270d576caf9a0f1d68d244fd8877da449f038f3ebe729e38cf57bc9ded28b"
    )


def test_order_and_layout_in_memory_do_not_matter() -> None:
    reordered = {key: STATE[key] for key in ("c", "b", "a")}
    assert tensor_digest(reordered) == tensor_digest(STATE)
    strided = {**STATE, "a": STATE["a"].T.contiguous().T}
    assert not strided["a"].is_contiguous()
    assert tensor_digest(strided) == tensor_digest(STATE)


def test_name_type_shape_and_value_matter() -> None:
    others = [
        {**STATE, "d": torch.tensor(0)},
        {"x": STATE["a"], "b": STATE["b"], "c": STATE["c"]},
        {**STATE, "a": STATE["a"].reshape(3, 2)},
        {**STATE, "a": STATE["a"].double()},
        {**STATE, "a": STATE["a"] + 1e-6},
        {**STATE, "b": torch.tensor(3, dtype=torch.int32)},
        {**STATE, "c": torch.empty(2, 0)},
    ]
    assert len({tensor_digest(state) for state in [STATE, *others]}) == len(others) + 1


def test_bfloat16_has_a_digest() -> None:
    assert len(tensor_digest({"a": torch.ones(3, dtype=torch.bfloat16)})) == 64
