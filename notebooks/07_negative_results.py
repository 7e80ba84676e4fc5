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
# # Negative results

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
from asdlib import metrics
from asdlib.compare import bootstrap, negative, statistics as stats
from asdlib.report import charts_scores, provenance
from asdlib.study import variants
from asdlib.report.chapter import Chapter

chapter = Chapter.open(globals())
params, recordings = chapter.params, chapter.recordings

# %% [markdown]
# Many gains at one seed vanish over ten. The paper lists what it tried without
# success {cite}`kim2026`; here each of these ideas is run by the same protocol as everything else: the same
# clips, the same seeds, statistics from training-normal clips only, and a paired difference to the champion.
# An idea that helps here is shown in the same way.

# %% [markdown]
# ## From the official network to ours
#
# In the paper, the plain autoencoder beats the official baseline. Which of the changes is the cause? They can be
# made one after the other, on the near channel: first the score of eq. 1 on the official network's
# own models, then the training, then the network ({numref}`tab-build-up`). The paper found every single-seed change within the range
# in which two seeds of one network differ, and concluded that only all changes together are robust.

# %%
study_results = stats.results(params, recordings)
steps = negative.build_up(params, recordings, study_results)
not_built = f"The build-up {variants.lacking(params, 'build_up') or 'needs test clips'}."

# %%
chapter.table(
    negative.build_up_steps(steps) if len(steps) else steps,
    columns=["step", "Ω ± std", "change", "p", "largest at one seed", "seeds outside the band"],
    label="tab-build-up",
    caption="Steps from the official network to ours: $\\Omega$ (mean ± standard deviation over seeds), paired change against the step "
    "before, p value of the paired t test, the largest change at one seed, and how "
    f"many of {len(params.seeds)} seeds leave the band of ±{metrics.SEED_BAND}.",
    empty=not_built,
)

# %% [markdown]
# ## Other objectives
#
# A network that reconstructs well may reconstruct anomalies too. Two other objectives were meant to
# avoid that. **Interpolation** predicts the middle frame from the others {cite}`suefusa2020`, so that
# it cannot copy that frame. **Denoising** gives the network a noisier frame, the near power with the
# transferred far power $G_m P_f$ added once more; its target is the denoised one. The residual is
# scored as before.
#
# ## At the bottleneck
#
# An anomaly may be reconstructed well and still lie in an empty part of the bottleneck.
# A masked autoregressive **flow** {cite}`papamakarios2017` estimates the density there. Its score is the same
# percentile as in eq. 1, of $-\log p$ over a clip's vectors; **nearest neighbours** take the mean distance of the
# clip's mean vector to the closest training clips. Both run on the champion's own models, alone and as
# the mean with the champion's $z$.
#
# ## Outlier exposure
#
# Other machines' normal sound can stand in for anomalies {cite}`hendrycks2019`: a small network on the
# embedding of a frozen, pretrained audio encoder learns which machine a clip comes from, and
# $-\log p(\text{this machine})$ is the score. With **LoRA** {cite}`hu2022` the encoder's own layers are
# adapted along. The encoder is a `transformers` audio model in a local folder (`encoder: {folder: ...}`); none
# comes with this project.
#
# ## A discriminative gate
#
# AdaSub and CohGate may win on different machines ({numref}`tab-choice`). A gate can weigh them: with
# $z_a$ and $z_c$ their scores, compressed so that large ones count less, and $g = \log_{10}$ of the machine's median $G_m$,
# logistic regression finds the weights of $z_a$, $z_c$ and $g\,(z_a - z_c)$ that best tell anomalies from
# normal test clips. Labels of the machine that is scored are not allowed, so the gate is
# learnt on all other machines. In the paper it only helped when the scores were first normalised over
# the test set. A score that depends on other test clips is not allowed, and the guard refuses it:

# %%
ideas = negative.idea_scores(params, recordings, study_results.table)
lacking = variants.lacking(params, "champion")
chapter.say(f"The gate {lacking}." if lacking else "> " + ideas.reasons["gate_tested"])

# %% [markdown]
# ## Verdicts
#
# {numref}`fig-negative` and {numref}`tab-negative` compare every idea with the champion, seed by seed and
# under the same scoring: all three re-scorings where the idea leaves a residual to score, and the champion
# so scored as partner where it is fused.

# %%
compared = negative.against_champion(ideas)
not_run = f"Not run here: every idea {lacking}."
run = compared[compared["mean"].notna()]
chapter.figure(
    charts_scores.differences,
    run.rename(columns={"idea": "name"}),
    "champion",
    label="fig-negative",
    caption="Difference of $\\Omega$ to the champion: seed mean, its standard deviation over seeds (thick) and the 95 % "
    "interval over clips and seeds (thin). Right of zero would be better than the champion.",
    missing=not_run
    if lacking
    else "No idea was run here, or Ω cannot be computed from these recordings.",
)

# %%
chapter.table(
    compared[:0] if lacking else compared,
    columns=[
        *("idea", "Ω ± std", "difference", "p", "95 % interval"),
        *("difference, eq. 1", "verdict"),
    ],
    label="tab-negative",
    caption=f"Every idea over {len(params.seeds)} seeds: $\\Omega$, the paired difference to the champion (AdaSub with all "
    "re-scorings), its p value of the paired t test, the 95 % interval of "
    f"{bootstrap.RESAMPLES:,} paired resamples of clips and seeds, the paired difference under eq. 1 alone, and the verdict "
    "or the reason why it was not run.",
    empty="",
)

# %% [markdown]
# ## As reported

# %%
chapter.table(
    provenance.reported_table("negative"),
    columns=["idea", "one seed", "ten seeds", "Ω"],
    missing="",
    label="tab-negative-reported",
    caption="Negative results as reported on DCASE 2026 development data: changes of $\\Omega$ at one seed and over ten, "
    "or $\\Omega$ itself.",
)

# %% [markdown]
# The functions of this chapter are documented in the reference: {py:mod}`asdlib.compare.negative`.
