import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asdlib.guard import CrossClipError, PerClip, rederive
from asdlib.params import AsdError

VALUES = np.array([0.3, 2.0, -1.5, 0.7])

REFUSED = {  # one for every way in: functions, ufuncs, conversion, iteration, methods, identities
    "np.mean": np.mean,
    "np.percentile": lambda p: np.percentile(p, 90),
    "np.concatenate": lambda p: np.concatenate([p, p]),
    "np.where alone": np.where,
    "np.add.reduce": np.add.reduce,
    "np.subtract.outer": lambda p: np.subtract.outer(p, p),
    "np.matmul": lambda p: np.matmul(p, p),
    "np.asarray": np.asarray,
    "zscore": scipy.stats.zscore,
    "torch.mean": torch.mean,
    "builtin sum": sum,
    "builtin sorted": sorted,
    "method rank": lambda p: p.rank(),
    "float of many": float,
    "neighbours": lambda p: p[1:] - p[:-1],
    "two clips": lambda p: p[0] < p[1],
    "reversed": lambda p: p - p[::-1],
    "a plain array": lambda p: p - VALUES.max() * np.ones(len(p)),
    "a list": lambda p: np.add(p, [1, 2, 3, 4][: len(p)]),
    "pick by another": lambda p: p[p[::-1] > 0],
    "out": lambda p: np.add(p, 1, out=np.zeros(len(p))),
}

MAKERS = {
    "new": lambda: PerClip(VALUES),
    "copy": lambda: PerClip(VALUES, list("abcd")).copy(),
    "slice": lambda: PerClip(VALUES)[1:],
    "deepcopy": lambda: copy.deepcopy(PerClip(VALUES)),
    "pickle": lambda: pickle.loads(pickle.dumps(PerClip(VALUES))),
    "scaled": lambda: PerClip(VALUES) * 2,
}


@pytest.mark.parametrize("maker", MAKERS)
def test_whatever_mixes_clips_is_refused_however_the_scores_were_made(maker):
    for name, mix in REFUSED.items():
        with pytest.raises(CrossClipError):
            mix(MAKERS[maker]())
            pytest.fail(f"{name} was allowed")


def values_of(p):
    return np.array([value for _, value in p.items()])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8), st.floats(0.1, 10))
def test_elementwise_arithmetic_is_numpys(values, number):
    p, x = PerClip(values), np.array(values)
    for ours, theirs in (
        (p + number, x + number),
        (number - p, number - x),
        (p * p, x * x),
        (p / number, x / number),
        (-p, -x),
        (abs(p), abs(x)),
        (np.exp(p / 1e6), np.exp(x / 1e6)),
        (p**2, x**2),
        (np.clip(p, -1, 1), np.clip(x, -1, 1)),
        (np.maximum(p, 0), np.maximum(x, 0)),
        (p > number, x > number),
        (np.where(p > 0, p, 0), np.where(x > 0, x, 0)),
    ):
        assert isinstance(ours, PerClip)
        assert np.array_equal(values_of(ours), theirs)


def test_scores_of_the_same_clips_combine_and_those_of_others_do_not():
    a, b = PerClip([1.0, 2.0], ["x", "y"]), PerClip([3.0, 4.0], ["x", "y"])
    assert dict(PerClip.combine([a, b]).items()) == {"x": 2.0, "y": 3.0}
    for other in (PerClip([3.0, 4.0], ["y", "x"]), PerClip([3.0, 4.0])):
        with pytest.raises(CrossClipError, match="between different clips"):
            PerClip.combine([a, other])


def test_one_clip_alone_combines_to_the_same_bytes(rng):
    parts = [PerClip(rng.standard_normal(50)) for _ in range(10)]
    whole = PerClip.combine(parts)
    for i in range(50):
        assert PerClip.combine([p[i] for p in parts]).item() == whole[i].item()


def test_indexing_keeps_identities():
    p = PerClip(VALUES, list("abcd"))
    assert p[2].names == ("c",)
    assert float(p[2]) == -1.5
    assert p[[3, 0]].names == ("d", "a")
    assert p[p > 0.5].names == ("b", "d")
    assert [q.names[0] for q in p] == list("abcd")
    assert p["abcd".index("b")].item() == 2.0
    assert (len(p), p.shape, p.size, np.shape(p), np.ndim(p)) == (4, (4,), 4, (4,), 1)


