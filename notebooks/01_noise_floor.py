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
# # Noise floors and the noise transfer

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
from asdlib import study
from asdlib.measure import truth
from asdlib.report import charts_signals, provenance
from asdlib.report.chapter import Chapter
from asdlib.spectra import frequencies

chapter = Chapter.open(globals())
params, recordings = chapter.params, chapter.recordings

# %% [markdown]
# A machine is seldom equally loud all the time, and the noise around it is present even when the machine is
# quiet. This chapter takes a low percentile over time of every recording's spectrum, in both microphones, and computes
# from it the one statistic that the front-ends of the next chapter need.

# %% [markdown]
# ## The quiet floor of each microphone
#
# Subtracting the whole far spectrum would take machine sound away with the noise, because the far
# microphone hears the machine too. The floor reduces that. For channel $x$, the power spectrum of each
# training-normal clip is reduced to a low percentile over time, and the clips are averaged
# {cite}`martin2001`:
#
# $$
# \mathrm{floor}_x(k) = \frac{1}{C} \sum_{c=1}^{C} P_{20}\{\, P_x(k,t) : t \,\}, \qquad x \in \{n, f\}.
# $$

# %%
floors = study.floors(params, recordings)
frequency = frequencies(params.spectra)
chapter.figure(
    charts_signals.spectra,
    {"near": {m: f.near for m, f in floors.items()}, "far": {m: f.far for m, f in floors.items()}},
    frequency,
    "floor$_x(k)$ (dB)",
    label="fig-noise-floors",
    caption="Quiet floors of both microphones. Look at the distance between the curves and at how it "
    "changes with frequency: that distance, not the level, is what the noise transfer keeps.",
)

# %% [markdown]
# ## The noise transfer
#
# The ratio of the floors is the noise transfer of machine $m$, in power:
#
# $$
# G_m(k) = \mathrm{floor}_n(k) \,/\, \mathrm{floor}_f(k).
# $$ (eq-transfer)
#
# If the quiet parts of a recording hold only noise, $G_m$ says how loud the noise that the far
# microphone hears is at the near one. Two things break the assumption. A machine that never falls quiet
# puts part of its own sound into the near floor, and $G_m$ is then too large. And intermittent noise has
# another spectrum in its quiet moments than on average. On the embedded scenes the true transfer,
# mean noise power over mean noise power, is known, because the noise was rendered apart from the machine;
# {numref}`fig-transfer` shows both.

# %%
true = truth.true_transfers(params, recordings)
with_truth = (
    ", and the true transfer in black. Look at where the estimate lies above the truth, and "
    "whether the distance has the shape of the machine's own spectrum."
)
chapter.figure(
    charts_signals.spectra,
    {"true": true, "estimated": {m: f.transfer for m, f in floors.items()}},
    frequency,
    "$G_m(k)$ (dB)",
    label="fig-transfer",
    caption="Noise transfer $G_m(k)$ of every machine, its median over frequency dotted"
    + (with_truth if true else ". The truth is not known for recordings."),
)

# %%
table = truth.transfer_table(floors, true)
snr = truth.true_snr(params, recordings)
with_truth = (
    ", estimated and true, and the median over frequency of the absolute error in dB; beside them "
    "the level of the machine above the noise at both microphones, on average over the clips "
    "whose truth was written."
)
chapter.table(
    table.merge(snr, on="machine") if len(snr) else table[["machine", "median G"]],
    label="tab-transfer",
    caption=f"Median of $G_m$ over frequency{with_truth if true else '.'}",
    decimals=2,
)

# %% [markdown]
# {numref}`tab-transfer-reported` repeats what the paper gives for its recordings (the
# column of $G$ in its Table 4) {cite}`kim2026`. A value near 1 only says that both floors are equally high: gain, distance and
# machine sound in the floors all contribute to it. How good a reference the far microphone is depends on how
# much of the machine it hears and on how alike the noise is at both places.

# %%
values = provenance.reported()
chapter.table(
    provenance.reported_table("table_4")[:-1],
    columns=["machine", "median G"],
    label="tab-transfer-reported",
    caption="Median of $G_m$ as reported on DCASE 2026 development data; "
    "its evaluation machines lie between {} and {}.".format(*values["evaluation_G"]),
)

# %% [markdown]
# ## How much depends on the percentile
#
# Only the ratio of the floors counts, so the question is whether both channels move together. There are
# two regimes. A machine with pauses is absent at low percentiles and enters as the percentile rises. A
# steady machine under intermittent noise is present at every percentile, and its share is largest
# when the noise is weakest, that is at the lowest percentiles.

# %%
sensitivity = truth.percentile_sensitivity(params, recordings, (5, 10, 20, 30, 40, 50, 70))
chapter.figure(
    charts_signals.percentile_sensitivity,
    sensitivity,
    params.denoising.percentile,
    label="fig-percentile",
    caption="How far the noise transfer moves when the percentile of the floors moves (at most 40 training "
    "clips per machine, spread over both domains). A flat line means that the choice hardly matters.",
)

# %% [markdown]
# The functions of this chapter are documented in the reference: {py:func}`asdlib.noise.noise_floor` and {py:func}`asdlib.noise.noise_transfer`.
