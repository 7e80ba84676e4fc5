"""The official score of DCASE 2026 Task 2, and the statistics shown beside it.

Omega is the harmonic mean of the source AUC, the target AUC and the pAUC of every machine: of
3 x machines values, without rounding. A table of scores has the columns machine, domain, label and
score, one row per test clip; a higher score is more anomalous. As in mir_eval: ``validate``, one
function per metric, ``evaluate``. Notebook: 02_seed_study.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped

from asdlib.dataset import NAME
from asdlib.params import AsdError
from asdlib.runtime.errors import plural

MAX_FPR = 0.1  # of the partial AUC
SEED_BAND = 0.022  # single-seed differences of Omega below this are variance (paper, 4.1)

Score = Float[np.ndarray, " clip"]
Anomalous = Bool[np.ndarray, " clip"]
Domain = Shaped[np.ndarray, " clip"]

_LABELS = {"normal": 0, "anomaly": 1, 0: 0, 1: 1}
_ROUNDING = 16 * np.finfo(np.float64).eps  # of a value, that a difference of two may have


def validate(scores: pd.DataFrame) -> None:
    """Refuse tables that cannot be evaluated.

    Raises
    ------
    AsdError
        For missing columns, no rows, a score that is not finite, an unknown label or domain.

    Examples
    --------
    >>> validate(pd.DataFrame({"machine": ["fan"], "domain": ["source"], "score": [1.0]}))
    Traceback (most recent call last):
    asdlib.runtime.errors.AsdError: The scores lack these columns: label.
    """
    missing = [c for c in ("machine", "domain", "label", "score") if c not in scores]
    if missing:
        raise AsdError(f"The scores lack these columns: {', '.join(missing)}.")
    if scores.empty:
        raise AsdError("There are no scores to evaluate.")
    for column, allowed in (("label", _LABELS), ("domain", ("source", "target"))):
        if wrong := set(scores[column].unique()) - {*allowed, "unknown"}:
            known = ", ".join(map(str, allowed))
            raise AsdError(f"Unknown {column} {min(map(str, wrong))!r}; allowed: {known}.")
    values = pd.to_numeric(scores["score"], errors="coerce")
    bad = scores[~np.isfinite(values.to_numpy(np.float64))]
    if len(bad):
        raise AsdError(f"{bad['machine'].iloc[0]}: {plural(len(bad), 'score')} not finite.")


def labelled(clips: pd.DataFrame) -> pd.DataFrame:
    """Test clips with a known label.

    Parameters
    ----------
    clips : columns split and label, one row per clip or score.

    Returns
    -------
    The rows of ``clips`` whose split is "test" and whose label is not "unknown".

    Examples
    --------
    >>> clips = pd.DataFrame(
    ...     {"split": ["train", "test", "test"], "label": ["normal", "anomaly", "unknown"]}
    ... )
    >>> labelled(clips)["label"].tolist()
    ['anomaly']
    """
    return clips[(clips["split"] == "test") & (clips["label"] != "unknown")]


def auc_source(score: Score, anomalous: Anomalous, domain: Domain) -> float:
    """AUC of source-domain normal clips against the anomalies of both domains, of one machine.

    Parameters
    ----------
    score : (clip,), higher is more anomalous.
    anomalous : (clip,), false for a normal clip.
    domain : (clip,), "source" or "target".

    Returns
    -------
    Probability that an anomaly scores above a normal clip, ties counted half; NaN where either
    kind is missing.

    Examples
    --------
    >>> score, anomalous = np.array([1.0, 4.0, 2.0, 3.0, 5.0]), np.arange(5) >= 3
    >>> domain = np.array(["source", "source", "target", "source", "target"])
    >>> auc_source(score, anomalous, domain)  # of 3 > 1, 3 > 4, 5 > 1 and 5 > 4 one is wrong
    0.75
    """
    own = anomalous | (domain == "source")
    return _roc(anomalous[own], score[own])


def auc_target(score: Score, anomalous: Anomalous, domain: Domain) -> float:
    """AUC of target-domain normal clips against the anomalies of both domains, of one machine.

    Parameters and returns as of :func:`auc_source`.

    >>> score, anomalous = np.array([1.0, 4.0, 2.0, 3.0, 5.0]), np.arange(5) >= 3
    >>> domain = np.array(["source", "source", "target", "source", "target"])
    >>> auc_target(score, anomalous, domain)  # 3 > 2 and 5 > 2
    1.0
    """
    own = anomalous | (domain == "target")
    return _roc(anomalous[own], score[own])


def pauc(score: Score, anomalous: Anomalous) -> float:
    """Partial AUC of all clips of one machine up to a false-positive rate of 0.1.

    Parameters and returns as of :func:`auc_source`; McClish-standardised, so that chance is 0.5.

    >>> round(pauc(np.array([1.0, 4.0, 2.0, 3.0, 5.0]), np.arange(5) >= 3), 4)
    0.7368
    """
    return _roc(anomalous, score, MAX_FPR)


def roc_area(
    fpr: Float[np.ndarray, "*resample threshold"],
    tpr: Float[np.ndarray, "*resample threshold"],
    max_fpr: float = 1.0,
) -> Float[np.ndarray, "*resample"] | np.floating:
    """Area under ROC curves up to a false-positive rate, so standardised that chance is 0.5.

    Parameters
    ----------
    fpr, tpr : (..., threshold), false-positive and true-positive rate, both from 0 to 1.
    max_fpr : limit of the false-positive rate; 1 for the whole area.

    Returns
    -------
    (...), 0.5 (1 + (a - b) / (max_fpr - b)) with the area a and b = max_fpr^2 / 2 (McClish,
    "Analyzing a portion of the ROC curve", 1989), which is the area itself where max_fpr is 1.

    Examples
    --------
    >>> round(float(roc_area(np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0, 1.0]))), 3)
    0.75
    """
    width, inside = np.diff(fpr), np.diff(np.minimum(fpr, max_fpr))
    part = np.divide(inside, width, out=np.zeros_like(width), where=width > 0)
    height = tpr[..., :-1] + 0.5 * part * np.diff(tpr)
    area, least = np.sum(inside * height, axis=-1), max_fpr**2 / 2
    return 0.5 * (1 + (area - least) / (max_fpr - least))


def evaluate(scores: pd.DataFrame) -> pd.DataFrame:
    """Official values of every machine.

    Parameters
    ----------
    scores : columns machine, domain, label, score; one row per test clip. Rows with an unknown
        label are left out.

    Returns
    -------
    DataFrame indexed by machine with auc_source, auc_target, pauc, and omega, their harmonic mean;
    NaN where a value needs clips that are missing.

    Raises
    ------
    AsdError
        As of :func:`validate`.

    Examples
    --------
    >>> columns = ["machine", "domain", "label", "score"]
    >>> clips = [
    ...     ("fan", "source", "normal", 1.0), ("fan", "source", "normal", 4.0),
    ...     ("fan", "target", "normal", 2.0), ("fan", "target", "anomaly", 3.0),
    ... ]
    >>> evaluate(pd.DataFrame(clips, columns=columns)).loc["fan"].round(4).to_dict()
    {'auc_source': 0.5, 'auc_target': 1.0, 'pauc': 0.4737, 'omega': 0.587}
    """
    validate(scores)
    known = scores[scores["label"] != "unknown"]
    anomalous = known["label"].map(_LABELS).to_numpy(int) == 1
    domain, score = known["domain"].to_numpy(), known["score"].to_numpy(np.float64)
    rows = {}
    for machine, clips in known.groupby("machine").indices.items():
        s, a, d = score[clips], anomalous[clips], domain[clips]
        rows[machine] = [auc_source(s, a, d), auc_target(s, a, d), pauc(s, a)]
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["auc_source", "auc_target", "pauc"], dtype=float
    )
    table["omega"] = [harmonic_mean(row) for row in table.to_numpy()]
    return table.rename_axis("machine")


def omega(table: pd.DataFrame) -> float:
    """Official score: harmonic mean of the flat list of 3 x machines values; no rounding.

    Parameters
    ----------
    table : from :func:`evaluate`.

    Returns
    -------
    0 to 1; NaN where a value is missing.

    Examples
    --------
    >>> round(omega(pd.DataFrame({"auc_source": [0.5], "auc_target": [1.0], "pauc": [0.5]})), 6)
    0.6
    """
    return harmonic_mean(table[["auc_source", "auc_target", "pauc"]].to_numpy().ravel())


def paired_difference(a: pd.Series, b: pd.Series) -> dict[str, float]:
    """Difference of two systems, seed by seed.

    Parameters
    ----------
    a, b : one value per seed, indexed by it; seeds that both have are compared.

    Returns
    -------
    mean, std (sample), n, and the p values of the paired t test (p_t) and of Wilcoxon's
    signed-rank test (p_wilcoxon); NaN where there are too few seeds or no difference at all. A
    spread within rounding is none: std is 0, and a t test means nothing.

    Examples
    --------
    >>> first, second = pd.Series([0.64, 0.63, 0.66]), pd.Series([0.62, 0.62, 0.63])
    >>> found = paired_difference(first, second)
    >>> {name: round(value, 3) for name, value in found.items()}
    {'mean': 0.02, 'std': 0.01, 'n': 3, 'p_t': 0.074, 'p_wilcoxon': 0.25}
    """
    import scipy.stats  # half a second to import

    first, second = (own.to_numpy(np.float64) for own in a.align(b, join="inner"))
    d = first - second
    result = {"mean": np.nan, "std": np.nan, "n": len(d), "p_t": np.nan, "p_wilcoxon": np.nan}
    if len(d) == 0 or np.isnan(d).any():
        return result
    result["mean"] = float(d.mean())
    if len(d) > 1:
        rounding = _ROUNDING * max(np.abs(first).max(), np.abs(second).max())
        result["std"] = float(d.std(ddof=1)) if np.ptp(d) > rounding else 0.0
        if result["std"] > 0:
            result["p_t"] = float(scipy.stats.ttest_1samp(d, 0).pvalue)
        if d.any():
            result["p_wilcoxon"] = float(scipy.stats.wilcoxon(d).pvalue)
    return result


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down correction for as many tests as there are p values; NaN stays NaN.

    adjusted_(i) = max over j <= i of min(1, (n - j + 1) p_(j)), the p values in ascending order.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, np.float64)
    adjusted = np.full_like(p, np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1)
    return adjusted


def error_counts(decisions: Sequence[int], labels: Sequence[str]) -> dict[str, float | int]:
    """Counts and F1 of decisions (1: anomaly) on labelled clips.

    Returns
    -------
    normal clips, false alarms, anomalies, misses (counts), and F1: the share of the hits in the
    mean of alarms and anomalies; NaN without either.

    Examples
    --------
    >>> found = error_counts([1, 0, 1, 0], ["normal", "normal", "anomaly", "anomaly"])
    >>> found["false alarms"], found["misses"], found["F1"]
    (1, 1, 0.5)
    """
    decided = np.asarray(decisions) == 1
    anomalous = np.array([_LABELS[label] for label in labels]) == 1
    alarms, anomalies = int(decided.sum()), int(anomalous.sum())
    hits = int((decided & anomalous).sum())
    return {
        "normal clips": len(anomalous) - anomalies,
        "false alarms": alarms - hits,
        "anomalies": anomalies,
        "misses": anomalies - hits,
        "F1": 2 * hits / (alarms + anomalies) if alarms + anomalies else np.nan,
    }


def kind_of(name: str) -> tuple[str, str] | None:
    """Domain and label that an official name gives, with its ending or without; else None.

    >>> kind_of("fan/test/section_00_source_test_anomaly_0000_spd_1.wav")
    ('source', 'anomaly')
    >>> kind_of("section_00_0000.wav")
    """
    match = NAME.fullmatch(name.replace("\\", "/").rpartition("/")[2])
    return (match["domain"], match["label"]) if match else None


def _roc(anomalous: Anomalous, score: Score, max_fpr: float = 1.0) -> float:
    if anomalous.all() or not anomalous.any():
        return np.nan
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)  # equal scores are one threshold
    found = anomalous[order]
    fpr, tpr = (np.append(0, kind.cumsum()[last] / kind.sum()) for kind in (~found, found))
    return float(roc_area(fpr, tpr, max_fpr))


def harmonic_mean(values: Float[np.ndarray, " value"]) -> float:
    """Number of values over the sum of their inverses; 0 where one is 0, NaN where one is missing.

    >>> round(harmonic_mean(np.array([0.5, 1.0])), 3)
    0.667
    """
    if len(values) == 0 or np.isnan(values).any():
        return np.nan
    return float(len(values) / np.sum(1 / values)) if np.all(values > 0) else 0.0
