"""Names say what a thing is, and a public package lists what it offers."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import septet

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "septet"
VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "base", "misc", "stuff", "tools"}


def words(name: str) -> set[str]:
    """The lower-case words of snake_case or CamelCase."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_no_file_has_a_vague_name():
    files = [*SOURCE.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    vague = sorted(str(f.relative_to(ROOT)) for f in files if words(f.stem) & VAGUE or words(f.parent.name) & VAGUE)
    assert not vague


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_class_or_function_has_a_vague_name(path: Path):
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    names = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    assert not [name for name in names if words(name) & VAGUE]


def test_test_files_have_different_names():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_says_what_it_is_for(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("__init__.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_package_that_offers_names_lists_them(path: Path):
    tree = ast.parse(path.read_text())
    offers = [node for node in tree.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    if not offers:
        return
    name = ".".join(("septet", *path.parent.relative_to(SOURCE).parts))
    module = importlib.import_module(name)
    assert "__all__" in vars(module), f"{name} offers names, so it lists them in __all__"
    for public in module.__all__:
        assert getattr(module, public) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = septet.nonsense
