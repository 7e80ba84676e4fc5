"""Every public function of the method has an example, and the examples are right."""

import doctest
import importlib
import inspect

import pytest
from conftest import ROOT

WITHOUT = {
    "cli"  # its examples are commands, see README.md
}
MODULES = sorted(
    path.stem for path in (ROOT / "asdlib").glob("*.py") if path.stem not in {"__init__", *WITHOUT}
)
ROOMS = ("compare", "io", "measure", "monitor", "report", "runtime", "study")


def public(module):
    """Functions and classes that a module defines under a public name."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isroutine(value) or inspect.isclass(value))
        and inspect.unwrap(value).__module__ == module.__name__
    }


def is_called(value):
    """Whether it is a function, or a class whose objects are called like one."""
    return not inspect.isclass(value) or any("__call__" in vars(kind) for kind in value.__mro__)


def wrong(name):
    """Public names without an example, and what examples said that they should not."""
    module = importlib.import_module(f"asdlib.{name}")
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    missing, said = [], []
    for title, value in public(module).items():
        tests = finder.find(value, title, module=False, globs=dict(vars(module)))
        for test in tests:
            runner.run(test, out=said.append)
        if is_called(value) and not any(test.examples for test in tests):
            missing.append(title)
    return missing, "".join(said)


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example_and_it_is_right(name):
    missing, said = wrong(name)
    assert not said, said
    assert not missing, f"asdlib/{name}.py: no example in {', '.join(missing)}"


@pytest.mark.filterwarnings("ignore")  # torch warns where a loss cannot be compiled
@pytest.mark.parametrize("room", ROOMS)
def test_the_examples_of_a_room_are_right(room):
    names = [
        path.stem for path in (ROOT / "asdlib" / room).glob("*.py") if ">>>" in path.read_text()
    ]
    assert names
    assert "".join(wrong(f"{room}.{name}")[1] for name in sorted(names)) == ""
