"""Pages made from docstrings; that Sphinx finds no mistake in them, the report on scenes shows."""

from conftest import ROOT

from asdlib.report import api


def test_every_module_and_room_has_a_page(tmp_path):
    api.write(tmp_path / "api")
    pages = {path.stem: path.read_text() for path in (tmp_path / "api").iterdir()}
    assert set(pages) == {"index", *api.pages()}
    lines = "".join(pages.values()).splitlines()
    documented = {line.split(":: ")[1] for line in lines if line.startswith(".. automodule")}
    files = [p.relative_to(ROOT).with_suffix("") for p in (ROOT / "asdlib").rglob("[!_]*.py")]
    assert {".".join(file.parts) for file in files} <= documented
    assert "asdlib.study" in documented
    assert pages["noise"].startswith("# asdlib.noise\n")
    assert pages["study"].count("\n## ") > 3


def test_descriptions_stand_below_their_names():
    text = """Parameters
----------
a, b : |two| of ``|x|``
    them.

Returns
-------
c : one of
    two.
d : another.

Raises
------
AsdError
    Always : so.
"""
    assert api.described(text).splitlines() == [
        "Parameters",
        "----------",
        "a, b",
        "    \\|two\\| of ``|x|``",
        "    them.",
        "",
        "",
        ":returns:",
        "    * **c**: one of",
        "      two.",
        "    * **d**: another.",
        "",
        "Raises",
        "------",
        "AsdError",
        "    Always : so.",
        "",
    ]
