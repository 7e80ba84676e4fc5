"""Formulas and drawings as markup of a page."""

from asdlib.report import markup

DRAWING = """<?xml version="1.0"?>
<svg width="9.128906"><g id="text_1"/><g id="a"/><use href="#a" clip-path="url(#b)"/></svg>"""


def test_a_drawing_is_put_into_the_page_with_ids_of_its_own(tmp_path):
    for name in ("fig-x", "fig-y"):
        path = tmp_path / "figures" / f"{name}.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(DRAWING)
    images = '<img alt="a &lt; b" class="w" src="../_images/fig-x.svg" /><img alt="" src="a.png">'
    page = markup.inlined(f'{images}<img alt="c" src="_images/fig-y.svg">', tmp_path)
    assert page == (
        '<svg role="img" aria-label="a &lt; b" width="9.12"><g/><g id="fig-x-a"/>'
        '<use href="#fig-x-a" clip-path="url(#fig-x-b)"/></svg><img alt="" src="a.png">'
        '<svg role="img" aria-label="c" width="9.12"><g/><g id="fig-y-a"/>'
        '<use href="#fig-y-a" clip-path="url(#fig-y-b)"/></svg>'
    )
