"""The HTML pages of a report in one file that needs nothing beside it and no network."""

from __future__ import annotations

import base64
import copy
import mimetypes
import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from asdlib.io.files import write_text
from asdlib.params import AsdError
from asdlib.report import js

Anchors = dict[tuple[Path, str], str]  # page and fragment to the id in the one file

_MEDIA_TYPES = {
    ".svg": "image/svg+xml",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".flac": "audio/flac",
}
_ASSETS = "head script, head style, head link[rel=stylesheet], body > script"
# what needs other pages, or announces files that are inside
_USELESS = (
    "link[rel=preload], link[rel=prefetch], link[rel=search], link[rel=index], link[rel=next], "
    "link[rel=prev], link[rel=canonical], #pst-search-dialog, .search-button__button, "
    ".prev-next-footer, script[src*='searchtools.js'], script[src*='language_data.js'], "
    "script[src*='searchindex.js']"
)
_REFERENCE = "api/"  # pages that stay out: who writes code has the site
_REFERRING = ("for", "aria-labelledby", "aria-describedby", "aria-controls")
_CSS = re.compile(
    r"""(?P<comment>/\*.*?\*/)
    |@import\s+(?:url\()?\s*["']?(?P<sheet>[^"')\s;]+)["']?\s*\)?(?P<media>[^;]*);
    |url\(\s*(?:"(?P<a>[^"]*)"|'(?P<b>[^']*)'|(?P<c>[^"')\s]+))\s*\)
    |"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""",
    re.DOTALL | re.VERBOSE,
)
_BREAKS_SCRIPT = re.compile(r"<(?=!--|/?script)", re.IGNORECASE)
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)
_SPACING = """
article > section + section { margin-top: 6rem; }
@media print {
  article > section + section { break-before: page; margin-top: 0; }
  /* the theme prints the title of the first chapter apart, and no other */
  .bd-main .bd-content .bd-article > section + section h1:first-of-type { display: block; }
}
"""


def write(pages: Path, target: Path) -> Path:
    """Write the first page and the chapters of its menu, one after the other, as one file.

    Parameters
    ----------
    pages : folder of the built pages, with ``index.html``.
    target : the file; it is written beside and renamed.

    Raises
    ------
    AsdError
        For a file that a page needs and that is absent or on the network, for a link that leads
        nowhere, and for a place that cannot be written.
    """
    text = str(_merge(pages.resolve()))
    try:
        write_text(text, target)
    except OSError as error:
        raise AsdError(
            f"{target} cannot be written ({error.strerror}); choose another place with --out."
        ) from None
    return target


def embed(root: Tag, folder: Path) -> None:
    """Put into ``root`` what it would load; its references are relative to ``folder``."""
    for link in root.select("link[rel=stylesheet]"):
        path = _local(folder, str(link["href"]))
        style = Tag(name="style", attrs={k: v for k, v in link.attrs.items() if k == "media"})
        style.string = _css(path.read_text(encoding="utf-8"), path.parent)
        link.replace_with(style)
    for script in root.select("script[src]"):
        text = _local(folder, str(script["src"])).read_text(encoding="utf-8")
        script.string = _BREAKS_SCRIPT.sub(r"\\x3C", _SOURCE_MAP.sub("", text))
        del script["src"]
    for tag in root.select("[src], [poster], link[rel~=icon], object[data]"):
        for name in {"src", "poster", "data", "href"} & set(tag.attrs):
            tag[name] = _data(folder, str(tag[name]))
        del tag["srcset"]
    for tag in root.select("[style*='url(']"):
        tag["style"] = _css(str(tag["style"]), folder)


def _css(text: str, folder: Path) -> str:
    """Put into a style sheet what it would load."""

    def replace(match: re.Match[str]) -> str:
        if match["comment"]:
            return ""
        if match["sheet"]:
            path, media = _local(folder, match["sheet"]), match["media"].strip()
            inner = _css(path.read_text(encoding="utf-8"), path.parent)
            return f"@media {media} {{{inner}}}" if media else inner
        url = match["a"] or match["b"] or match["c"]
        if url is None or url.startswith(("#", "data:")):
            return match[0]
        return f'url("{_data(folder, url)}")'

    return re.sub("</(?=style)", r"<\\/", _CSS.sub(replace, text), flags=re.IGNORECASE)


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


