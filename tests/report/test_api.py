"""Pages made from docstrings: complete, and free of mistakes that Sphinx finds."""

import shutil

import pytest
from conftest import ROOT
from sphinx.cmd.build import main as sphinx_build

from asdlib.report import api


def test_every_module_and_wing_has_a_page(tmp_path):
    api.write(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {"index", *api.pages()}
    documented = {
        line.split(":: ")[1]
        for path in tmp_path.iterdir()
        for line in path.read_text().splitlines()
        if line.startswith(".. automodule")
    }
    files = [p.relative_to(ROOT).with_suffix("") for p in (ROOT / "asdlib").rglob("[!_]*.py")]
    assert {".".join(file.parts) for file in files} <= documented
    assert "asdlib.study" in documented
    assert (tmp_path / "index.md").read_text().count("noise\n") == 1


def test_no_docstring_has_a_mistake_that_sphinx_finds(tmp_path, capfd):
    source = tmp_path / "source"
    shutil.copytree(ROOT / "report", source)
    api.write(source / "api")
    (source / "index.md").write_text("# x\n\n```{toctree}\napi/index\nbibliography\n```\n")
    options = ["-n", "-W", "--keep-going", "-q", "-b", "dummy"]
    status = sphinx_build([*options, str(source), str(tmp_path / "out")])
    assert status == 0, capfd.readouterr().err


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            ["Parameters", "----------", "a, b : two of", "    them.", "c : |x| of ``|y|``"],
            [
                "Parameters",
                "----------",
                "a, b",
                "    two of",
                "    them.",
                "c",
                "    \\|x\\| of ``|y|``",
            ],
        ),
        (
            [
                "Returns",
                "-------",
                "(frequency,) what",
                "is left.",
                "",
                "Raises",
                "------",
                "AsdError",
                "    Always : so.",
            ],
            [
                "",
                ":returns:",
                "    (frequency,) what",
                "    is left.",
                "",
                "Raises",
                "------",
                "AsdError",
                "    Always : so.",
            ],
        ),
        (
            ["Returns", "-------", "a : one", "    of two.", "b : another."],
            ["", ":returns:", "    * **a**: one", "      of two.", "    * **b**: another."],
        ),
        (
            ["Attributes", "----------", "a, b : two of", "    them.", "", "Examples", "--------"],
            [
                "",
                ":attributes:",
                "    * **a, b**: two of",
                "      them.",
                "",
                "Examples",
                "--------",
            ],
        ),
        (["Text : not an entry.", ">>> 1 | 2"], ["Text : not an entry.", ">>> 1 | 2"]),
    ],
)
def test_descriptions_stand_below_their_names(before, after):
    assert api.readable(before) == after
