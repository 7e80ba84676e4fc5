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
# # Is the gain larger than the chance of a seed?

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
import numpy as np
import pandas as pd

from asdlib import metrics, study
from asdlib.compare import bootstrap, findings, statistics as stats
from asdlib.params import Params
from asdlib.report import answers, charts_scores, provenance, style, text
from asdlib.report.chapter import Chapter
from asdlib.study import variants

chapter = Chapter.open(globals())
params, recordings = chapter.params, chapter.recordings
study_results = stats.results(params, recordings)

# %%
ladder = findings.ladder(study_results, provenance.reported()["table_1"])
band = f"in the paper, differences at one seed below {metrics.SEED_BAND} count as variance"
head = f"The standard deviation of Ω over seeds ({band})"
deviations = ladder.set_index("system")["std"]
nothing = "No seed can be compared: nothing was trained with several seeds and labels."
chapter.result(answers.extremes(head, deviations, "{:.3f}".format) or nothing)

# %% [markdown]
# An autoencoder that is trained again from another *seed*, a random start, gives other scores. In the paper, differences between
# architectures at one seed were due to the seed alone {cite}`kim2026`. Therefore systems are compared seed by seed here, by their mean over seeds. The *ensemble*, the mean of
# the scores clip by clip, is what would be submitted.

# %% [markdown]
# ## The detector
#
# Five consecutive log-mel frames form a vector of 640 values. An autoencoder with a bottleneck of 16
# values reconstructs it; each block computes $x + \mathrm{GELU}(\mathrm{BN}(W x))$. With the residual
# $e_i$ of vector $i$, and mean $\mu$ and covariance $\Sigma$ of the training-normal residuals
# {cite}`denouden2018`, the score of clip $x$ (eq. 1 of the paper) is
#
# $$
# A(x) = (1-\alpha)\, P_{90}\bigl\{(e_i-\mu)^\top \Sigma^{-1} (e_i-\mu)\bigr\}
#      + \alpha\, P_{90}\bigl\{\lVert e_i \rVert^2\bigr\}.
# $$ (eq-score)
#
# A gamma distribution fitted to the training-normal scores standardises it to
# $z = (A - \text{mean}) / \text{std}$, and its 0.90 quantile is the decision threshold. The ensemble is
# the mean of $z$ over seeds.
#
# $\Omega$ is the harmonic mean, over all machines, of the AUC with source-domain normals, the AUC with
# target-domain normals (both against all anomalies) and the partial AUC up to a false-positive rate of
# 0.1.

# %%
not_trained = "No autoencoder was trained here (`scorers` names detectors without training only)."
trained = variants.trained(params)
own, theirs = text.training(params), text.training(Params())
chapter.say(f"Here: {own}. The paper: {theirs}." if trained else not_trained)

# %%
losses = provenance.losses(params, recordings)
curves = losses.groupby(["epoch", "machine"])["loss"].mean().unstack() if len(losses) else losses
last = 100 * curves.pct_change().iloc[-1] if len(curves) > 1 else pd.Series(dtype=float)
chapter.figure(
    charts_scores.learning_curves,
    losses,
    most={"machine": 4},
    label="fig-learning",
    result=answers.extremes("The change of the loss in the last epoch", last, "{:+.0f} %".format),
    caption="Training loss, mean over seeds with the range of the seeds. Curves of different front-ends "
    "are not comparable in height: each is standardised by its own training frames. Look at "
    "whether they still fall where training ends.",
    missing="There is no learning curve without training.",
)

# %%
chapter.table(
    study.beside(params, recordings, "trained_out"),
    columns=["score", "epochs", "seeds", "mean ± std", "Ω of S5", "S5's lead (95 % interval)"],
    label="tab-longer",
    caption="AdaSub's autoencoder at the paper's width by length of training, against S5 on the same clips: $\\Omega$, mean ± "
    "standard deviation over seeds (`studies/trained_out.py`).",
    empty="`python studies/trained_out.py` measures in hours what longer training reaches on these recordings.",
)

