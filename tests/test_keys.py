"""Keys hold all code that a result depends on, and nothing that does nothing."""

import re
import shutil

import pytest
from conftest import ROOT

from asdlib.io import keys

FLOORS = ("study.unit.Unit._floors", "frontends.FRONT_ENDS")
MODELS = "study.unit.Unit.train_models"
FRAMES = "study.unit.Unit.training_frames"
SCORES = "study.unit.Unit.compute"


@pytest.fixture
def package(tmp_path):
    """A small package: what ``top.run`` calls is spread over a wing, imports and a method."""
    sources = {
        "__init__": "",
        "params": "STEP = 1",
        "low": """
import math

LIMIT = 3
TABLE = {}

for n in (1,):
    TABLE[n] = n

def clip(x):
    return math.floor(min(x, LIMIT))

def unused(x):
    return x
""",
        "wing/__init__": "from pack.wing.deep import deep, other",
        "wing/deep": "def deep(x):\n    return -x\n\ndef other(x):\n    return x",
        "top": """
from pack import low, params, wing

def decorated(kind):
    return kind

class Base:
    def other(self):
        return 0

@decorated
class Kept(Base):
    weight = 2
    def __len__(self):
        return 7
    def first(self, x):
        return self._second(x)
    def _second(self, x):
        return low.clip(x) * self.weight
    def third(self, x):
        return x

def run(x):
    from pack.wing import deep
    return Made(deep(x)) + params.STEP + low.TABLE[1]

class Made:
    def __call__(self):
        return 1
""",
    }
    root = tmp_path / "pack"
    for name, text in sources.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def forget():
    for cached in (keys.code_digest, keys._module, keys._code):
        cached.cache_clear()


def changed(root, name, old, new, roots):
    """Whether code digests differ before and after an edit, which is undone."""
    path = root / f"{name}.py"
    text = path.read_text()
    assert old in text
    digests = []
    for content in (text, text.replace(old, new)):
        path.write_text(content)
        forget()
        digests.append([keys.code_digest(*one, package=root) for one in roots])
    path.write_text(text)
    forget()
    return [a != b for a, b in zip(*digests, strict=True)]


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("low", "LIMIT = 3", "LIMIT = 4", [False, True]),  # a constant behind a method
        ("low", "min(x", "max(x", [False, True]),
        ("low", "return x", "return -x", [False, False]),  # nobody calls it
        ("top", "weight = 2", "weight = 3", [False, True]),  # an attribute of self
        ("top", "self._second(x)", "-self._second(x)", [False, True]),
        ("top", "    def third(self, x):\n        return x", "", [False, False]),
        ("wing/deep", "return -x", "return x", [True, False]),  # imported inside, twice over
        ("top", "return 1", "return 2", [True, False]),  # a method of what is made
        ("params", "STEP = 1", "STEP = 2", [False, False]),  # keys hold its values
        ("top", "from pack import", "import math\nfrom pack import", [False, False]),
        ("top", "import deep", "import other as deep", [True, False]),  # another function
        ("top", "from pack import low", "from pack import wing as low", [True, True]),
        ("low", "import math", "import cmath as math", [False, True]),  # another library
        ("top", "@decorated", "", [False, True]),  # acts on every member
        ("top", "        return 7", "        return 8", [False, True]),  # a special method
        ("low", "for n in (1,):", "for n in (2,):", [True, True]),  # at the top level
        ("top", "    from pack.wing", "    import math\n    from pack.wing", [False, False]),
        ("low", "def clip(x):\n", 'def clip(x):\n    """Clip."""  # told\n', [False, False]),
    ],
)
def test_code_counts_where_it_is_reached(package, name, old, new, expected):
    assert changed(package, name, old, new, [("top.run",), ("top.Kept.first",)]) == expected


def test_a_root_that_is_not_there_is_an_error(package):
    with pytest.raises(LookupError, match=r"top\.runs is not defined in pack"):
        keys.code_digest("top.runs", package=package)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The package itself, to be edited."""
    root = tmp_path_factory.mktemp("copy") / "asdlib"
    shutil.copytree(ROOT / "asdlib", root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.mark.parametrize(
    ("name", "old", "new", "floors", "models", "scores"),
    [
        ("pipeline", "[log_mel(", "[2 * log_mel(", False, True, True),
        ("dataset", "np.ascontiguousarray(signal)", "-signal", True, True, True),
        (
            "pipeline",
            "self.standardise(frames)",
            "self.standardise(2 * frames)",
            False,
            False,
            True,
        ),
        (
            "study/unit",
            "standardise(raw.values, out",
            "standardise(-raw.values, out",
            False,
            True,
            True,
        ),
        ("study/unit", "function(pipeline", "function(2 * pipeline", True, True, True),
        ("study/unit", '"A": np.concatenate(', '"A": -np.concatenate(', False, False, True),
        ("study/detectors", "return y - model(x)", "return model(x)", False, False, True),
        ("io/files", "tensor.detach()", "-tensor.detach()", True, True, True),
        ("runtime/parallel", "yield pending.popleft", "yield pending.pop", True, True, True),
        ("noise", "np.mean(clips", "np.median(clips", True, True, True),
        ("complexls", "near - filtered", "near + filtered", True, True, True),  # floors of LSAda
        ("complexls", "_ROUNDS = 5", "_ROUNDS = 4", True, True, True),  # floors of GatedLSAda
        ("noise", "import numpy", "import math\nimport numpy", False, False, False),
        ("dataset", '"""Read the clips', '"""Read all the clips', False, False, False),
        ("dataset", '"holds no samples."', '"no samples"', False, False, False),
        ("report/tables", "import html", "import html, math", False, False, False),
    ],
)
def test_keys_of_a_unit_hold_what_they_depend_on(copy, name, old, new, floors, models, scores):
    of_floors, of_frames, of_models, of_scores = changed(
        copy, name, old, new, [FLOORS, (FRAMES,), (MODELS,), (SCORES,)]
    )
    assert (of_floors, of_frames or of_models, of_scores) == (floors, models, scores)


def test_the_keys_of_a_unit_are_made_from_these_roots():
    text = (ROOT / "asdlib" / "study" / "unit.py").read_text()
    found = re.findall(r'"((?:study\.unit\.Unit|frontends)\.\w+)"', text)
    assert set(found) == {*FLOORS, MODELS, FRAMES, SCORES}
