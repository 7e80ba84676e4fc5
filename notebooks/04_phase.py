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
# # Does the phase of the far microphone help?

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
import pandas as pd

from asdlib.compare import findings, statistics as stats
from asdlib.measure import phase
from asdlib.report import answers, charts_scores, charts_signals, style, tables, text
from asdlib.report.chapter import Chapter

chapter = Chapter.open(globals())
params, recordings = chapter.params, chapter.recordings
study_results = stats.results(params, recordings)
chapter.result(answers.claim(findings.compared(study_results, params.scorers), "phase"))

# %% [markdown]
# The front-ends so far compare powers. A power says how loud the noise is, but not which part of the near signal it
# is. The signals of one source at the two microphones differ by a filter, and a filter has a phase. This chapter goes
# beyond the paper and asks what can be gained from that phase.
#
# ## Three more front-ends
#
# **ComplexLS** fits, in every clip and bin, the complex weights that predict the near spectrum best from $K$
# frames of the far one, and keeps the residual:
#
# $$
# H(k) = \arg\min_H \sum_t \Bigl\lvert N - \sum_{j<K} H_j F(t-j) \Bigr\rvert^2, \qquad
# R = N - \sum_j H_j F(t-j), \qquad {\lvert \hat S \rvert}^2 = \min\bigl({\lvert R\rvert}^2, P_n\bigr).
# $$ (eq-complexls)
#
# **LSAda** is AdaSub on ${\lvert R\rvert}^2$, with a transfer taken from the quiet floor of
# ${\lvert R\rvert}^2$; **AdaLS** multiplies AdaSub's gain on $P_n$ with $\min(1, {\lvert R\rvert}^2 / P_n)$.
#
# ## How much is there to gain
#
# Noise that is coherent between the microphones with a magnitude-squared coherence MSC can be reduced by at most
# $-10 \log_{10}(1 - \mathrm{MSC})$ dB by one weight per bin. {numref}`fig-bound` compares what is reached
# with that bound, computed over all training clips. The filter is found on the mixture, as in practice.

# %%
no_truth = (
    "No ground truth lies beside these recordings: "
    "what was noise and what was machine cannot be told apart."
)
bounds = phase.bounds(params, recordings)
learnt = (bounds["machine_sound"] > bounds["noise"]).groupby(bounds["machine"]).mean()
more = "The share of frequencies where more machine sound is lost than noise removed"

# %%
chapter.figure(
    charts_signals.phase_bounds,
    bounds,
    most={"machine": 4},
    label="fig-bound",
    result=answers.extremes(more, learnt, tables.percent),
    caption="Noise removed by one complex weight per clip and bin against its bound, and the machine sound that is lost "
    "with it, over frequency. Above the bound, a clip's noise is more coherent than that of all clips together, or "
    "the fit is lucky; where more machine sound is lost than noise removed, the filter has learnt the machine.",
    missing=no_truth,
)

# %% [markdown]
# ## More context, shorter clips
#
# A room's impulse response is longer than one frame, so more frames of the far channel predict more of the noise.
# More frames also give the filter more freedom to fit the machine's sound. So does a shorter clip.

# %%
context = phase.sweep(params, recordings, "context", (1, 2, 3, 4, 5))
chapter.figure(
    charts_signals.noise_and_sound,
    context,
    "context",
    "frames of far context",
    label="fig-context",
    result=answers.worst(context, "context", "Most is lost with {:g} far frames"),
    caption="Noise removed and machine sound lost against the far frames that the filter uses.",
    missing=no_truth,
)

# %%
longest = float(recordings.manifest["seconds"].min())
lengths = [longest / 8, longest / 4, longest / 2, longest]
cut = phase.sweep(params, recordings, "seconds", lengths)
chapter.figure(
    charts_signals.noise_and_sound,
    cut,
    "seconds",
    "length of what the filter sees (s)",
    label="fig-length",
    result=answers.worst(cut, "seconds", "Most is lost with clips of {:g} s"),
    caption="The same against the length of the clip, cut at its beginning.",
    missing=no_truth,
)

# %% [markdown]
# ## The drawback: a machine in the far channel
#
# The far microphone hears the machine as well, coherently. The filter then removes machine sound as noise, and
# steady tones are affected most: one weight per bin can cancel a line completely. {numref}`fig-leak` changes the level
# of the machine in the far channel, and nothing else.

# %%
leak = phase.sweep(params, recordings, "level", (-40, -20, -10, -5, 0, 5, 10))
chapter.figure(
    charts_signals.noise_and_sound,
    leak,
    "level",
    "machine at the far microphone, against the scene (dB)",
    label="fig-leak",
    result=answers.worst(leak, "level", "Machine {:g} dB louder at the far microphone"),
    caption="Noise removed and machine sound lost against the level of the machine at the far microphone.",
    missing=no_truth,
)

# %% [markdown]
# The next three figures render scenes of their own, normal clips that differ in one thing: how far the far
# microphone stands from the machine, how reverberant the room is, and how many noise sources, all steady and each at
# a place of its own, share the noise power. A microphone that stands closer predicts more of the noise and hears more of the
# machine; reverberation and noise from many places cannot be predicted by one weight per bin.

# %%
no_rooms = "The rooms of these recordings are what they are: only simulated ones can be changed."
by_fit = phase.sweep(params, recordings, "far_distance", (0.3, 0.8, 2, 4), fits=phase.FITS)
distance = by_fit.rename(columns={"plain noise": "noise", "plain machine_sound": "machine_sound"})
chapter.figure(
    charts_signals.noise_and_sound,
    distance,
    "far_distance",
    "far microphone, from the machine (m)",
    label="fig-distance",
    result=answers.worst(distance, "far_distance", "Far microphone at {:g} m"),
    caption="Noise removed and machine sound lost against the distance of the far microphone from the machine. The near "
    "one stays at its place.",
    missing=no_rooms,
)

