"""Results are merged in a shape that their number alone decides."""

from random import Random

import pytest

from lasso_jobs.engine.tasks import Tree, shape_of


def merged(leaves: list[str]) -> str:
    """What neighbours make, level by level."""
    while len(leaves) > 1:
        pairs = [leaves[i : i + 2] for i in range(0, len(leaves), 2)]
        leaves = [f"({pair[0]} {pair[1]})" if len(pair) == 2 else pair[0] for pair in pairs]
    return leaves[0]


@pytest.mark.parametrize("n", [*range(1, 18), 61])
def test_the_order_in_which_leaves_come_changes_no_merge(n: int) -> None:
    leaves = [f"{i}" for i in range(n)]
    for seed in range(5):
        tree = Tree("({} {})".format, shape_of(leaves))
        for position in Random(seed).sample(range(n), n):
            tree.add(position, leaves[position])
        assert tree.root == merged(leaves)


def test_without_leaves_there_is_no_root() -> None:
    with pytest.raises(ValueError, match="nothing to merge"):
        shape_of([])
