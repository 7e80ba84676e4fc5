"""Sphinx configuration: executed notebooks in, a site that opens from file:// out."""

from asdlib.report.build import setup  # noqa: F401  # Sphinx calls it

project = "Noise-aware anomalous sound detection"
author = "asdlib contributors"
extensions = ["myst_nb", "sphinxcontrib.bibtex", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

nb_execution_mode = "off"  # papermill has executed every chapter
nb_render_markdown_format = "myst"
nb_mime_priority_overrides = [("*", "text/markdown", 5)]
nb_output_stderr = "remove-warn"  # build.py has taken it out
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]

toc_object_entries = False  # menus name modules: a third less time
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_use_legacy_class_based = True  # the same pages in two thirds of the time, Sphinx 9.0
autodoc_typehints = "none"  # docstrings name shapes and units; annotations are for the checkers
napoleon_google_docstring = False
napoleon_use_param = False  # entries hold descriptions, not types that could be linked
napoleon_use_rtype = False
nitpick_ignore_regex = [("py:.*", r"(?!asdlib\.).*")]  # names of other packages have no page here

numfig = True
numfig_format = {"figure": "Fig. %s", "table": "Table %s"}
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "unsrt"

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["report.css"]
html_js_files = ["report.js"]  # and Bokeh's on pages with charts: see build.py
html_domain_indices = False
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # a page from file:// may not read others
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": project},
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the search field in the menu is enough
}
html_math_renderer = "mathml"  # of setup: no script
