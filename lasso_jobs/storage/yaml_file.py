"""Reads YAML as a person means it: what would be lost or misread is refused, with its line."""

from pathlib import Path

import yaml

_KNOWN = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge")
_PREFIX = "tag:yaml.org,2002:"

MOST_BYTES = 2 * 2**20
MOST_VALUES = 200_000
"""A few anchors that name each other stand for billions of values, and are told as such."""
MOST_NESTED = 50
EXPECTED = "YAML with each key once, and no tags or numbers such as .nan"


class _Loader(yaml.SafeLoader):
    """Stops where no person nests: it takes time by the square of the depth, then the stack."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MOST_NESTED:
            found = f"more than {MOST_NESTED} sections or lists are within each other"
            raise ValueError(f"it is not YAML: {found}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read(path: str | Path) -> object:
    """The value in a YAML file.

    Raises
    ------
    OSError, UnicodeDecodeError
        If it cannot be read.
    ValueError
        If it is no such YAML; it says what is wrong, and in which line.
    """
    with Path(path).open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    return parse(content.decode())


def parse(text: str) -> object:
    r"""The value in a YAML text.

    Raises
    ------
    ValueError
        If it is no YAML, or gives a key twice, or has a key that is no text, a tag, a NaN or an
        anchor within itself, or is larger or deeper than a file that a person writes.

    Examples
    --------
    >>> parse("target: sales")
    {'target': 'sales'}
    >>> parse("target: sales\nseed: 1\ntarget: profit")
    Traceback (most recent call last):
    ValueError: the key 'target' is given twice, in lines 1 and 3
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES / 2**20:g} MiB")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check(loader, node, inside=(), sizes={})
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" in line {mark.line + 1}" if mark else ""
        raise ValueError(f"it is not YAML: {error.problem or error.context}{line}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {error}") from error


def _check(
    loader: yaml.SafeLoader, node: yaml.Node, *, inside: tuple[int, ...], sizes: dict[int, int]
) -> int:
    """Check a node and those in it; return how many values they stand for."""
    if id(node) in inside:
        raise ValueError(f"what begins in line {_line(node)} holds itself")
    if id(node) in sizes:
        return sizes[id(node)]
    if node.tag.removeprefix(_PREFIX) not in _KNOWN:
        name = node.tag.replace(_PREFIX, "!!")
        raise ValueError(f"the tag {name} in line {_line(node)} has no meaning here")
    inside, size = (*inside, id(node)), 1
    if isinstance(node, yaml.CollectionNode):
        if isinstance(node, yaml.MappingNode):
            _check_keys(loader, node)
        for item in node.value:
            value = item[1] if isinstance(node, yaml.MappingNode) else item
            size += _check(loader, value, inside=inside, sizes=sizes)
    else:
        _check_value(loader, node)
    if size > MOST_VALUES:
        found = f"what begins in line {_line(node)} stands for more than {MOST_VALUES:,} values"
        raise ValueError(found)
    sizes[id(node)] = size
    return size


def _check_keys(loader: yaml.SafeLoader, node: yaml.MappingNode) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = _line(key)
        merges = key.tag == f"{_PREFIX}merge"
        if not merges and key.tag != f"{_PREFIX}str":
            said = key.value if isinstance(key, yaml.ScalarNode) else "a list or section"
            raise ValueError(f"the key {said} in line {line} is no text: write it in quotes")
        if key.value in lines:
            first = lines[key.value]
            both = f"in lines {first} and {line}" if first != line else f"in line {line}"
            raise ValueError(f"the key {key.value!r} is given twice, {both}")
        lines[key.value] = line


def _check_value(loader: yaml.SafeLoader, node: yaml.Node) -> None:
    try:
        value = loader.construct_object(node)
    except ValueError as error:
        raise ValueError(f"{node.value!r} in line {_line(node)} is no value ({error})") from error
    if value != value:
        raise ValueError(f"{node.value!r} in line {_line(node)} is no number")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
