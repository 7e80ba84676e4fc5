"""What pages hold in place of a script or an image: formulas as MathML, drawings as SVG."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.math import get_node_equation_number

_DRAWING = re.compile(r'<img alt="([^"]*)"[^>]* src="[^"]*?([\w-]+)\.svg"[^>]*>')
# ids of matplotlib that nothing refers to, indents, and decimals that no screen can show
_IDLE = re.compile(r' id="[A-Za-z.2]+_\d+"|(?<=\n) +|(?<=\.\d\d)\d{3,}\b')
_ID = re.compile(r'(\bid="|url\(#|href="#)')


def formula(writer: Any, node: Any) -> None:
    """Write a formula as MathML, which browsers draw without a script; a block may be numbered.

    Parameters
    ----------
    writer : translator of Sphinx, of HTML.
    node : ``math`` or ``math_block``, with its TeX.
    """
    block = isinstance(node, nodes.math_block)
    said = tex2mathml(node.astext(), as_block=block)
    if block:
        if node["number"]:
            number = get_node_equation_number(writer, node)
            said = f'<span class="eqno">({number})</span><div>{said}</div>'
        said = f"{writer.starttag(node, 'div', CLASS='math')}{said}</div>"
    writer.body.append(said)
    raise nodes.SkipNode


def inlined(page: str, source: Path) -> str:
    """Put the drawings of a page into it: there, their words can be found and selected.

    Parameters
    ----------
    page : HTML, with images that have a description.
    source : folder with the drawings, whose names differ.
    """

    def drawing(found: re.Match[str]) -> str:
        said, name = found.groups()
        (path,) = source.rglob(f"{name}.svg")
        _, _, rest = path.read_text(encoding="utf-8").partition("<svg")
        own = _ID.sub(rf"\g<1>{name}-", _IDLE.sub("", rest))  # ids differ in a page
        return f'<svg role="img" aria-label="{said}"{own}'

    return _DRAWING.sub(drawing, page)
