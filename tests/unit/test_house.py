"""What CONTRIBUTING.md says of the source's shape, held by parsing it."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lasso_jobs"
MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in MODULES
}
MOST_POSITIONAL = 4
MOST_FIELDS = 5
MOST_LINES = 350
MOST_LINES_OF_A_FUNCTION = 60
MOST_MODULES = 14
# Of the package's lines; core, the largest, is four rooms of mathematics.
LARGEST_SHARE = 0.26


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def lines() -> dict[Path, int]:
    return {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        # numba knows no keyword-only parameters.
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not any(
            "njit" in ast.unparse(decorator) for decorator in node.decorator_list
        ):
            yield node


def positions(call: ast.Call) -> int:
    """How many arguments a call gives by position, a tuple that is written out for it included."""
    return sum(
        len(argument.value.elts)
        if isinstance(argument, ast.Starred) and isinstance(argument.value, ast.Tuple)
        else 1
        for argument in call.args
    )


def is_keyword_only(definition: ast.ClassDef) -> bool | None:
    """Whether a dataclass is ``kw_only``; None if it is no dataclass."""
    for decorator in definition.decorator_list:
        if isinstance(decorator, ast.Call) and "dataclass" in ast.unparse(decorator.func):
            return any(
                keyword.arg == "kw_only" and ast.unparse(keyword.value) == "True"
                for keyword in decorator.keywords
            )
        if "dataclass" in ast.unparse(decorator):
            return False
    return None


def test_no_call_has_more_than_four_positional_arguments() -> None:
    long = [
        f"{place(path, node)} {ast.unparse(node.func)}"
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and positions(node) > MOST_POSITIONAL
    ]
    assert long == []


def test_no_function_can_be_called_with_more_than_four_positions() -> None:
    long = [
        f"{place(path, node)} {node.name}"
        for path in MODULES
        for node in functions(parsed(path))
        if len(
            [a for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")]
        )
        > MOST_POSITIONAL
    ]
    assert long == []


def test_dataclasses_of_more_than_five_fields_are_built_by_keywords() -> None:
    positional = [
        f"{place(path, node)} {node.name}"
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef)
        and is_keyword_only(node) is False
        and sum(isinstance(field, ast.AnnAssign) for field in node.body) > MOST_FIELDS
    ]
    assert positional == []


def test_modules_and_functions_are_short() -> None:
    assert [str(path) for path, n in lines().items() if n > MOST_LINES] == []
    long = [
        f"{place(path, node)} {node.name}"
        for path in MODULES
        for node in functions(parsed(path))
        if (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_no_room_is_a_corridor() -> None:
    of_room: Counter[str] = Counter()
    for path, count in lines().items():
        of_room[path.relative_to(PACKAGE).parts[0]] += count
    total = sum(lines().values())
    assert {room: n for room, n in of_room.items() if n > LARGEST_SHARE * total} == {}
    modules = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert {str(folder): n for folder, n in modules.items() if n > MOST_MODULES} == {}


def test_every_room_says_what_it_is() -> None:
    silent = [path for path in MODULES if not ast.get_docstring(parsed(path))]
    assert silent == []


def imported(path: Path) -> set[str]:
    """The package's modules that one imports, at once or later; types alone do not count."""
    tree = parsed(path)
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return {
        name if name in NAMES else node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and id(node) not in for_types
        if node.module in NAMES
        for name in (f"{node.module}.{alias.name}" for alias in node.names)
    }


def test_no_module_imports_itself_through_others() -> None:
    graph = {name: imported(path) - {name} for name, path in NAMES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_nothing_named_flows_is_a_package() -> None:
    assert not list((ROOT / "flows").glob("**/__init__.py"))


SAYS = {
    # What prints, and the one module that may call it: there, names are escaped.
    "sys.stdout.write": "cli/terminal.py",
    "sys.stderr.write": "cli/terminal.py",
    "print": None,
    "get_run_logger": "flows/run_page.py",
    "create_link_artifact": "flows/run_page.py",
    "create_markdown_artifact": "flows/run_page.py",
    "create_progress_artifact": "flows/run_page.py",
    "create_table_artifact": "flows/run_page.py",
    "emit_event": "flows/events.py",
    "update_progress_artifact": "flows/run_page.py",
}


def test_whatever_prints_goes_through_the_modules_that_escape() -> None:
    elsewhere = [
        place(path, node)
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and (name := ast.unparse(node.func)) in SAYS
        and str(path.relative_to(PACKAGE)) != SAYS[name]
    ]
    assert elsewhere == []


def test_markup_of_pages_is_made_of_constants_alone() -> None:
    values = [
        place(path, node)
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rsplit(".", 1)[-1] in ("Markup", "markup")
        and not isinstance(node.args[0], ast.Constant)
        # `svg.markup` itself, and the style sheet.
        and ast.unparse(node.args[0]) not in ("template", "_style()")
    ]
    assert values == []
    templates = (PACKAGE / "pages" / "templates").glob("*.html")
    unescaped = re.compile(r"\|\s*safe|autoescape")
    assert [path for path in templates if unescaped.search(path.read_text(encoding="utf-8"))] == []
