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
# # A detector that trains nothing

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
from asdlib import study
from asdlib.compare import findings, negative, statistics as stats, systems, untrained
from asdlib.measure import truth
from asdlib.report import answers, charts_evidence, style, tables
from asdlib.report.chapter import Chapter

chapter = Chapter.open(globals())
params, recordings = chapter.params, chapter.recordings
study_results = stats.results(params, recordings)
claims = findings.compared(study_results, params.scorers)
chapter.result(answers.claim(claims, "untrained"))

# %% [markdown]
# A detector need not be trained. A clip is described by a few values, and its distance to the normal clips
# is the score. Such a detector has no seed, and it is fitted within a second. The paper has none. This
# chapter defines it, compares it with the autoencoders, and measures what it needs and where it fails.

# %% [markdown]
# ## The detector
#
# A front-end gives the power spectrum of a clip, and its mel bands are $M(b,t)$. Four statistics over the $T$
# frames describe every band $b$, all in dB:
#
# $$
# \begin{aligned}
# p(b) &= 10 \log_{10} \tfrac{1}{T} \sum_t M(b,t), &
# m(b) &= \tfrac{1}{T} \sum_t L(b,t), \\
# s(b) &= \operatorname{std}_t\, L(b,t), &
# d(b) &= \operatorname{std}_t \bigl( L(b,t+1) - L(b,t) \bigr),
# \end{aligned}
# $$ (eq-statistics)
#
# with $L = 10 \log_{10} M$. Both $p$ and $m$ are levels: peaks count in $p$ and hardly count in $m$. The other
# two are the scatter over time, of the level and of its steps. Three sets of statistics are named after their
# letters: `pm`, `pms` and `pmsd` (256, 384 and 512 values with 128 bands).
#
# Two more views resolve lines that share a mel band. `fine` takes $p$ and $m$ of single bins of a window twice
# as long, and averages them in dB over 64 logarithmic bands. `psd` is a Welch spectrum {cite}`welch1967`
# with segments of 8192 samples (2 Hz at 16 kHz), in 96 logarithmic bands, minus the mean over the bands.
# Therefore `psd` does not depend on the level of the clip.
#
# Every value is standardised over the training-normal clips. The mean of the training clips of domain $\delta$ is
# $c_\delta$. The covariance $S$ is that of all training clips about the mean of their own domain. It is shrunk as Ledoit
# and Wolf propose {cite}`ledoit2004`, because there may be more values than clips. The distance of clip $x$ to the
# normal clips of domain $\delta$ is
#
# $$
# D_\delta(x) = \sqrt{(x - c_\delta)^\top S^{-1} (x - c_\delta)}.
# $$ (eq-distance)
#
# Training clips lie closer to their own centre than new normal clips do. Therefore each of them is scored by a detector
# that was fitted without it, and without the clips that resemble it, which may be cut from the same recording. The
# clips of every domain are divided into ten groups for that, by Ward's linkage {cite}`ward1963`.
# Clips of a domain with ten clips lie further from their centre than those of a domain with many. Therefore
# $\log D_\delta$ counts from $m_\delta$, its mean over the held-out clips of domain $\delta$. The score is
# $z = (\min_\delta (\log D_\delta - m_\delta) - \text{mean}) / \text{std}$, with mean and standard deviation of the
# held-out clips. S5 joins two such detectors by Fisher's sum of $-\log(1 - \Phi(z))$ {cite}`fisher1932`, which follows
# the detectors that see a fault; their mean is pulled down by the others.
# A lead on simulated scenes is no promise for real recordings. On those of the challenge, others measured only a small lead
# of detectors without training over an autoencoder.
#
# The share of every value in $D_\delta^2$ of the nearest domain tells what made a clip suspicious. It is taken from the elements of
# $S^{-1/2} (x - c_\delta)$ {cite}`kessy2018`.

# %% [markdown]
# ## Against the autoencoders
#
# Each detector without training is compared with the autoencoder on AdaSub under eq. 1 of the paper, where
# that was run. The detector is the same for every seed of the autoencoder. S5 is the submission without
# training: it joins the scores of two views, see below. The autoencoders are trained as far as
# {doc}`02_seed_study` says. It also tells what longer training reaches, if that was measured.

# %%
everything = negative.every_scoring(params, recordings, study_results)
compared = untrained.against_autoencoders(everything)
ranked = (
    compared.sort_values("omega", ascending=False, kind="stable") if len(compared) else compared
)

# %%
chapter.table(
    ranked,
    columns=[
        *("system", "training", "source AUC", "target AUC", "pAUC", "Ω"),
        *("difference (95 % interval)", "verdict"),
    ],
    label="tab-untrained",
    caption="Detectors without training, and the autoencoders with the highest $\\Omega$ by test labels, with the other scores and objectives of chapter 05 among them. Source AUC, target "
    "AUC and pAUC are means over machines, and all values are means over seeds. The difference is that of $\\Omega$ to the "
    "autoencoder on AdaSub under eq. 1 of the paper, paired, with the 95 % interval over clips and seeds. n/a: not to be computed from "
    "these labels.",
    empty="No detector without training was scored on test clips (scorers).",
)
if lack := systems.UNTRAINED.missing_reason(study_results.per_seed):
    chapter.say(f"{systems.UNTRAINED.name} is not in the table. {lack}")

# %%
chapter.table(
    claims[claims.index.str.startswith("untrained")] if len(claims) else claims,
    columns=["system", "against", "Ω", "Ω before", "difference (95 % interval)", "verdict"],
    label="tab-s5",
    caption="S5 against AdaSub and against the champion: means over seeds, with the interval over clips and seeds.",
    empty="",
)

