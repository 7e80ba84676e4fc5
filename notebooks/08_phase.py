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
# # The far channel's phase

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
from asdlib import study
from asdlib.compare import choice, systems
from asdlib.measure import phase
from asdlib.report import charts, tables
from asdlib.report import style
from asdlib.report.style import show_figure
from asdlib.params import from_notebook, resolve
from asdlib.report.tables import say, show_table

params = from_notebook(globals())
recordings = study.open_recordings(params)
folder = resolve(params.figures)
style.style()
say(f"*The numbers of this chapter come from {recordings.describe()}.*")

# %% [markdown]
# The front-ends so far compare powers. A power says how loud the noise is, not which part of the near signal it
# is; what both microphones hear of one source differs by a filter, and a filter has a phase. This chapter goes
# beyond the technical report and asks what can be gained from it.
#
# ## Three more front-ends
#
# **ComplexLS** fits, in every clip and bin, the complex weights that predict the near spectrum best from $K$
# frames of the far one, and keeps what they leave:
#
# $$
# H(k) = \arg\min_H \sum_t \Bigl\lvert N - \sum_{j<K} H_j F(t-j) \Bigr\rvert^2, \qquad
# R = N - \sum_j H_j F(t-j), \qquad \lvert \hat S \rvert^2 = \min\bigl(\lvert R\rvert^2, P_n\bigr).
# $$ (eq-complexls)
#
# **LSAda** is AdaSub on $\lvert R\rvert^2$, with a transfer taken from the quiet floor of
# $\lvert R\rvert^2$; **AdaLS** multiplies AdaSub's gain on $P_n$ with $\min(1, \lvert R\rvert^2 / P_n)$.
#
# ## How much is there to gain
#
# Noise that is coherent between the microphones with a magnitude-squared coherence MSC can be reduced by at most
# $-10 \log_{10}(1 - \mathrm{MSC})$ dB by one weight per bin. {numref}`fig-bound` holds what is reached
# against that bound, taken over all training clips. The filter is found on the mixture, as it has to be.

# %%
no_truth = (
    "No ground truth lies beside these recordings: "
    "what was noise and what was machine cannot be told apart."
)
bound = phase.bounds(params, recordings)
show_figure(
    charts.phase_bounds(bound) if len(bound) else style.missing(no_truth),
    "fig-bound",
    "Noise removed by one complex weight per clip and bin against its bound, and the machine sound that goes with "
    "it, over frequency. Above the bound, a clip's noise is more coherent than that of all clips together, or "
    "the fit is lucky; where more machine sound is lost than noise removed, the filter has learnt the machine.",
    folder=folder,
)

# %% [markdown]
# ## More context, shorter clips
#
# A room answers for longer than one frame, so more frames of the far channel predict more. They also
# have more freedom to explain what they should not. A filter that sees less of a clip has more, too.

# %%
context = phase.contexts(params, recordings, (1, 2, 3, 4, 5))
show_figure(
    charts.noise_and_sound(context, "context", "frames of far context $K$")
    if len(context)
    else style.missing(no_truth),
    "fig-context",
    "Noise removed and machine sound lost against the far frames that the filter uses.",
    folder=folder,
)

# %%
longest = float(recordings.manifest["seconds"].min())
length = phase.lengths(params, recordings, [longest * share for share in (1 / 8, 1 / 4, 1 / 2, 1)])
show_figure(
    charts.noise_and_sound(length, "seconds", "length of what the filter sees (s)")
    if len(length)
    else style.missing(no_truth),
    "fig-length",
    "The same against the length of the clip, cut at its beginning.",
    folder=folder,
)

# %% [markdown]
# ## The price: a machine in the far channel
#
# The far microphone hears the machine as well, coherently. What the filter takes for noise is then machine, and
# steady tones suffer most: one weight per bin cancels a line altogether. {numref}`fig-leak` makes the
# machine louder or softer in the far channel, and nothing else.

# %%
leak = phase.leaks(params, recordings, (-40, -20, -10, -5, 0, 5, 10))
show_figure(
    charts.noise_and_sound(leak, "level", "machine at the far microphone, against the scene (dB)")
    if len(leak)
    else style.missing(no_truth),
    "fig-leak",
    "Noise removed and machine sound lost against the level of the machine at the far microphone.",
    folder=folder,
)

# %% [markdown]
# The next three figures render scenes of their own, normal clips that differ in one thing: how far the far
# microphone stands from the machine, how reverberant the room is, and how many noise sources, all steady and each at
# a place of its own, share the noise power. A microphone that stands closer predicts more of the noise and hears more of the
# machine; what reverberates and what comes from many places is no longer one weight per bin.

