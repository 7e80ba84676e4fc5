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
import pandas as pd

from asdlib import study
from asdlib.compare import systems
from asdlib.measure import analysis, retention
from asdlib.report import charts, reported
from asdlib.report import figures as draw
from asdlib.report import panels, style
from asdlib.report.style import show_figure
from asdlib.params import from_notebook, resolve
from asdlib.report.tables import escape, plus_minus, say, show_table

params = from_notebook(globals())
recordings = study.open_recordings(params)
folder = resolve(params.figures)
style.style()
panels.start()
say(f"*The numbers of this chapter come from {recordings.describe()}.*")

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
# {cite}`yousefian2012`, and the gate multiplies the power,
#
# $$
# H(k,t) = \mathrm{clip}\bigl(1 - \lvert \Gamma(k,t) \rvert^2,\; \beta,\; 1\bigr).
# $$ (eq-cohgate)
#
# **Combo** is not a spectrum but a score: the mean of a clip's standardised AdaSub and CohGate scores.

# %%
c = params.denoising
say(
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
shown = analysis.example(params, recordings, fan_like)
show_figure(
    draw.spectrograms(
        shown.powers(),
        sample_rate=params.spectra.sample_rate,
        hop_length=params.spectra.hop_length,
        title=f"{fan_like}: {shown.clip['name']}",
    ),
    "fig-spectrograms",
    "One clip before and after every front-end, one colour scale. AE ch1 is the near microphone "
    "as it is, so it is not shown twice.",
    folder=folder,
)

# %%
tracks = shown.tracks(params, analysis.truth_of(params, recordings, shown.clip))
panels.show_panel(
    {style.sound_name(name): track for name, track in tracks.items()},
    spectra=params.spectra,
    label="one-clip",
    title=f"{fan_like}: {shown.clip['name']}",
)

# %% [markdown]
# Press play and change the button: the sound goes on at the same place, and a click in the picture
# moves the playhead. All sounds are level-matched, so that the ear compares the sound and not the loudness. Denoised
# sound keeps the near microphone's phase. On the embedded scenes the last button holds the machine
# alone, as it was before the room's noise was added: the sound that a perfect front-end would leave.
#
# ## Attenuation against the local signal-to-noise ratio
#
# What a subtraction does to one time-frequency cell depends on how far the near power stands out of the
# transferred noise, $P_n / (G_m P_f)$; the coherence gate has never heard of that ratio.
# {numref}`fig-attenuation` shows what both do on test clips.

# %%
curve = analysis.attenuation(params, recordings)
show_figure(
    draw.attenuation(curve)
    if len(curve)
    else style.missing("No test clip: the attenuation cannot be measured."),
    "fig-attenuation",
    "Mean attenuation against the local SNR, with the range that holds 80 % of the cells. Look at "
    "where each subtraction leaves the floor $\\beta$ and where it lets cells pass unchanged, and at "
    "how wide the gate's range is at one and the same local SNR.",
    folder=folder,
)

# %% [markdown]
# ## Noise removed, machine sound lost
#
# On recordings nobody knows what was noise. On the embedded scenes it is known, so that a front-end's
# gain, found on the mixture, can be applied to the true noise and to the true machine sound apart. A
# good front-end lies far above the diagonal of {numref}`fig-removal`; {numref}`tab-snr-gain` gives its
# distance from that line. Below the line a front-end takes more machine than noise.

# %%
removed = analysis.removal(params, recordings)
no_truth = (
    "No ground truth lies beside these recordings: "
    "what was noise and what was machine cannot be told apart."
)
show_figure(
    draw.removal(removed) if len(removed) else style.missing(no_truth),
    "fig-removal",
    "Noise removed against machine sound lost, one panel per machine and one point per front-end. "
    "On the dotted line a front-end turns the volume down and nothing else.",
    folder=folder,
)

# %%
gain = removed.assign(gain=removed["noise"] - removed["machine_sound"])
wide = gain.pivot(index="machine", columns="front_end", values="gain")
names = [name for name in style.NAMES if name in wide]
show_table(
    wide[names].rename(columns=style.NAMES).reset_index(),
    "tab-snr-gain",
    "Gain in signal-to-noise ratio: noise removed minus machine sound lost, in dB.",
    folder=folder,
    decimals=2,
    empty=no_truth,
)
if len(removed):
    wide = wide[names]
    say(
        f"{style.NAMES[wide.mean().idxmax()]} gains most on average ({wide.mean().max():.1f} dB). Best off is "
        f"{wide.max(axis=1).idxmax()} (up to {wide.max(axis=1).max():.1f} dB), worst off "
        f"{wide.max(axis=1).idxmin()} ({wide.max(axis=1).min():.1f} dB with the kindest front-end)."
    )

# %% [markdown]
# ## Which front-end takes the anomaly?
#
# What a detector needs is not the whole machine but its anomaly, and that may lie where a front-end takes
# most. On the embedded scenes the anomaly's own sound is known too: the machine with its fault minus the
# same machine without it, turn for turn. The gain found on the recording is applied to that difference,
# over all clips that hold a fault and have their truth beside them. In {numref}`fig-retention` the colour
# and the large number tell how much of the anomaly is removed, the small number below how much of the
# noise; a frame marks more anomaly than noise, and the grey bars tell where the anomaly lies.

# %%
audit = retention.audit(params, recordings)
show_figure(
    charts.retention(audit) if len(audit) else style.missing(no_truth),
    "fig-retention",
    "Anomaly removed (colour and large numbers, dB) and noise removed (small numbers, dB) by band and "
    "front-end. Look for frames, where more anomaly than noise is removed, below tall bars, where the "
    "anomaly lies.",
    folder=folder,
)

# %%
whole = retention.overall(audit)
heads = ["machine", "front-end", "noise removed (dB)", "anomaly removed (dB)", "difference (dB)"]
show_table(
    whole.assign(front_end=whole["front_end"].map(style.NAMES)).set_axis(heads, axis=1),
    "tab-retention",
    "Noise and anomaly removed over all frequencies, and the difference: what the anomaly gains on the "
    "noise. Where it is below 0, the front-end takes more anomaly than noise.",
    folder=folder,
    decimals=2,
    empty=no_truth,
)

# %% [markdown]
# The first column weighs the bands by their energy, the noise by that of the noise and the anomaly by that
# of the anomaly; these need not lie in the same band. A band in which the fault changes nothing is grey.

# %%
if len(whole):
    mean = whole.groupby("front_end")["difference"].mean()
    most, least = mean.idxmax(), mean.idxmin()
    say(
        f"On average over machines the anomaly gains most on the noise behind {style.NAMES[most]} "
        f"({mean[most]:+.1f} dB) and least behind {style.NAMES[least]} ({mean[least]:+.1f} dB). In "
        f"{(whole['difference'] < 0).sum()} of {len(whole)} pairs of machine and front-end it loses."
    )
for what, row in zip(("Worst kept", "Best kept"), retention.extremes(audit), strict=False):
    say(
        f"{what} against the noise, of the bands where the anomaly is: {row['band']} kHz of {escape(row['machine'])} behind "
        f"{style.NAMES[row['front_end']]}. {100 * row['share']:.0f} % of the anomaly lies there; "
        f"{row['anomaly']:.1f} dB of it are removed, and {row['noise']:.1f} dB of the noise."
    )

# %% [markdown]
# To listen to, where the truth is known: the clips and front-ends with the clearest losses, from different
# machines where there are several, and last a success, if there is one. Two buttons hold the anomaly alone
# and what the same gain leaves of it. All sounds of a panel are played with one gain, and their colours share one
# scale, so the ear hears how much is gone.

# %%
for i, case in enumerate(retention.examples(params, recordings)):
    called, machine = style.NAMES[case.front_end], case.clip["machine"]
    say(
        f"{escape(machine)} behind {called}, clip {escape(case.clip['name'])}: {case.anomaly:.1f} dB of the "
        f"anomaly removed, {case.noise:.1f} dB of the noise."
    )
    tracks = case.tracks(called, params.spectra)
    panels.show_panel(
        tracks,
        spectra=params.spectra,
        label=f"retention-{i}",
        matched=False,
        title=f"{machine} behind {called}",
    )

# %% [markdown]
# ## Does it help the detector?
#
# The same front-ends, scored as in the following chapters: mean and standard deviation of $\Omega$ over
# seeds, for all machines and for one alone. The report gives the fan a column of its own, because of its
# development machines that one is closest to the evaluation machines {cite}`kim2026`; here it is the
# machine with a fan in its name, or the first one.

# %%
table = study.run(params, recordings=recordings)
per_seed = systems.summary(table)
fan = systems.per_machine(table, fan_like)
rows = []
for entry in reported.table_2(reported.load(), params.front_ends):
    all_dev = systems.row(per_seed, entry["front_end"])
    one = systems.row(fan, entry["front_end"])
    rows.append(
        {
            "front-end": style.NAMES[entry["front_end"]],
            "all machines": plus_minus(all_dev["mean"], all_dev["std"]),
            fan_like: plus_minus(one["mean"], one["std"]),
            "reported, all": plus_minus(entry["mean"], entry["std"]),
            "reported, fan": plus_minus(entry["fan_mean"], entry["fan_std"]),
        }
    )
show_table(
    pd.DataFrame(rows),
    "tab-front-ends",
    "Front-ends (Table 2 of the report): mean ± standard deviation of $\\Omega$ over seeds, measured here "
    f"({len(params.seeds)} seeds) and reported on DCASE 2026 development data (ten seeds).",
    folder=folder,
)

# %% [markdown]
# ## The axis of aggressiveness
#
# How much a front-end takes away in all, machine and noise together, orders the front-ends along one axis.
# The question is where on it $\Omega$ is best. CohSub subtracts only what is coherent; Wiener and LSA are
# filters with the decision-directed a-priori SNR {cite}`ephraim1984,ephraim1985`. `params/demo.yaml` leaves
# these three out, `params/full_demo.yaml` runs them.

# %%
strength = analysis.strength(params, recordings)
means = {
    "all machines": [systems.row(per_seed, name)["mean"] for name in strength["front_end"]],
    fan_like: [systems.row(fan, name)["mean"] for name in strength["front_end"]],
}
axis = strength.assign(**means)
show_figure(
    charts.aggressiveness(axis)
    if len(axis) and axis["all machines"].notna().any()
    else style.missing("No test clip, or no Ω from these labels."),
    "fig-aggressiveness",
    "$\\Omega$ (mean over seeds) against the mean attenuation of test clips, over all machines and for "
    "one. Look for the side on which $\\Omega$ falls off: too little is taken there, or too much.",
    folder=folder,
)

# %% [markdown]
# ## Subtract or gate? Machine by machine
#
# Would it pay to choose the front-end for each machine? {numref}`tab-choice` shows both ensembles next
# to the transfer, and what an oracle that knows the labels would choose. The oracle is a bound, not a
# system: it uses test labels.

# %%
choice = systems.choice(table, study.floors(params, recordings))
show_table(
    choice,
    "tab-choice",
    "Table 4 of the report, measured here: median $G_m$, and $\\Omega$ of the AdaSub and CohGate "
    "ensembles and of the label oracle, per machine and over all of them.",
    folder=folder,
    decimals=3,
    empty="There is no labelled test clip to choose by.",
)

# %%
show_table(
    reported.table_4(reported.load()),
    "tab-choice-reported",
    "The same as reported on DCASE 2026 development data.",
    folder=folder,
    decimals=3,
)
