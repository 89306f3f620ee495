"""The shape of a merge tree is that of its items, whatever was there before."""

import math
from itertools import pairwise
from random import Random

import pytest

from lasso_jobs.core.merge_tree import MergeTree, balanced, by_priority


def joined(left: str, right: str) -> str:
    return f"({left} {right})"


def cut(items: list[str], priorities: list[int]) -> str:
    """By the definition: at the gap of the highest priority, and so on in both halves."""
    if len(items) == 1:
        return items[0]
    at = max(range(len(items) - 1), key=lambda i: priorities[i]) + 1
    return joined(cut(items[:at], priorities[:at]), cut(items[at:], priorities[at:]))


@pytest.mark.parametrize("seed", range(20))
def test_a_tree_is_cut_at_its_highest_gap(seed: int) -> None:
    random = Random(seed)
    n = random.randint(1, 60)
    items, priorities = [str(i) for i in range(n)], random.sample(range(1_000), n)
    tree = by_priority(items, priorities, joined)
    assert tree.item == cut(items, priorities)
    assert [leaf.item for leaf in tree.leaves()] == items


def nodes(tree: MergeTree[str]) -> set[str]:
    return {tree.item}.union(*(nodes(half) for half in tree.halves))


def test_an_item_more_or_less_at_either_end_changes_few_nodes() -> None:
    random, n = Random(0), 365
    items, priorities = [f"{i}" for i in range(n)], random.sample(range(10**6), n)
    found = [
        nodes(by_priority(items[i : i + 300], priorities[i : i + 300], joined)) for i in range(60)
    ]
    new = [len(after - before) for before, after in pairwise(found)]
    assert sum(new) / len(new) < 2 * math.log(300) + 1
    assert max(new) < 40


def test_a_tree_is_not_deep() -> None:
    random, n = Random(1), 4_080
    tree = by_priority(list("x" * n), random.sample(range(10**6), n), lambda *_: "x")
    assert tree.most_waiting < 4 * math.log(n)


def test_a_balanced_tree_has_as_few_that_wait_as_there_are_levels() -> None:
    assert balanced(range(64), lambda *_: -1).most_waiting == 6
