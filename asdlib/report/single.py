"""The report in one file that needs nothing beside it and no network.

Sphinx merges the pages (its builder singlehtml); here all that such a page loads is put inside.
"""

from __future__ import annotations

import base64
import mimetypes
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from asdlib.io.files import write_text
from asdlib.params import AsdError

# which Python does not know everywhere
_MEDIA_TYPES = {".woff": "font/woff", ".woff2": "font/woff2"}
# what needs other pages, or announces files that are inside
_USELESS = (
    "link[rel=preload], link[rel=search], link[rel=index], #pst-search-dialog, form.bd-search, "
    ".search-button__button, .prev-next-footer, nav.bd-links .caption"
)
ICONS = re.compile(r"<script [^>]*fontawesome\.js[^>]*></script>")
"""A script of megabytes that draws a few icons."""
SEARCH = re.compile(r"<script [^>]*(searchindex|searchtools|language_data)\.js[^>]*></script>")
"""What only the page of search results needs."""
_HEADING = re.compile("^h[1-6]$")
_CSS = re.compile(
    r"""/\*.*?\*/
    |@import\s+(?:url\()?["']?(?P<sheet>[^"')\s;]+)["']?\)?\s*;
    |url\(\s*(?:"(?P<a>[^"]*)"|'(?P<b>[^']*)'|(?P<c>[^"')\s]+))\s*\)""",
    re.DOTALL | re.VERBOSE,
)
_BREAKS_SCRIPT = re.compile(r"<(?=!--|/?script)", re.IGNORECASE)
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)


def write(page: Path, target: Path) -> Path:
    """Write a page as one file.

    Parameters
    ----------
    page : built by Sphinx's singlehtml, with what it loads in its folder.
    target : the file, written whole or not at all.

    Raises
    ------
    AsdError
        For a file that the page needs and that is absent or on the network, and for a place that
        cannot be written.
    """
    text = SEARCH.sub("", ICONS.sub("", page.read_text(encoding="utf-8")))
    whole = BeautifulSoup(text, "html.parser")
    for tag in whole.select(_USELESS):
        tag.extract()
    _separate(whole)
    _list_chapters(whole)
    for link in whole.select("link[rel=stylesheet]"):
        style = Tag(name="style")
        style.string = _css(_local(page.parent, str(link["href"])))
        link.replace_with(style)
    for script in whole.select("script[src]"):
        text = _local(page.parent, str(script["src"])).read_text(encoding="utf-8")
        script.string = _BREAKS_SCRIPT.sub(r"\\x3C", _SOURCE_MAP.sub("", text))
        del script["src"]
    for tag in whole.select("[src], link[rel~=icon], a.download"):
        name = "src" if "src" in tag.attrs else "href"
        tag[name] = _data(page.parent, str(tag[name]))
    for script in whole.select("script[defer]"):  # text in a page is never deferred
        whole.select("body")[0].append(script.extract())
    write_text(str(whole), target)
    return target


def _separate(whole: BeautifulSoup) -> None:
    """Put the chapters one after the other, with ids that differ, and let links arrive there.

    Sphinx leaves them inside the last section of the first page, every one behind a mark.
    """
    (article,) = whole.select("article")
    count = Counter(str(tag["id"]) for tag in article.select("[id]"))
    new: dict[tuple[str, str], str] = {}
    for mark in article.select("span[id^=document-]"):
        name, (chapter,) = str(mark["id"]), mark.find_next_siblings("section", limit=1)
        article.append(chapter)
        chapter.insert(0, mark)
        headings = chapter.find_all(_HEADING)
        deeper = int(headings[0].name[1]) - 1
        for heading in headings:
            heading.name = f"h{int(heading.name[1]) - deeper}"
        for tag in chapter.select("[id]"):
            if count[own := str(tag["id"])] > 1:
                tag["id"] = new[name, own] = f"{Path(name).name}-{own}"
        for link in chapter.select("a[href^='#']:not([href^='#document-'])"):
            own = str(link["href"])[1:]
            link["href"] = f"#{new.get((name, own), own)}"
    for link in whole.select("a[href^='#document-']"):
        name, _, own = str(link["href"])[1:].partition("#")
        link["href"] = f"#{new.get((name, own), own) or name}"


def _list_chapters(whole: BeautifulSoup) -> None:
    """Fill the menu at the left, which Sphinx leaves empty, from the contents at the right."""
    for home in whole.select("a[href='#']"):
        home["href"] = f"#{whole.select('article section')[0]['id']}"
    for tag in whole.select("nav.bd-links .active"):  # it would stay so, wherever the reader is
        del tag["class"]
    for menu in whole.select("nav.bd-links ul:not(.bd-sidenav__home-link)")[:1]:
        for link in whole.select("#pst-page-toc-nav > ul > li > a"):
            entry, target = Tag(name="li"), Tag(name="a", attrs={"href": str(link["href"])})
            target.string = link.get_text()
            entry.append(target)
            menu.append(entry)
    for sections in whole.select("#pst-page-toc-nav li > ul"):  # they unfold where the reader is
        sections["class"] = "nav section-nav flex-column"


def _css(path: Path) -> str:
    """Return a style sheet with all that it would load."""

    def replace(match: re.Match[str]) -> str:
        if match["sheet"]:
            return _css(_local(path.parent, match["sheet"]))
        url = match["a"] or match["b"] or match["c"]
        if url is None:  # a comment
            return ""
        return match[0] if url.startswith("#") else f'url("{_data(path.parent, url)}")'

    return _CSS.sub(replace, path.read_text(encoding="utf-8")).replace("</style", r"<\/style")


def _data(folder: Path, url: str) -> str:
    if url.startswith(("data:", "blob:")):
        return url
    path = _local(folder, url)
    kind = _MEDIA_TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0]
    data = base64.b64encode(path.read_bytes()).decode()
    return f"data:{kind or 'application/octet-stream'};base64,{data}"


def _local(folder: Path, url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        raise AsdError(f"{url}: the report needs this from the network; it has to lie here.")
    path = (folder / unquote(parts.path)).resolve()
    if not path.is_file():
        raise AsdError(f"{path}: the report needs this file, but it is not there.")
    return path