def test_wrong_input_is_one_sentence():
    with pytest.raises(AsdError, match="one number per clip"):
        PerClip([[1, 2], [3, 4]])
    with pytest.raises(AsdError, match="one name per clip"):
        PerClip([1, 2], ["x", "x"])


def test_scoring_again_alone_finds_a_score_that_saw_other_clips():
    x = {"a": 1.0, "b": 3.0}
    rederive(lambda name: x[name] * 2, PerClip([2.0, 6.0], ["a", "b"]))
    with pytest.raises(CrossClipError, match="b: scored alone"):
        rederive(lambda name: x[name] * 2, PerClip([2.0, 6.0000001], ["a", "b"]))


APART = """
    save savez savez_compressed savetxt load loadtxt fromfile memmap info source lookfor
    show_config show_runtime test get_include set_printoptions seterr seterrcall setbufsize
    printoptions errstate
"""


def surface(module):
    """Public callables of a numerical library, without those that act on files or the process."""
    names = [n for n in dir(module) if not n.startswith("_") and n not in APART.split()]
    found = {n: getattr(module, n) for n in names}
    return {n: f for n, f in found.items() if callable(f) and not isinstance(f, type)}


NUMPY = {
    **surface(np),
    **{f"linalg.{n}": f for n, f in surface(np.linalg).items()},
    **{f"fft.{n}": f for n, f in surface(np.fft).items()},
    **{
        f"{n}.{method}": getattr(f, method)
        for n, f in surface(np).items()
        if isinstance(f, np.ufunc)
        for method in ("reduce", "accumulate", "outer", "reduceat", "at")
    },
}


NOTHING = object()


def told(function, values, extra):
    """What a call gives away: NOTHING where it is refused."""
    try:
        return function(PerClip(values), *(PerClip(values) if e == "same" else e for e in extra))
    except Exception:  # whatever it is, nothing was told
        return NOTHING


EXTRAS = [(), ("same",), (0,), (2,), (0.5,), (0, 1), ("same", 1)]


@settings(max_examples=2)
@given(
    values=st.lists(st.floats(-100, 100), min_size=3, max_size=6, unique=True),
    other=st.floats(-100, 100),
    place=st.integers(0, 2),
)
@pytest.mark.filterwarnings("ignore")
def test_nothing_in_numpy_lets_a_clip_see_another(values, other, place):
    changed = [other if i == place else v for i, v in enumerate(values)]
    rest = set(range(len(values))) - {place}
    for name, function in NUMPY.items():
        for extra in EXTRAS:
            before, after = (told(function, v, extra) for v in (values, changed))
            if isinstance(before, PerClip) and isinstance(after, PerClip):
                pairs = [(values_of(before[i]), values_of(after[i])) for i in rest]
                assert all(np.array_equal(b, a, equal_nan=True) for b, a in pairs), name
            elif before is not NOTHING and after is not NOTHING:
                assert repr(before) == repr(after), name  # may only tell what no value decides


# what may be called, and nothing else: elementwise functions and the number of clips


@pytest.mark.filterwarnings("ignore")
def test_torch_may_only_say_that_it_is_no_tensor():
    answers = {
        name: told(function, VALUES, ())
        for name, function in surface(torch).items()
        if getattr(function, "__module__", None) in (None, "torch")
        and "set_" not in name
        and name != "use_deterministic_algorithms"  # acts on the process
    }
    assert len(answers) > 500
    told_something = {name: a for name, a in answers.items() if a is not NOTHING}
    assert told_something == {
        "is_storage": False,
        "is_tensor": False,
        "is_vulkan_available": False,
        "typename": "asdlib.guard.PerClip",
    }


def test_every_method_of_arrays_and_series_is_refused():
    allowed = {"copy", "combine", "item", "items", "shape", "size", "ndim"}
    names = {n for n in [*dir(np.ndarray), *dir(pd.Series)] if not n.startswith("_")}
    for name in sorted(names - allowed):
        with pytest.raises(CrossClipError):
            getattr(PerClip(VALUES), name)
