"""Says in which order neighbours are merged: a binary tree over items that have an order.

A sum of floats depends on the order of its additions, so the order must be the data's own. With a
priority for the gap behind each item, the gap of the highest priority in a row of items is where
the tree of that row is cut in two, and so on in both halves (a Cartesian tree: Vuillemin 1980, "A
unifying look at data structures"). Priorities are hashes of the items' names. So the shape depends
on the items alone, and not on how they came or went; the tree of n items is about ``2 ln n`` deep;
and an item that is added, dropped or changed anywhere changes the subtrees that it is in, about
``ln n`` of them at either end, and none of the others. A tree by positions would move every pair
behind an item that is dropped.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class MergeTree(Generic[Item]):
    """A tree of items, or a part of one.

    Parameters
    ----------
    item : Item
        Of a leaf, what is merged; of others, what stands for all leaves below.
    halves : tuple of MergeTree
        None of a leaf, otherwise two.
    """

    item: Item
    halves: "tuple[()] | tuple[MergeTree[Item], MergeTree[Item]]" = ()

    def leaves(self) -> "Iterator[MergeTree[Item]]":
        """The leaves, in order."""
        if not self.halves:
            yield self
        for half in self.halves:
            yield from half.leaves()

    @property
    def most_waiting(self) -> int:
        """How many results wait for their right neighbour at most, if leaves come in order."""
        if not self.halves:
            return 0
        left, right = self.halves
        return max(left.most_waiting, 1 + right.most_waiting)


def by_priority(
    items: Sequence[Item], priorities: Sequence[int], joined: Callable[[Item, Item], Item]
) -> MergeTree[Item]:
    """The tree of items between which there are gaps.

    Parameters
    ----------
    items : sequence
        At least one.
    priorities : sequence of int
        Of the gap behind each item; that of the last counts for nothing.
    joined : callable
        Returns the item that stands for two neighbours.

    Examples
    --------
    >>> tree = by_priority(["a", "b", "c", "d"], [5, 9, 2, 0], "({} {})".format)
    >>> tree.item, tree.most_waiting
    ('((a b) (c d))', 2)
    """

    def join(left: MergeTree[Item], right: MergeTree[Item]) -> MergeTree[Item]:
        return MergeTree(joined(left.item, right.item), (left, right))

    # What waits for its right half, with the priority of the gap behind it: ever lower ones.
    waiting: list[tuple[MergeTree[Item], int]] = []
    for item, priority in zip(items, priorities, strict=True):
        tree = MergeTree(item)
        while waiting and waiting[-1][1] < priority:
            tree = join(waiting.pop()[0], tree)
        waiting.append((tree, priority))
    tree = waiting.pop()[0]
    while waiting:
        tree = join(waiting.pop()[0], tree)
    return tree


def balanced(items: Sequence[Item], joined: Callable[[Item, Item], Item]) -> MergeTree[Item]:
    """The tree that merges the first with the second, the third with the fourth, and so on.

    Examples
    --------
    >>> balanced(["a", "b", "c"], "({} {})".format).item
    '((a b) c)'
    """
    # The gap behind item i is closed in the round that the trailing ones of i say.
    priorities = [(i ^ (i + 1)).bit_length() for i in range(len(items))]
    return by_priority(items, priorities, joined)