# %% [markdown]
# ## The ladder
#
# The ladder leads from the official baseline, trained and scored here, to the *champion*, the system with the highest
# $\Omega$ in the paper. The champion is AdaSub with three changes of the score, the *re-scorings* of {doc}`05_variants`.
# *DM* (domain means) scores a clip once against the mean residual of each domain, and the smaller score counts. *Shrink* mixes the
# covariance of the target domain with that of the source domain. *P95* takes the 95th percentile over frames in place of
# the 90th. Each row is a system of its own. The front-ends replace one another. The last rows train nothing
# ({doc}`03_without_training`); the paper does not have them.
#
# One rule judges every comparison in this report. A system *helps* or *harms* where the p value of the paired t test over
# seeds is below 0.05, and the 95 % interval over clips and seeds does not hold zero. All else is *no robust difference*.
# Systems without seeds are judged by the interval alone. Each pair is judged alone, so that it has one verdict
# wherever it stands. Among many pairs, one may pass by chance: {numref}`tab-paired` also gives p with Holm's correction.

# %%
chapter.table(
    ladder,
    columns=[
        *("system", "mean ± std", "95 % interval of the mean", "ensemble"),
        *("in place of the champion", "reported mean ± std", "reported ensemble"),
    ],
    label="tab-ladder",
    caption=f"The ladder of $\\Omega$, as Table 1 of the paper: {text.seeds(params, 'eq1')} measured here, ten seeds reported "
    f"on DCASE 2026 development data. The 95 % interval comes from {bootstrap.RESAMPLES:,} resamples of clips and seeds. The verdict says "
    "what each row does in place of the paper's champion (+ DM + shrink + P95). n/a: not computed here, not reported, or not "
    "to be computed from these labels.",
)

# %%
wanted = (("near", "eq1"), ("adasub", "s1"))
compared = [s for s in wanted if study_results.omegas(*s).notna().any()]
ranges = {style.system_name(*own): np.ptp(study_results.omegas(*own)) for own in compared}
ranges = pd.Series(ranges, dtype=float)

# %%
chapter.figure(
    charts_scores.seeds,
    compared,
    study_results.per_seed,
    study_results.ensembles,
    provenance.reported_baseline(recordings.development),
    label="fig-seeds",
    result=answers.extremes("The range of Ω over seeds", ranges),
    caption="$\\Omega$ of every seed for the plain autoencoder and for the champion (AdaSub with all three re-scorings), "
    "as Fig. 2 of the paper. Means are dashed, ensembles are stars. Look at how far "
    "single seeds lie from their mean before believing any single-seed gain.",
    missing="Ω needs anomalies and normal test clips of both domains for every machine, and seeds need "
    "autoencoders: these recordings or this study do not have them.",
)

# %% [markdown]
# ## Paired differences
#
# Two systems with the same seed share their initialisation and the order of the clips, so
# the difference is taken seed by seed. A difference counts when it is large against its own spread.
# With few seeds, small p values cannot occur: the smallest two-sided Wilcoxon p value is $2^{1-n}$ for
# $n$ seeds. These tests account for the choice of seeds only. The bootstrap also resamples the test
# clips: it draws clips, within machine, domain and label, and seeds with replacement, the same for both
# systems.

# %%
near, others = ("near", "eq1"), ("refsub", "adasub", "cohgate", "combo", "cohsub", "wiener", "lsa")
pairs = [
    (near, ("baseline", "mahala")),
    (near, ("baseline", "mse")),
    *(((name, "eq1"), near) for name in others),
    (("adasub", "eq1"), ("refsub", "eq1")),
    (("adasub", "s1"), ("adasub", "eq1")),
    (("adasub", "s1"), near),
]

# %%
paired = study_results.paired(pairs)
chapter.table(
    paired[paired["n"] > 0],
    columns=[
        *("system", "against", "difference", "p (t)", "p (Holm)", "p (Wilcoxon)"),
        *("95 % interval", "verdict"),
    ],
    label="tab-paired",
    caption="Paired per-seed differences of $\\Omega$ (row system minus the one that it is compared with): mean ± "
    "standard deviation, p values of the paired t test, of the same with Holm's correction over the "
    f"rows, and of Wilcoxon's signed-rank test; and the 95 % interval of {bootstrap.RESAMPLES:,} paired resamples of "
    f"clips and seeds; and the verdict. Single-seed differences below {metrics.SEED_BAND} count as variance in the paper.",
    empty="None of the pairs was computed.",
)

# %% [markdown]
# What follows: a difference at one seed says nothing, and a front-end is chosen by its mean over seeds. Functions:
# {py:func}`asdlib.study.run`, {py:mod}`asdlib.metrics`, {py:mod}`asdlib.autoencoder`, {py:mod}`asdlib.training`, {py:mod}`asdlib.scoring`.
