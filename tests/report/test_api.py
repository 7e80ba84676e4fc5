"""Pages made from docstrings; that Sphinx finds no mistake in them, the report on scenes shows."""

import pytest
from conftest import ROOT

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
