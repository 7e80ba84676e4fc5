"""The official score of DCASE 2026 Task 2, and what goes beside it.

As in mir_eval: ``validate``, one function per metric, ``evaluate``. Notebook: 03_seed_study.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from asdlib.params import AsdError

MAX_FPR = 0.1  # of the partial AUC
SEED_BAND = 0.022  # single-seed differences of Omega below this are variance (report, 4.1)

_LABELS = {"normal": 0, "anomaly": 1, 0: 0, 1: 1}
_NAME = re.compile(
    r"section_\d{2}_(?P<domain>source|target)_(?:train|test)_(?P<label>normal|anomaly)_"
    r"\d{4,}(?:_.*)?\.wav"
)


def validate(scores: pd.DataFrame) -> None:
    """Refuse tables that cannot be evaluated.

    Raises
    ------
    AsdError
        For missing columns, no rows, a score that is not finite, an unknown label or domain.
    """
    missing = [c for c in ("machine", "domain", "label", "score") if c not in scores]
    if missing:
        raise AsdError(f"The scores lack the column(s) {', '.join(missing)}.")
    if scores.empty:
        raise AsdError("There are no scores to evaluate.")
    wrong = set(scores["label"].unique()) - {*_LABELS, "unknown"}
    if wrong:
        raise AsdError(f"Unknown label {min(map(str, wrong))!r}; allowed: normal, anomaly, 0, 1.")
    wrong = set(scores["domain"].unique()) - {"source", "target", "unknown"}
    if wrong:
        raise AsdError(f"Unknown domain {min(map(str, wrong))!r}; allowed: source, target.")
    values = pd.to_numeric(scores["score"], errors="coerce")
    bad = scores[~np.isfinite(values.to_numpy(np.float64))]
    if len(bad):
        raise AsdError(
            f"{bad['machine'].iloc[0]}: {len(bad)} score(s) are not finite numbers, such as "
            f"{bad['score'].iloc[0]!r}."
        )


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


def auc_source(clips: pd.DataFrame) -> float:
    """AUC of source-domain normals against the anomalies of both domains, of one machine."""
    return float(evaluate(clips.assign(machine=""))["auc_source"].iloc[0])


def auc_target(clips: pd.DataFrame) -> float:
    """AUC of target-domain normals against the anomalies of both domains, of one machine."""
    return float(evaluate(clips.assign(machine=""))["auc_target"].iloc[0])


def pauc(clips: pd.DataFrame) -> float:
    """Partial AUC of all clips up to a false-positive rate of 0.1, McClish-standardised."""
    return float(evaluate(clips.assign(machine=""))["pauc"].iloc[0])


def evaluate(scores: pd.DataFrame) -> pd.DataFrame:
    """Official values of every machine.

    Parameters
    ----------
    scores : columns machine, domain, label, score; one row per test clip. Rows with an unknown
        label are left out.

    Returns
    -------
    DataFrame indexed by machine with auc_source, auc_target, pauc, and omega, their harmonic mean;
    NaN where a value needs clips that are not there.
    """
    from sklearn import config_context

    validate(scores)
    known = scores[scores["label"] != "unknown"]
    truth = known["label"].map(_LABELS).to_numpy(int)
    domain, score = known["domain"].to_numpy(), known["score"].to_numpy(np.float64)
    rows = {}
    with config_context(assume_finite=True, skip_parameter_validation=True):  # checked already
        for machine, own in known.groupby("machine").indices.items():
            t, s, anomalous = truth[own], score[own], truth[own] == 1
            halves = [anomalous | (domain[own] == name) for name in ("source", "target")]
            aucs = [_roc(t[half], s[half]) for half in halves]
            rows[machine] = [*aucs, _roc(t, s, MAX_FPR)]
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["auc_source", "auc_target", "pauc"], dtype=float
    )
    table["omega"] = [_harmonic_mean(row) for row in table.to_numpy()]
    return table.rename_axis("machine")


def omega(table: pd.DataFrame) -> float:
    """Official score: harmonic mean of the flat list of 3 x machines values; no rounding.

    Parameters
    ----------
    table : of :func:`evaluate`.
    """
    return _harmonic_mean(table[["auc_source", "auc_target", "pauc"]].to_numpy().ravel())


def paired_difference(
    a: pd.Series | Sequence[float], b: pd.Series | Sequence[float]
) -> dict[str, float]:
    """Difference of two systems, seed by seed.

    Parameters
    ----------
    a, b : one value per seed; as Series they are matched by seed.

    Returns
    -------
    mean, std (sample), n, and the p values of the paired t test (p_t) and of Wilcoxon's
    signed-rank test (p_wilcoxon); NaN where there are too few seeds or no difference at all.
    """
    import scipy.stats  # half a second to import

    if isinstance(a, pd.Series) and isinstance(b, pd.Series):
        a, b = a.align(b, join="inner")
    d = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    result = {"mean": np.nan, "std": np.nan, "n": len(d), "p_t": np.nan, "p_wilcoxon": np.nan}
    if len(d) == 0 or np.isnan(d).any():
        return result
    result["mean"] = float(d.mean())
    if len(d) > 1:
        result["std"] = float(d.std(ddof=1))
        if result["std"] > 0:
            result["p_t"] = float(scipy.stats.ttest_1samp(d, 0).pvalue)
        if d.any():
            result["p_wilcoxon"] = float(scipy.stats.wilcoxon(d).pvalue)
    return result


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down correction for as many tests as there are p values; NaN stays NaN.

    adjusted_(i) = max over j <= i of min(1, (n - j + 1) p_(j)), the p values in ascending order.
    """
    p = np.asarray(p_values, np.float64)
    adjusted = np.full_like(p, np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1)
    return adjusted


