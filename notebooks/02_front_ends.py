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
# # Front-ends: what is removed, noise or machine?

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
from asdlib import study
from asdlib.compare import findings, statistics as stats
from asdlib.measure import removal, truth
from asdlib.report import charts_signals, panels, provenance, style, tables
from asdlib.report import text
from asdlib.report.tables import escape
from asdlib.report.chapter import Chapter

chapter = Chapter.open(globals(), players=True)
params, recordings = chapter.params, chapter.recordings

# %% [markdown]
# Every front-end takes the two complex spectra of one clip and returns one power spectrum for the near
# microphone. None of them can raise power, and none of them looks at another clip.

# %% [markdown]
# ## Four ways to use the far microphone
#
# **RefSub** subtracts the transferred far power and keeps a floor {cite}`boll1979,berouti1979`:
#
# $$
# \lvert \hat S(k,t) \rvert^2 = \max\bigl(P_n - \alpha_s\, G_m(k)\, P_f,\; \beta P_n\bigr).
# $$ (eq-refsub)
#
# **AdaSub** subtracts more where the local signal-to-noise ratio is low. With
# $\gamma_{\mathrm{dB}} = 10 \log_{10}\bigl(P_n / (G_m P_f)\bigr)$ the factor becomes
#
# $$
# \alpha(k,t) = \mathrm{clip}\bigl(a_0 - 0.1\,\gamma_{\mathrm{dB}}(k,t),\; a_{\min},\; a_{\max}\bigr).
# $$
#
# **CohGate** does not use $G_m$ at all: whatever is coherent between the microphones counts as noise
# {cite}`yousefian2012`. With their coherence $\Gamma(k,t)$, smoothed over time, the gate multiplies the power by
#
# $$
# H(k,t) = \mathrm{clip}\bigl(1 - \lvert \Gamma(k,t) \rvert^2,\; \beta,\; 1\bigr).
# $$ (eq-cohgate)
#
# **Combo** is no front-end of its own: it is the mean of a clip's standardised scores after AdaSub and after CohGate.

# %%
c = params.denoising
chapter.say(
    f"Constants here: $\\alpha_s = {c.a_s:g}$, $\\beta = {c.beta:g}$, $a_0 = {c.a_0:g}$, "
    f"$a_{{\\min}} = {c.a_min:g}$, $a_{{\\max}} = {c.a_max:g}$; coherence smoothed over time "
    f"with {c.smoothing:g}."
)

# %% [markdown]
# ## One clip, seen and heard
#
# The same clip before and after each front-end, on one colour scale. Watch two things: whether the
# patches that appear in both microphones fade, and whether the machine's own lines survive.

# %%
fan_like = next((m for m in recordings.machines if "fan" in m.lower()), recordings.machines[0])
shown = truth.example(params, recordings, fan_like)
chapter.figure(
    charts_signals.spectrograms,
    shown.powers(),
    sample_rate=params.spectra.sample_rate,
    hop_length=params.spectra.hop_length,
    title=f"{fan_like}: {shown.clip['name']}",
    label="fig-spectrograms",
    caption="One clip before and after every front-end, one colour scale. AE ch1 is the near microphone "
    "as it is, so it is not shown twice.",
)

# %%
tracks = shown.tracks(params, truth.truth_of(params, recordings, shown.clip))
panels.show_panel(
    {style.sound_name(name): track for name, track in tracks.items()},
    spectra=params.spectra,
    label="one-clip",
    title=f"{fan_like}: {shown.clip['name']}",
)

# %% [markdown]
# Press play and press another button: the sound continues at the same place, and a click in the picture
# moves the playhead. All sounds are level-matched, so that the ear compares the sound and not the loudness. Denoised
# sound keeps the near microphone's phase. On the embedded scenes the last button holds the machine
# alone, as it was before the room's noise was added: the sound that a perfect front-end would leave.

# %% [markdown]
# ## Noise removed, machine sound lost
#
# In recordings it is not known which part was noise. In the embedded scenes it is known, so that a front-end's
# gain, found on the mixture, can be applied to the true noise and to the true machine sound separately. A
# good front-end lies far above the diagonal of {numref}`fig-removal`; {numref}`tab-removal` has
# the values. Below the line a front-end removes more machine sound than noise.

# %%
removed = removal.removal(params, recordings)
no_truth = (
    "No ground truth lies beside these recordings: "
    "what was noise and what was machine cannot be told apart."
)
chapter.figure(
    charts_signals.removal,
    removed,
    label="fig-removal",
    caption="Noise removed against machine sound lost, one panel per machine and one point per front-end, over "
    "all clips whose truth was written. "
    "On the dotted line a front-end turns the volume down and nothing else.",
    missing=no_truth,
)

# %%
chapter.table(
    removed,
    columns=["machine", "front-end", "noise removed (dB)", "machine sound lost (dB)"],
    label="tab-removal",
    caption="Noise removed and machine sound lost, over all clips whose truth was written.",
    decimals=1,
    empty=no_truth,
)

