# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Quirks of the official baseline

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
from asdlib import study
from asdlib.compare import findings, statistics as stats
from asdlib.report import answers, style, tables
from asdlib.report.chapter import Chapter

chapter = Chapter.open(globals())
params, recordings = chapter.params, chapter.recordings
study_results = stats.results(params, recordings)

# %%
found = findings.steps(study_results, "baseline", ("mahala", "mse", "mahala_corrected"))
thresholds = study.official_thresholds(params, recordings)
if len(found) and len(thresholds):
    omegas = found.set_index("scorer")["omega"].rename(style.SCORER_NAMES)
    official = thresholds[thresholds["rule"] == "minibatch losses"].set_index("machine")
    chapter.say(f"**{answers.extremes('Ω of its scores', omegas, '{:.3f}'.format)}**")
    above = "The share of training clips above its threshold"
    chapter.say(f"**{answers.extremes(above, official['training'], tables.percent)}**")

# %% [markdown]
# The baseline {cite}`harada2023` is a smaller network on the near channel alone. Its MSE score is the mean
# squared error of the clip. Its selective Mahalanobis score (MAHALA) takes the **mean** residual frame $d$
# of the clip and computes $d^\top \Sigma^{-1} d$ with the covariance of either training domain, keeping the
# smaller. Residuals that cancel over the clip do not contribute to it. They do contribute to the mean of the
# frames' distances (MAHALA corrected), which {numref}`tab-baseline` shows beside it.

# %%
chapter.table(
    found,
    columns=tables.STEPS,
    label="tab-baseline",
    caption="The official baseline, measured here: source AUC, target AUC, pAUC (means over machines) and "
    "$\\Omega$ of the ensemble; mean ± standard deviation of per-seed $\\Omega$, and its paired "
    "difference to MAHALA with the verdict.",
    empty="The baseline was not asked for (baseline: false).",
)

# %% [markdown]
# Its decision threshold is the 0.90 quantile of a gamma distribution fitted to the losses of
# **minibatches**. A minibatch mixes vectors of many clips, so its loss scatters less than that of a clip,
# and the threshold lies close above the mean. {numref}`tab-rule` counts the clips above it, beside the same quantile of a gamma distribution fitted to the scores of training **clips**. Above a
# 0.90 quantile, one in ten training clips is expected.

# %%
chapter.table(
    thresholds,
    label="tab-rule",
    caption="Share of clips above the official threshold (minibatch losses) and above that of clip scores, MSE "
    "score, mean over seeds: training clips, and normal and anomalous test clips.",
    empty="Nor are there thresholds of the baseline.",
)