# %%
rooms = phase.sweep(params, recordings, "reverberation", (0.2, 0.4, 0.8))
chapter.figure(
    charts_signals.noise_and_sound,
    rooms,
    "reverberation",
    "reverberation time (s)",
    label="fig-room",
    result=answers.worst(rooms, "reverberation", "Most is lost with a reverberation of {:g} s"),
    caption="The same against the reverberation time of the room.",
    missing=no_rooms,
)

# %%
sources = phase.sweep(params, recordings, "noise_sources", (1, 4, 16))
chapter.figure(
    charts_signals.noise_and_sound,
    sources,
    "noise_sources",
    "steady noise sources",
    label="fig-sources",
    result=answers.worst(sources, "noise_sources", "Most is lost with {:g} noise sources"),
    caption="The same against the number of noise sources, which share one power. Few clips of each machine are rendered, so "
    "small steps are chance.",
    missing=no_rooms,
)

# %% [markdown]
# ## Two gates against the machine's pull
#
# **GatedLS** changes the fit where the machine is likely to pull it, bin by bin. A *line gate* predicts each channel
# from its own earlier frames. Where the predictable part has a higher ratio of near to far level than the rest, the line
# belongs to the machine, and the filter is fitted on the rest. An *impulse gate* looks at the residual. Where it is
# impulsive, and louder at the near microphone in its loud frames, the fit is repeated with less weight on these frames.
# {numref}`tab-gates` compares both fits. The condition for the gates: nowhere over 1 dB less noise removed, and nowhere
# over 1 dB more machine sound lost. There is a known exception. Where a compressor is the only noise, its hum may reach
# the near microphone through the room with more level than its broadband part does. The line gate then takes it for the
# machine's, and less noise is removed.

# %%
gated = phase.gates(params, recordings, by_fit[by_fit["far_distance"] < 1])
heads = [
    f"{what}, {kind}" for kind in ("plain", "gated", "change") for what in ("noise", "machine")
]
changes = [gated[f"gated {own}"] - gated[f"plain {own}"] for own in ("noise", "machine_sound")]
chapter.table(
    pd.concat([gated, *changes], axis=1).set_axis(["machine", "recordings", *heads], axis=1),
    label="tab-gates",
    caption="Noise removed and machine sound lost, in dB over all bins, by plain least squares and by the fit with two "
    "gates: on these recordings, and on scenes with the far microphone at other distances.",
    decimals=1,
    empty=no_truth,
)
if len(gated):
    chapter.say(answers.gates(gated))

# %% [markdown]
# ## A filter per clip or per machine
#
# A filter from all training clips cannot learn the machine sound of a single clip. But it only models what all clips
# share: where the noise comes from another place in the next clip, its phase differs, and the common filter averages.

# %%
heads = [f"{what}, {kind}" for kind in ("per clip", "trained") for what in ("noise", "machine")]
chapter.table(
    phase.fixed(params, recordings).set_axis(["machine", *heads], axis=1),
    label="tab-fixed",
    caption="Noise removed and machine sound lost, in dB over all bins, by a filter for every clip and by one from all "
    "training-normal clips of the machine.",
    decimals=1,
    empty=no_truth,
)

# %% [markdown]
# ## Does it help the detector?
#
# {numref}`tab-phase` compares the front-ends under every score that was computed with the phase, by the protocol of
# {doc}`02_seed_study`. The best score may differ by front-end. `params/phase.yaml` also trains autoencoders behind these front-ends, and scores
# them by mean squared error, by eq. 1 of the paper and by all re-scorings. It has
# the context $K$ that `make verdict` chose on three sets of scenes. A constant that was chosen by labels has to
# be evaluated on other recordings: `make verdict` uses real noise and measured rooms for that.

# %%
table = study_results.table[study_results.table["front_end"] != "baseline"]
new = table[table["front_end"].isin(findings.WITH_PHASE)]
shared = [own for own in ("mse", "eq1", "s1", "pmsd", "fine") if own in set(new["scorer"])]
scorer = findings.common_scorer(shared)
by = style.SCORER_NAMES[scorer]
compared = findings.against_adasub(study_results, shared)

# %%
chapter.table(
    compared,
    columns=[
        *("score", "front-end", "Ω ± std", "ensemble", "source AUC", "target AUC", "pAUC"),
        *("difference (95 % interval)", "p", "verdict"),
    ],
    label="tab-phase",
    caption=f"Every front-end under every score, {text.seeds(params, scorer)}: $\\Omega$ (mean over seeds), the "
    "ensemble and its parts, and the paired difference to AdaSub under the same score with its 95 % interval over "
    "clips and seeds, and the verdict.",
    empty="Not run here: params/phase.yaml names these front-ends.",
)

# %%
omegas = findings.omega_by_front_end(table if len(new) else new, scorer).rename(columns=style.NAMES)
chapter.figure(
    charts_scores.machines,
    omegas,
    label="fig-phase-machines",
    result=answers.extremes("The mean of Ω over machines", omegas.mean()),
    caption=f"$\\Omega$ under {by} on every development machine (of ensembles over seeds). Wins and losses side by side.",
    missing="" if new.empty else "No machine has labelled test clips.",
)

# %% [markdown]
# What follows: the phase removes more noise where the far microphone hears little of the machine. Close to the machine it removes the
# machine. Functions: {py:mod}`asdlib.complexls`, {py:mod}`asdlib.measure.phase`, {py:mod}`asdlib.compare.findings`.
