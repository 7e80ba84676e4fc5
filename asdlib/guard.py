"""``PerClip``: scores that cannot be mixed across clips.

A submitted score may depend on its own clip and on training data, never on other test clips. This
type makes a slip visible: reductions, sorts, ranks, normalisations and comparisons between clips
raise. Elementwise arithmetic, combining scores of the same clips, comparing with a fixed threshold,
picking one clip and writing out are allowed. Notebook: 06_decisions.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from typing import Any, cast

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from asdlib.params import AsdError


class CrossClipError(AsdError):
    """An operation that would let one clip's score depend on another clip."""


# results of these depend on one element of each array at a time
_ELEMENTWISE = {np.clip, np.where, np.copy, np.nan_to_num, np.round, np.isclose}
_SIZES = {np.shape: "shape", np.size: "size", np.ndim: "ndim"}


class PerClip(NDArrayOperatorsMixin):
    """One value per clip, guarded.

    Parameters
    ----------
    values : one number per clip, of any array-like kind.
    names : identity of each clip; their positions by default. Slicing, indexing and copying keep
        identities, and two arrays can only be combined when theirs are equal.

    Raises
    ------
    CrossClipError
        By every operation that would need more than one clip at a time.

    Examples
    --------
    >>> a, b = PerClip([1.0, 2.0], ["x", "y"]), PerClip([3.0, 6.0], ["x", "y"])
    >>> dict(PerClip.combine([a, b]).items())
    {'x': 2.0, 'y': 4.0}
    >>> (a - a.mean()).items()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    asdlib.guard.CrossClipError: mean was refused on per-clip scores: ...
    """

    __slots__ = ("_names", "_values")
    __array_priority__ = 1000

    def __init__(self, values: Any, names: Iterable[Any] | None = None):
        if isinstance(values, PerClip):
            names = values._names if names is None else names
            values = values._values
        elif hasattr(values, "detach"):
            values = values.detach().cpu().numpy()
        array = np.array(values if np.ndim(values) else [values])
        if array.ndim != 1 or array.dtype.kind not in "fiub":
            found = f"shape {array.shape} of {array.dtype}"
            raise AsdError(f"PerClip takes one number per clip; found {found}.")
        self._values: np.ndarray = array if array.dtype == bool else array.astype(np.float64)
        self._names: tuple[Any, ...] = tuple(range(len(array)) if names is None else names)
        different = len(set(self._names))
        if not different == len(self._names) == len(self._values):
            found = f"{different} different names for {len(self._values)} values"
            raise AsdError(f"PerClip needs one name per clip, each once; found {found}.")

    @classmethod
    def combine(cls, parts: Sequence[PerClip]) -> PerClip:
        """Mean of several scores of the same clips, clip by clip.

        Parts are added one after the other, so a clip alone gives the same bytes as among others.
        """
        if not parts:
            raise AsdError("PerClip.combine needs at least one score.")
        return reduce(operator.add, parts) / float(len(parts))

    @classmethod
    def maximum(cls, parts: Sequence[PerClip]) -> PerClip:
        """Largest of several scores of the same clips, clip by clip.

        >>> dict(PerClip.maximum([PerClip([1, 5]), PerClip([2, 3])]).items())
        {0: 2.0, 1: 5.0}
        """
        if not parts:
            raise AsdError("PerClip.maximum needs at least one score.")
        return reduce(lambda a, b: cast(PerClip, np.maximum(a, b)), parts)

    def items(self) -> Iterator[tuple[Any, float]]:
        """Write out: name and value of every clip."""
        return ((n, v.item()) for n, v in zip(self._names, self._values, strict=True))

    def item(self) -> float:
        """Value of a single clip."""
        if len(self._values) != 1:
            raise CrossClipError(f"Index one clip first; this holds {len(self._values)}.")
        return self._values[0].item()

    def copy(self) -> PerClip:
        """Return an equal, independent guarded array."""
        return PerClip(self)

    @property
    def names(self) -> tuple[Any, ...]:
        """Identities of the clips."""
        return self._names

    @property
    def shape(self) -> tuple[int]:
        """(clips,)."""
        return self._values.shape

    @property
    def size(self) -> int:
        """Number of clips."""
        return self._values.size

    ndim = 1

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[PerClip]:
        # single clips keep their identity, so that sum(), min(), max() and sorted() raise
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> PerClip:
        if isinstance(key, PerClip):
            if key._values.dtype != bool or key._names != self._names:
                raise CrossClipError("A guarded array picks clips only by its own yes or no.")
            key = key._values
        picked = np.atleast_1d(np.arange(len(self))[key])
        return PerClip(self._values[picked], [self._names[i] for i in picked])

    def __float__(self) -> float:
        return float(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __repr__(self) -> str:
        return f"PerClip({len(self)} clips)"

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise _refusal("conversion to a plain array")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> PerClip:
        if method != "__call__":
            raise _refusal(f"{ufunc.__name__}.{method}")
        if ufunc.signature is not None or ufunc.nout != 1:
            raise _refusal(ufunc.__name__)
        if kwargs.keys() - {"dtype", "casting"}:
            raise _refusal(f"{ufunc.__name__} with {', '.join(kwargs)}")
        names = self._names
        return PerClip(ufunc(*(_plain(x, names) for x in inputs), **kwargs), names)

    def __array_function__(self, func: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
        if func in _SIZES:
            return getattr(self, _SIZES[func])
        if func not in _ELEMENTWISE or "out" in kwargs or (func is np.where and len(args) != 3):
            raise _refusal(f"numpy.{func.__name__}")
        plain = [_plain(x, self._names) for x in args]
        named = {key: _plain(x, self._names) for key, x in kwargs.items()}
        return PerClip(func(*plain, **named), self._names)

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: tuple = (), kwargs: Any = None):
        raise _refusal(f"torch.{getattr(func, '__name__', func)}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise _refusal(name)


def rederive(score_one: Callable[[Any], float], submitted: PerClip) -> None:
    """Score every clip again, alone, and compare byte for byte.

    Raises
    ------
    CrossClipError
        Naming the first clip whose bytes differ.

    Examples
    --------
    >>> lengths = PerClip([1, 2], ["a", "bb"])
    >>> rederive(len, lengths)
    >>> rederive(lambda name: 2.0, lengths)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    asdlib.guard.CrossClipError: a: scored alone it is ...
    """
    for name, value in submitted.items():
        again = np.float64(score_one(name))
        if again.tobytes() != np.float64(value).tobytes():
            why = "the score depends on other clips, or was computed elsewhere"
            raise CrossClipError(f"{name}: scored alone it is {again!r}, not {value!r}; {why}.")


def _plain(x: Any, names: tuple) -> Any:
    """Values of the same clips, or one value for all of them."""
    if isinstance(x, PerClip):
        if x._names != names:
            raise CrossClipError("An operation between different clips was refused.")
        return x._values
    if np.ndim(x) or isinstance(x, str | bytes):
        what = "it may hold statistics of other clips; use a number or a PerClip of the same clips"
        raise CrossClipError(f"An operation with a plain array was refused: {what}.")
    return x


def _refusal(what: str) -> CrossClipError:
    return CrossClipError(
        f"{what} was refused on per-clip scores: it needs more than one clip at a time, and a "
        "score may depend on its own clip and on training data only."
    )
