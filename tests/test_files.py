"""Files are whole or not there, and digests name values."""

import pandas as pd
import pytest

from asdlib import files, params
from asdlib.params import Params


def test_digest_depends_on_every_value():
    base = Params()
    changed = params.load(base, seeds=(0,))
    assert files.digest(base) == files.digest(Params())
    assert files.digest(base) != files.digest(changed)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "table.csv"
    files.write_table(pd.DataFrame({"a": [1]}), path)
    with pytest.raises(ZeroDivisionError), files.replacing(path) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "a\n1\n"
    assert list(path.parent.iterdir()) == [path]
