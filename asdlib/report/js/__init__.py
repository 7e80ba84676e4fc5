"""JavaScript of the pages: callbacks of the panels and live charts."""

from importlib import resources


def script(*names: str) -> str:
    """Return the text of the named files, one after the other.

    Parameters
    ----------
    names : without their ending, such as ``panel_seek``.
    """
    folder = resources.files(__name__)
    return "\n".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in names)