def _merge(folder: Path) -> BeautifulSoup:
    index = folder / "index.html"
    whole = _parse(index)
    for link in whole.select(f"nav.bd-links a.internal[href^='{_REFERENCE}']"):
        (link.find_parent("li") or link).extract()
    menu = [str(a["href"]) for a in whole.select("nav.bd-links a.internal[href]")]
    paths = [index, *(_local(folder, url) for url in menu if urlsplit(url).path)]
    pages = {path: _parse(path) for path in dict.fromkeys(paths)}
    _add_assets(whole, pages, folder)
    body, contents = _one(whole, "article", index), whole.select_one("#pst-page-toc-nav > ul")
    for tag in filter(None, (body, contents)):
        tag.clear()
    for tag in whole.select("nav.bd-links .active"):  # it would stay so, wherever the reader is
        del tag["class"]
    anchors = _unique({str(tag["id"]) for tag in whole.select("[id]")}, pages)
    _link(whole, index, anchors)
    embed(whole, folder)
    for path, page in pages.items():
        article, toc = _one(page, "article", path), page.select_one("#pst-page-toc-nav > ul")
        for tag in filter(None, (article, toc)):
            _link(tag, path, anchors)
            embed(tag, path.parent)
        if contents is not None:
            contents.append(_entry(_one(article, "h1", path), anchors[path, ""], toc))
        body.extend(list(article.contents))
    if contents is not None and (printed := whole.select_one("#jb-print-toc nav > ul")):
        printed.replace_with(copy.copy(contents))
    end = _one(whole, "body", index)
    for script in whole.select("script[defer], script[async]"):
        end.append(script.extract())
    for place, name, text in (("head", "style", _SPACING), ("body", "script", js.script("menus"))):
        tag = Tag(name=name)
        tag.string = text
        _one(whole, place, index).append(tag)
    return whole


def _parse(path: Path) -> BeautifulSoup:
    page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    for tag in page.select(_USELESS):
        tag.extract()
    return page


def _one(root: Tag, selector: str, path: Path) -> Tag:
    if (tag := root.select_one(selector)) is None:
        raise AsdError(f"{path}: no {selector}, so it is no page of a report.")
    return tag


def _add_assets(whole: Tag, pages: dict[Path, BeautifulSoup], folder: Path) -> None:
    """Scripts and styles that only a later page asks for, MathJax say, go into the head."""
    head, seen = _one(whole, "head", folder), set()
    for page, soup in pages.items():
        for tag in soup.select(_ASSETS):
            name = "src" if tag.name == "script" else "href"
            path = _local(page.parent, str(tag[name])) if name in tag.attrs else None
            key = str(path or tag.string)
            if key in seen or "DOCUMENTATION_OPTIONS.pagename" in key:
                continue
            seen.add(key)
            if page.parent / page.name != folder / "index.html":
                if path is not None:
                    tag[name] = quote(os.path.relpath(path, folder))
                head.append(tag.extract())


def _unique(taken: set[str], pages: dict[Path, BeautifulSoup]) -> Anchors:
    """Make the ids of all pages differ."""
    anchors = {(next(iter(pages)), name): name for name in taken}
    taken = set(taken)
    for path, page in pages.items():
        article, new = _one(page, "article", path), dict[str, str]()
        for tag in article.select("[id]"):
            name = str(tag["id"])
            while name in taken:
                name = f"{path.stem}-{name}"
            taken.add(name)
            new.setdefault(str(tag["id"]), name)
            tag["id"] = name
        for attribute in _REFERRING:
            for tag in article.select(f"[{attribute}]"):
                tag[attribute] = " ".join(new.get(n, n) for n in str(tag[attribute]).split())
        anchors.update({(path, old): name for old, name in new.items()})
        anchors[path, ""] = str(_one(article, "[id]", path)["id"])
    return anchors


def _link(root: Tag, page: Path, anchors: Anchors) -> None:
    """Links between the pages become jumps; a linked file comes along."""
    for a in root.select("a[href]"):
        url = urlsplit(str(a["href"]))
        if url.scheme or url.netloc:
            continue
        target = (page.parent / unquote(url.path)).resolve() if url.path else page
        if (target, unquote(url.fragment)) in anchors:
            a["href"] = "#" + anchors[target, unquote(url.fragment)]
        elif (target, "") in anchors:
            raise AsdError(f"{page}: the link to {a['href']} leads nowhere.")
        elif target.suffix == ".html" and target.is_file():  # an index of the site
            del a["href"]
        else:
            a["href"], a["download"] = _data(page.parent, str(a["href"])), target.name


def _entry(title: Tag, anchor: str, sections: Tag | None) -> Tag:
    """One chapter in the table of contents; its sections unfold where the reader is."""
    text = "".join(t for t in title.find_all(string=True) if t.parent.name != "a").strip()  # type: ignore[union-attr]
    entry = Tag(name="li", attrs={"class": "toc-h1 nav-item toc-entry"})
    link = Tag(name="a", attrs={"class": "reference internal nav-link", "href": f"#{anchor}"})
    link.string = text
    entry.append(link)
    if sections is not None:
        sections["class"] = "nav section-nav flex-column"  # without pst-show_toc_level
        entry.append(sections.extract())
    return entry