# %%
no_rooms = "The rooms of these recordings are what they are: only simulated ones can be changed."
distance = phase.rooms(params, recordings, "far_distance", (0.8, 1.5, 2.5, 4.0))
show_figure(
    charts.noise_and_sound(distance, "far_distance", "far microphone, from the machine (m)")
    if len(distance)
    else style.missing(no_rooms),
    "fig-distance",
    "Noise removed and machine sound lost against the distance of the far microphone from the machine. The near "
    "one stays where it is.",
    folder=folder,
)

# %%
reverberation = phase.rooms(params, recordings, "reverberation", (0.2, 0.3, 0.5, 0.8))
show_figure(
    charts.noise_and_sound(reverberation, "reverberation", "reverberation time $T_{60}$ (s)")
    if len(reverberation)
    else style.missing(no_rooms),
    "fig-room",
    "The same against the reverberation time of the room.",
    folder=folder,
)

# %%
crowd = phase.rooms(params, recordings, "noise_sources", (1, 2, 4, 8, 16))
show_figure(
    charts.noise_and_sound(crowd, "noise_sources", "steady noise sources", doubling=True)
    if len(crowd)
    else style.missing(no_rooms),
    "fig-sources",
    "The same against the number of noise sources, which share one power. Few clips of each machine are rendered, so "
    "small steps are chance.",
    folder=folder,
)

# %% [markdown]
# ## A filter per clip or per machine
#
# A filter from all training clips cannot learn the single clip's machine sound. But it can only hold what stays: where
# the noise comes from elsewhere in the next clip, its phase is another one, and the common filter averages.

# %%
fixed = phase.fixed(params, recordings)
show_table(
    fixed.set_axis(
        ["machine", "noise, per clip", "machine, per clip", "noise, trained", "machine, trained"],
        axis=1,
    ),
    "tab-fixed",
    "Noise removed and machine sound lost, in dB over all bins, by a filter for every clip and by one from all "
    "training-normal clips of the machine.",
    folder=folder,
    decimals=2,
    empty=no_truth,
)

# %% [markdown]
# ## Does it help the detector?
#
# The verdict is the detector's, by the protocol of chapter 03, and under three scores: mean squared error,
# eq. 1 and all re-scorings, for the best score may differ by front-end. `params/phase.yaml` runs all of
# it, with the context $K$ that `make verdict` chose on three sets of scenes. A constant that was chosen by labels is
# judged fairly only where it was not chosen: `make verdict` takes real noise and measured rooms for that.

# %%
table = study.run(params, recordings=recordings)
table = table[table["scorer"].isin(["mse", "eq1", "s1"]) & (table["front_end"] != study.BASELINE)]
per_seed = systems.summary(table)
new = [name for name in ("complexls", "lsada", "adals") if name in params.front_ends]
not_run = "Not run here: params/phase.yaml names these front-ends."
judged = choice.judge(table, per_seed) if new and "adasub" in params.front_ends else per_seed[:0]
show_table(
    tables.phase_verdict(judged, style.NAMES, style.SCORER_NAMES),
    "tab-phase",
    f"Every front-end under every score, {len(params.seeds)} seeds: $\\Omega$ (mean ± standard deviation), the "
    "ensemble and its parts, and the paired difference to AdaSub under the same score with its 95 % interval over "
    "clips and seeds.",
    folder=folder,
    decimals=3,
    empty=not_run,
)

# %%
machines = choice.per_machine(table, "eq1") if new else per_seed[:0]
show_figure(
    charts.per_machine(machines.rename(columns=style.NAMES))
    if len(machines) and machines.notna().any(axis=None)
    else style.missing(not_run),
    "fig-phase-machines",
    "$\\Omega$ of the ensembles under eq. 1 on every development machine. Wins and losses side by side.",
    folder=folder,
)

# %% [markdown]
# ## Which one to submit
#
# Labels of the machine that is scored cannot choose its front-end. Training-normal clips may: how much the complex
# filters explain, how large $G_m$ is, how steady the near channel. A rule sets a limit on one of these; it is
# learnt on all other machines' labels and applied to the one left out. It has to beat the best fixed choice.

# %%
choices = choice.rules(table, choice.features(params, recordings)) if len(judged) else per_seed[:0]
show_table(
    choices.set_axis(["choice", "Ω", "taken"], axis=1) if len(choices) else choices,
    "tab-rule-phase",
    "$\\Omega$ of the ensembles under eq. 1 by how each machine's front-end is chosen. The oracle and the best fixed "
    "choice read the labels of the machines that they are judged on.",
    folder=folder,
    decimals=4,
    empty=not_run,
)
if len(choices):
    by = choices.set_index(choices["choice"].str.split(",").str[0])["omega"]
    gain = by["rule"] - by["best fixed choice"]
    say(
        f"The rule is {gain:+.4f} against the best fixed choice: "
        + ("it pays here." if gain > 0 else "no rule of this kind beats a fixed choice here.")
    )
