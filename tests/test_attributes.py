import pytest

from asdlib import dataset
from asdlib.params import AsdError

CLIPS = ["a.wav", "b.wav", "c.wav"]


def table(folder, content):
    (folder / dataset.ATTRIBUTES).write_bytes(content)
    return dataset.read_attributes(folder, CLIPS)


@pytest.mark.parametrize(
    "content",
    [
        b"file_name,d1p,d1v\nm/train/a.wav,spd,3\nm/train/b.wav,spd,4\n",
        b"file_name,d1p,d1v\nm/train/a.wav,spd,3,\nm/train/b.wav,spd,4,,\n",
        b"file_name,d1p,d1v,\nm/train/a.wav,spd,3,\nm/train/b.wav,spd,4\n",
        b"\xef\xbb\xbffile_name,d1p,d1v\r\nm/train/a.wav,spd,3\r\nm/train/b.wav,spd,4\r\n",
        b"file_name;d1p;d1v\nm/train/a.wav;spd;3\nm/train/b.wav;spd;4\n",
        b"file_name\td1p\td1v\na.wav\tspd\t3\nb.wav\tspd\t4\n",
        b"file_name,d1p,d1v\nm\\train\\a.wav,spd,3\nC:\\m\\train\\b.wav,spd,4\n",
        b'"file_name","d1p","d1v"\n"m/train/a.wav","spd","3"\n"m/train/b.wav","spd","4"\n',
        b"\nfile_name, d1p, d1v\n\n  a.wav, spd , 3\n,,\nb.wav, spd, 4\n\n",
        b"file_name,d1p,d1v\na.wav,spd,3\na.wav,spd,3\nb.wav,spd,4\n",
        b"file_name,d1p,d1v\na.wav,spd,3\nb.wav,spd,4\nnot_here.wav,spd,5\n",
        b"d1p,d1v,file_name\nspd,3,a.wav\nspd,4,b.wav\n",
    ],
)
def test_a_table_is_read_however_it_was_saved(tmp_path, content):
    found = table(tmp_path, content)
    assert {name: found[name] for name in found if name in CLIPS} == {
        "a.wav": "spd_3",
        "b.wav": "spd_4",
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", ": not an attribute table with a file_name column."),
        (b"name,d1p\na.wav,spd\n", ": not an attribute table with a file_name column."),
        (b"file_name,d1p\na.wav,spd\nb.wav,spd,4,mic\n", ", line 3: more cells than in the first"),
        (b"file_name,d1p\n\x91\xac.wav,spd\n", ": not UTF-8 text ('utf-8' codec can't decode byte"),
        (b"file_name,d1p\na.wav,spd\na.wav,mic\n", ", line 3: a.wav has other attributes above;"),
        (b"file_name,d1p\n,spd\n", ", line 2: names no file."),
        (b"file_name,d1p\nx.wav,spd\n", ": names 'x.wav' and no clip of this machine."),
        (b"file_name,d1p\n" + b"a" * 200000, ": not a table (field larger than field l"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused_with_its_line(tmp_path, content, told):
    with pytest.raises(AsdError) as error:
        table(tmp_path, content)
    assert str(error.value).startswith(f"{tmp_path / dataset.ATTRIBUTES}{told}")


def test_no_table_is_no_problem_and_a_folder_is_none(tmp_path):
    assert dataset.read_attributes(tmp_path, CLIPS) == {}
    (tmp_path / dataset.ATTRIBUTES).mkdir()
    with pytest.raises(AsdError, match="not a file"):
        dataset.read_attributes(tmp_path, CLIPS)
