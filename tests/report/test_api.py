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
    parameters = "Parameters\n----------\na, b : |two| of ``|x|``\n    them.\n\n"
    returns = "Returns\n-------\nc : one of\n    two.\nd : another.\n\n"
    raises = "Raises\n------\nAsdError\n    Always : so.\n"
    assert api.described(parameters + returns + raises) == (
        "Parameters\n----------\na, b\n    \\|two\\| of ``|x|``\n    them.\n\n"
        "\n:returns:\n    * **c**: one of\n      two.\n    * **d**: another.\n\n"
        f"{raises}\n"
    )