# %% [markdown]
# ## The views of S5, and a check of the far microphone
#
# S5 joins single bins after AdaSub with the mel bands after AdaLS, which add how level and steps scatter over time. Both
# subtract the far sound. A far microphone that stands close to the machine hears what the near one hears, and subtraction
# removes the machine. Therefore S5 checks it first, by training-normal clips alone. Let $n_{cb}$ and $f_{cb}$ be the
# levels in dB of clip $c$ in band $b$ at both microphones, in 64 bands of equal width. The mean over the bands of the clip is
# subtracted first, and then the mean over the clips. The near level follows the far one by
#
# $$
# r = \sum_{c,b} n_{cb} f_{cb} \,/\, \sum_{c,b} f_{cb}^2 .
# $$ (eq-follows)
#
# As long as the far microphone hears noise alone, $r$ is the share of noise in the near sound. From 0.8 on, **CheckedSub** and
# **CheckedLS** pass the near microphone on as it is. The limit was chosen on simulated scenes of other seeds, with far
# microphones from 0.3 m on. `make verdict` writes $r$ of every machine of its sets.

# %%
transfers = truth.transfer_table(study.floors(params, recordings), {})
chapter.say(answers.checked(transfers))
views = untrained.by_view(study_results)
chapter.table(
    views,
    columns=["system", "Ω", "Ω without the check"],
    label="tab-views",
    caption="$\\Omega$ of both views of S5, alone, as they are and without the check; the last row is S5.",
    empty="",
)

# %% [markdown]
# ## Why it works
#
# An autoencoder reconstructs five frames at a time (0.2 s). It learns frames of many levels. Where it reconstructs
# all of them equally well, its residuals do not hold the level of the clip. Five frames also do not hold how
# the level scatters over the whole clip. The statistics hold both. How much the level contributes is measured
# here, and how much the scatter contributes in the next section.

# %%
reason = untrained.missing_reason(params, recordings)
chosen = untrained.front_end(params)
values = [] if reason else untrained.view_values(params, recordings, chosen, "pmsd")
if reason:
    chapter.say(reason)
else:
    chapter.say(
        f"From here on, the detector is {style.system_name(chosen, 'pmsd')}. "
        "{numref}`tab-level` compares this detector with one that does not know the level: each "
        "clip's own mean over the bands is subtracted from $p$ and from $m$."
    )

# %%
if not reason:
    by_level = untrained.by_level(values)
    chapter.table(
        tables.by_machine(by_level),
        label="tab-level",
        caption="$\\Omega$ with the level of the clip, without it, and of the level alone (two values per clip: "
        "the mean over the bands of $p$ and of $m$). 0.5 is chance.",
    )

# %% [markdown]
# ## Which statistic carries which fault
#
# The same detector is fitted to single statistics and to their sets. The names of the clips do not tell the
# kind of a fault, so the machines stand for the kinds.

# %%
if reason:
    chapter.say(reason)
else:
    by_statistic = untrained.by_statistic(values)
    chapter.table(
        tables.by_machine(by_statistic),
        label="tab-ablation",
        caption="$\\Omega$ of single statistics and of their sets, by machine; the last row is the official score over all machines.",
    )

# %% [markdown]
# ## How many training clips it needs
#
# The detector is fitted again to fewer clips of the source domain, taken evenly over the order of their names. The
# clips of the target domain are always all there.

# %%
if reason:
    chapter.say(reason)
else:
    curve = untrained.learning_curve(values)
    overall = curve["overall"].rename("{} clips".format)
    chapter.figure(
        charts_evidence.learning_curve,
        curve,
        study_results.omegas(*systems.ADASUB).mean(),
        label="fig-clips",
        result=answers.extremes("Ω over all machines", overall),
        caption="$\\Omega$ against the number of training clips of the source domain, by machine and over all machines "
        "(harmonic mean). The dotted line is the autoencoder on AdaSub under eq. 1 of the paper with all clips, where it was run.",
    )

# %% [markdown]
# ## What a change of level costs
#
# A microphone that is replaced may have another gain. A gain of both channels adds to $p$ and $m$ and changes
# neither $s$, $d$ nor `psd`. The front-end scales with its input. So the change is made on the values of
# the test clips, and it is exact as long as no sample is clipped.

# %%
if reason:
    chapter.say(reason)
else:
    by_gain = untrained.by_gain(params, recordings, chosen)
    chapter.table(
        tables.by_gain(by_gain, chosen),
        label="tab-gain",
        caption="$\\Omega$ over all machines where the test clips are as loud as recorded, and louder or quieter than the training clips by 6 dB.",
    )

# %% [markdown]
# ## Does an autoencoder help on a machine?
#
# {numref}`tab-autoencoder` compares the best autoencoder with the best detector without training, machine by machine.

# %%
chapter.table(
    untrained.autoencoder_gain(everything, compared),
    columns=["machine", "autoencoder", "no training", "gain"],
    label="tab-autoencoder",
    caption="$\\Omega$ of the best autoencoder minus that of the best detector without training, both chosen over all "
    "machines by test labels. Above 0 the autoencoder is better.",
    empty="There is no autoencoder whose Ω could be compared here.",
)

# %% [markdown]
# ## Remarks on the recordings
#
# A distance means little where a machine has a single training clip, or where nothing differs between its clips.

# %%
remarks = study.remarks(params, recordings)
nothing = "None of the detectors without training has such a remark here."
chapter.say("\n".join(f"- {tables.escape(remark)}" for remark in remarks) or nothing)

# %% [markdown]
# What follows: such a detector is worth a try first, because it costs seconds and has no seed. It needs a level that does not
# change with the microphone. Functions: {py:mod}`asdlib.clipstats`, {py:mod}`asdlib.compare.untrained`.
