"""References to figures and tables that a report leaves out become words."""

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from asdlib.report import left_out


def test_every_chapter_speaks_of_what_another_one_leaves_out():
    said = "Not run.\n\n" + left_out.mark("tab-rule")
    caption = "Rows. {numref}`tab-rule` has more."
    outputs = [
        new_output("display_data", {"text/markdown": said}),
        new_output("display_data", {"text/markdown": caption}),
        new_output("stream", name="stdout", text="{numref}`tab-rule`"),
    ]
    first = new_notebook(cells=[new_code_cell("x", outputs=outputs)])
    text = "See {numref}`tab-rule`, and {numref}`fig-seeds`.\n{numref}`tab-rule` is short."
    second = new_notebook(cells=[new_markdown_cell(text)])
    left_out.resolve([first, second])
    assert second.cells[0].source == (
        "See the table that is left out, and {numref}`fig-seeds`.\n"
        "The table that is left out is short."
    )
    shown = first.cells[0].outputs
    assert shown[0]["data"]["text/markdown"] == said
    assert shown[1]["data"]["text/markdown"] == "Rows. The table that is left out has more."
    assert "numref" in shown[2]["text"]  # not of the pages' language


def test_within_a_sentence_a_reference_is_not_capitalised():
    text = "a line\n{numref}`fig-a` of it"
    assert left_out.unnumbered(text, {"fig-a"}) == "a line\nthe figure that is left out of it"
    assert left_out.unnumbered(text, {"fig-b"}) == text