# %% [markdown]
# ## Which front-end removes the anomaly?
#
# A detector does not need the whole machine but its anomaly, and that may lie where a front-end removes
# most. In the embedded scenes the anomaly's own sound is known too: the machine with its fault minus the
# same machine without it, sample by sample. The gain found on the recording is applied to that difference,
# over all clips that hold a fault and have their truth beside them. The noise is that of {numref}`fig-removal`,
# of all clips that have their truth beside them. In {numref}`fig-retention` the colour
# and the large number show how much of the anomaly is removed, the small number below how much of the
# noise; a frame marks more anomaly than noise, and the grey bars show where the anomaly lies.

# %%
audit = removal.audit(params, recordings)
chapter.figure(
    charts_signals.retention,
    audit,
    label="fig-retention",
    caption="Anomaly removed (colour and large numbers, dB) and noise removed (small numbers, dB) by band and "
    "front-end. Look for frames, where more anomaly than noise is removed, below tall bars, where the "
    "anomaly lies.",
    missing=no_truth,
)

# %%
whole = removal.overall(audit)
chapter.table(
    whole,
    columns=[
        *("machine", "front-end", "noise removed (dB)", "anomaly removed (dB)", "difference (dB)"),
    ],
    label="tab-retention",
    caption="Noise and anomaly removed over all frequencies, and the difference: how much the level of the "
    "anomaly rises relative to the noise. Where it is below 0, more anomaly than noise is removed. The noise is that "
    "of all clips whose truth was written, the anomaly that of the clips with a fault.",
    decimals=2,
    empty=no_truth,
)

# %% [markdown]
# The first column of the figure weighs the bands by their energy, the noise by that of the noise and the anomaly by that
# of the anomaly; these need not lie in the same band. A band in which the fault changes nothing is grey.

# %% [markdown]
# Where the truth is known, these are the clips and front-ends with the clearest losses, from different
# machines where there are several; the last one is a success, if there is one. Two buttons hold the anomaly alone
# and what the same gain leaves of it. All sounds of a panel are played with one gain, and their colours share one
# scale, so you hear how much is removed.

# %%
for i, case in enumerate(removal.examples(params, recordings)):
    called, machine = style.NAMES[case.front_end], case.clip["machine"]
    chapter.say(
        f"{escape(machine)} after {called}, clip {escape(case.clip['name'])}: {case.anomaly:.1f} dB of the "
        f"anomaly removed, {case.noise:.1f} dB of the noise."
    )
    panels.show_panel(
        case.tracks,
        spectra=params.spectra,
        label=f"retention-{i}",
        matched=False,
        title=f"{machine} after {called}",
    )

# %% [markdown]
# ## Does it help the detector?
#
# The same front-ends, scored as in the following chapters: mean and standard deviation of $\Omega$ over
# seeds, for all machines and for one alone. The score is that of eq. 1 {eq}`eq-score`; without autoencoders, it is
# the distance of clip statistics that chapter 05 explains, which has no seed. The paper gives the fan a column of its own, because that
# development machine is closest to the evaluation machines {cite}`kim2026`; here it is the
# machine with a fan in its name, or the first one.

# %%
study_results = stats.results(params, recordings)
scorer = findings.common_scorer(params.scorers)
by = f"scored by {style.SCORER_NAMES[scorer]}"
fan = stats.Results(study_results.table[study_results.table["machine"] == fan_like])
reported = provenance.reported()["table_2"]
names = list(dict.fromkeys([*(row["front_end"] for row in reported), *params.front_ends]))
measured = {
    head: own.summary((name, scorer) for name in names)
    for head, own in (("all machines", study_results), (fan_like, fan))
}
near = ("near", scorer)
compared = study_results.paired(((name, scorer), near) for name in names if name != "near")

# %%
chapter.table(
    tables.front_ends(names, measured, compared, reported),
    label="tab-front-ends",
    caption="Front-ends, as Table 2 of the paper: mean ± standard deviation of $\\Omega$ over seeds, measured here, "
    f"{by} ({text.seeds(params, scorer)}), and reported on DCASE 2026 development data (ten seeds). The verdict compares "
    "with AE ch1 over all machines.",
)

# %% [markdown]
# ## Subtract or gate? Machine by machine
#
# Is it better to choose the front-end for each machine? {numref}`tab-choice` shows both ensembles next
# to the transfer, and an oracle that chooses by the test labels. The oracle is a bound, not a system.

# %%
by_machine = findings.adasub_or_cohgate(
    study_results.table, study.floors(params, recordings), scorer
)
chapter.table(
    by_machine,
    label="tab-choice",
    caption="Median $G_m$, and $\\Omega$ of the AdaSub and CohGate ensembles and of the label oracle, per machine and over "
    f"all of them, as Table 4 of the paper: measured here, {by}.",
    empty="There is no labelled test clip to choose by.",
)

# %%
chapter.table(
    provenance.reported_table("table_4"),
    columns=["machine", "median G", "AdaSub", "CohGate", "oracle"],
    label="tab-choice-reported",
    caption="The same as reported on DCASE 2026 development data.",
)

# %% [markdown]
# The functions of this chapter are documented in the reference: the classes of {py:mod}`asdlib.frontends`, and {py:mod}`asdlib.measure.removal`.