def false_alarms_and_misses(
    decisions: Sequence[int], labels: Sequence[str]
) -> dict[str, float | int]:
    """Counts and F1 of decisions (1: anomaly) on labelled clips.

    Returns
    -------
    false alarms, misses (counts), precision, recall, F1; a ratio without cases is NaN.
    """
    decided, true = np.asarray(decisions), np.array([_LABELS[label] for label in labels])
    hits = int(np.sum((decided == 1) & (true == 1)))
    alarms, anomalies = int(np.sum(decided == 1)), int(np.sum(true == 1))

    def ratio(part: int, whole: int) -> float:
        return part / whole if whole else np.nan

    return {
        "normal clips": int(np.sum(true == 0)),
        "false alarms": alarms - hits,
        "anomalies": anomalies,
        "misses": anomalies - hits,
        "precision": ratio(hits, alarms),
        "recall": ratio(hits, anomalies),
        "F1": ratio(2 * hits, alarms + anomalies),
    }


def parse_scores(path: str | Path) -> pd.DataFrame:
    """Read a ``file,score`` table; machine, domain and label come from the file names.

    Returns
    -------
    DataFrame with machine, domain, label, name, score.

    Raises
    ------
    AsdError
        Naming the file, and the line where there is one.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise AsdError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:
        raise AsdError(f"{path}: not a CSV table ({' '.join(str(error).split())}).") from None
    missing = [c for c in ("file", "score") if c not in table]
    if missing:
        raise AsdError(
            f"{path}: lacks the column(s) {', '.join(missing)}; the first line must be file,score."
        )
    rows = []
    for line, (file, score) in enumerate(zip(table["file"], table["score"], strict=True), start=2):
        *folders, name = file.replace("\\", "/").split("/")
        folders = [folder for folder in folders if folder not in ("train", "test")]
        match = _NAME.fullmatch(name)
        if match is None:
            raise AsdError(
                f"{path}, line {line}: {file!r} is not <machine>/section_00_{{source|target}}_test_"
                "{normal|anomaly}_0000_<attributes>.wav."
            )
        try:
            value = float(score)
        except ValueError:
            raise AsdError(f"{path}, line {line}: {score!r} is not a number.") from None
        machine = folders[-1] if folders else path.stem
        rows.append([machine, match["domain"], match["label"], file, value])
    result = pd.DataFrame(rows, columns=["machine", "domain", "label", "name", "score"])
    twice = result["name"][result["name"].duplicated()]
    if len(twice):
        raise AsdError(f"{path}: {twice.iloc[0]} stands there more than once.")
    validate(result)
    return result


def _roc(
    truth: Int[np.ndarray, " clip"],
    score: Float[np.ndarray, " clip"],
    max_fpr: float | None = None,
) -> float:
    from sklearn.metrics import roc_auc_score  # a second to import

    if len(np.unique(truth)) < 2:
        return np.nan
    return float(roc_auc_score(truth, score, max_fpr=max_fpr))


def _harmonic_mean(values: np.ndarray) -> float:
    import scipy.stats

    if len(values) == 0 or np.isnan(values).any():
        return np.nan
    return float(scipy.stats.hmean(values)) if np.all(values > 0) else 0.0
