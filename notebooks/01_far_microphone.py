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
# # What the far microphone gives

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
import pandas as pd

from asdlib import study
from asdlib.compare import findings, statistics as stats
from asdlib.measure import removal, truth
from asdlib.report import answers, charts_signals, panels, provenance, style, tables
from asdlib.report import text
from asdlib.report.chapter import Chapter
from asdlib.simulate.machines import MACHINES
from asdlib.spectra import frequencies

chapter = Chapter.open(globals(), players=True)
params, recordings = chapter.params, chapter.recordings

# %%
study_results = stats.results(params, recordings)
claims = findings.compared(study_results, params.scorers)
energies = removal.clip_energies(params, recordings)
removed = removal.removal(energies)
chapter.result(answers.removed(removed, "adasub"))
chapter.result(answers.claim(claims, "far"))

# %% [markdown]
# The far microphone hears the surroundings and less of the machine. A front-end takes the complex spectra $N(k,t)$ and $F(k,t)$
# of the near and the far microphone, with frequency bin $k$ and frame $t$, and returns one power spectrum for the near one. None of them can
# raise power, and none looks at another clip.
#
# ```{figure} /_static/pipeline.svg
# :name: pipeline
# :alt: Two microphones enter a front-end that subtracts the transferred far power from the near power; log-mel frames are stacked, an autoencoder reconstructs them, and the residuals become a score, averaged over seeds. Dashed boxes below show what each step learns from training-normal clips only.
#
# The steps of one clip (upper row, from left to right). Everything that a step has to know beforehand
# (dashed, blue) comes from training-normal clips; no test clip depends on another.
# ```
#
# ## The recordings
#
# {numref}`tab-recordings` in the appendix counts them. *Source* is the domain of the usual conditions, *target* that of changed ones.

# %%
if recordings.embedded:
    chapter.say("""```{figure} /_static/room.svg
:name: room
:alt: Plan of a room. The machine and the near microphone are at one end, the far one is some metres away, and noises are at the other end.

How the embedded scenes are set up by default, not to scale. All places are drawn for each machine.
```""")

# %%
specs = {name: MACHINES[name] for name in recordings.machines if name in MACHINES}
rows = [(m, ", ".join(s.faults), len(s.source), len(s.target), s.snr) for m, s in specs.items()]
heads = ["machine", "faults", "usual", "changed", "nominal level over the noise (dB)"]
chapter.table(
    pd.DataFrame(rows if recordings.embedded else [], columns=heads),
    label="tab-scenes",
    caption="The simulated machines: faults, and numbers of usual and changed conditions. The level of the running machine over the "
    "noise is as it is set, before the room. {numref}`tab-transfer` has what arrives. The strength of a fault is drawn for each clip.",
    decimals=0,
    empty="",
)

# %%
if recordings.embedded:
    changes = [f"`{k}: {v}`" for own in truth.HARDER.values() for k, v in own.items()]
    chapter.say(
        "Real recordings are harder in three ways. The changed conditions scatter more than the usual ones. There are several of them. "
        "Training clips repeat few takes of the machine. Scenes can be made so, by `scenes` in a parameter file: "
        f"{', '.join(changes)}. `make verdict` judges on such sets too."
    )

# %%
none = pd.DataFrame({"scenes": [], "level": []})
harder = truth.harder(params, next(iter(specs))) if recordings.embedded else none
spread = harder.groupby("scenes")["level"].std()
chapter.figure(
    charts_signals.harder,
    harder,
    label="fig-harder",
    result=answers.extremes("The standard deviation of the level", spread, "{:.0f} dB".format),
    caption="Training clips of one machine: level and spectral centroid of its own sound, on scenes as given and on harder ones. "
    "Clips of one take nearly coincide.",
    missing="",
)

# %% [markdown]
# ## Noise floor and noise transfer
#
# The noise is there when the machine is quiet. For channel $x$ with power $P_x$, the floor is a low percentile over time, averaged over
# the training-normal clips $c$ {cite}`martin2001`. The ratio of both floors is the noise transfer $G_m(k)$ of machine $m$:
#
# $$
# \begin{aligned}
# \mathrm{floor}_x(k) &= \frac{1}{C} \sum_{c=1}^{C} P_{20}\{\, P_x(k,t) : t \,\}, \quad x \in \{n, f\}, \\
# G_m(k) &= \mathrm{floor}_n(k) \,/\, \mathrm{floor}_f(k).
# \end{aligned}
# $$ (eq-transfer)
#
# It says how loud the far noise is at the near microphone, if the quiet parts hold only noise. A machine that never falls quiet makes it too
# large, and intermittent noise has another spectrum when it is weak.

# %%
floors = study.floors(params, recordings)
true = truth.true_transfers(params, recordings)
transfers, snr = truth.transfer_table(floors, true), truth.true_snr(params, recordings)
errors = transfers.set_index("machine")["median error (dB)"]
kinds = {"true": true, "estimated": {m: f.transfer for m, f in floors.items()}}
chapter.figure(
    charts_signals.transfers,
    charts_signals.by_frequency(kinds, frequencies(params.spectra)),
    most={"machine": 4},
    label="fig-transfer",
    result=answers.extremes("The median error of the noise transfer", errors, "{:.1f} dB".format),
    caption="Noise transfer $G_m(k)$ of every machine, its median over frequency dotted"
    + ("; the truth in black." if true else ". The truth is not known for recordings."),
)

# %%
ratios = {c: transfers[c].map("{:.2f}".format) for c in ("median G", "true median G")}
shown = transfers.drop(columns=["follows", "reference"]).assign(**ratios)
chapter.table(
    shown.merge(snr, on="machine") if len(snr) else shown[["machine", "median G"]],
    label="tab-transfer",
    caption="Median of $G_m$ over frequency. Where the truth is known, there are its error and the energy of the machine over that of "
    "the noise, as they arrive at each microphone. Whole clips count, with their pauses. The paper's machines have a median $G_m$ from "
    "{} to {} (evaluation machines; *reported*).".format(*provenance.reported()["evaluation_G"]),
    decimals=1,
)

# %% [markdown]
# ## Front-ends
#
# **RefSub** subtracts the transferred far power and keeps a floor {cite}`boll1979,berouti1979`:
#
# $$
# {\lvert \hat S(k,t) \rvert}^2 = \max\bigl(P_n - \alpha_s\, G_m(k)\, P_f,\; \beta P_n\bigr).
# $$ (eq-refsub)
#
# **AdaSub** takes the level of machine and noise together over the expected noise, in one bin and frame:
# $\gamma_{\mathrm{dB}} = 10 \log_{10}\bigl(P_n / (G_m P_f)\bigr)$. Where it is low, more is subtracted: $\alpha(k,t) = \mathrm{clip}\bigl(a_0 - 0.1\,\gamma_{\mathrm{dB}},\; a_{\min},\; a_{\max}\bigr)$.
#
# **CohGate** counts as noise whatever is coherent between the microphones {cite}`yousefian2012`. With the coherence $\Gamma(k,t)$,
# smoothed over time, it multiplies the power by
#
# $$
# H(k,t) = \mathrm{clip}\bigl(1 - {\lvert \Gamma(k,t) \rvert}^2,\; \beta,\; 1\bigr).
# $$ (eq-cohgate)
#
# **Combo** is the mean of a clip's standardised scores after AdaSub and after CohGate.

# %%
c = params.denoising
chapter.say(
    f"Constants here: $\\alpha_s = {c.a_s:g}$, $\\beta = {c.beta:g}$, $a_0 = {c.a_0:g}$, "
    f"$a_{{\\min}} = {c.a_min:g}$, $a_{{\\max}} = {c.a_max:g}$; coherence smoothed over time "
    f"with {c.smoothing:g}."
)

# %%
fan_like = next((m for m in recordings.machines if "fan" in m.lower()), recordings.machines[0])
shown = truth.example(params, recordings, fan_like)
near, far, *behind = shown.powers().items()
left = pd.Series(
    {style.NAMES[name]: own.sum() / near[1].sum() for name, own in behind}, dtype=float
)

# %%
chapter.figure(
    charts_signals.spectrograms,
    dict([near, far, *behind[-2:]]),
    sample_rate=params.spectra.sample_rate,
    hop_length=params.spectra.hop_length,
    title=f"{fan_like}: {shown.clip['name']}",
    label="fig-spectrograms",
    result=answers.extremes("The part of the near power that is left", left, tables.percent),
    caption="One clip before and after front-ends, one colour scale; below, all can be seen and heard. Look whether the patches that appear in both microphones "
    "fade, and whether the machine's own lines survive.",
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
# Another button continues the sound at the same place, and a click in the picture moves the playhead. All sounds are level-matched. On
# the embedded scenes the last button holds the machine alone.
#
# ## Noise removed, machine sound lost
#
# In the embedded scenes the parts of a recording are known. A front-end's gain, found on the mixture, is applied to the true noise and to
# the true machine sound. Below the diagonal more machine sound is removed than noise.

# %%
no_truth = "No ground truth lies beside these recordings: what was noise and what was machine cannot be told apart."
chapter.figure(
    charts_signals.removal,
    removed,
    most={"machine": 4},
    label="fig-removal",
    result=answers.removed(removed, "cohgate"),
    caption="Noise removed against machine sound lost, over all clips whose truth was written. On the dotted line a front-end turns the "
    "volume down and nothing else.",
    missing=no_truth,
)

# %%
chapter.table(
    removed,
    columns=["machine", "front-end", "noise removed (dB)", "machine sound lost (dB)"],
    label="tab-removal",
    caption="The same in numbers.",
    decimals=1,
    empty="",
)

# %% [markdown]
# ## Which front-end removes the anomaly?
#
# A detector needs the anomaly, which may lie where a front-end removes most. Its own sound is the machine with its fault minus the same
# machine without it, sample by sample. In the figure, colour and upper number show how much of the anomaly is removed, the number in brackets how
# much of the noise; a frame marks more anomaly than noise. Below every band stands the share of the anomaly's energy that lies in it.

# %%
audit = removal.audit(energies, params)
whole = removal.overall(audit)
rows = [(f"{own.machine} after {style.NAMES[own.front_end]}", own) for own in whole.itertuples()]
gains = pd.Series({name: own.difference for name, own in rows}, dtype=float)
chapter.figure(
    charts_signals.retention,
    audit,
    most={"machine": 4},
    label="fig-retention",
    result=answers.extremes("What the anomaly gains on the noise", gains, "{:.1f} dB".format),
    caption="Anomaly removed (colour and upper numbers, dB) and noise removed (in brackets, dB) by band and front-end.",
    missing=no_truth,
)

# %%
chapter.table(
    whole,
    columns=[
        "machine",
        "front-end",
        "noise removed (dB)",
        "anomaly removed (dB)",
        "difference (dB)",
    ],
    label="tab-retention",
    caption="Noise and anomaly removed over all frequencies. Where the difference is below 0, more anomaly than noise is removed.",
    decimals=1,
    empty="",
)

# %%
for i, case in enumerate(removal.examples(energies)):
    called, machine = style.NAMES[case.front_end], case.clip["machine"]
    noise, _, anomaly = case.removed
    panels.show_panel(
        removal.tracks(case, params, recordings),
        spectra=params.spectra,
        label=f"retention-{i}",
        matched=False,
        title=f"{machine} after {called}: {anomaly:.1f} dB of the anomaly removed, {noise:.1f} dB of the noise",
    )

# %% [markdown]
# ## Does it help the detector?
#
# The same front-ends under one score: eq. 1 of the paper ({doc}`02_seed_study`), or, without autoencoders, the distance of
# {doc}`03_without_training`. The paper gives the fan a column of its own, because it is closest to the evaluation machines.

# %%
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
    caption="Front-ends, as Table 2 of the paper: $\\Omega$, mean ± standard deviation over seeds, measured here, "
    f"{by} ({text.seeds(params, scorer)}), and *reported* on DCASE 2026 development data (ten seeds). The verdict compares "
    "with the near microphone alone, over all machines.",
)
chapter.table(
    claims.loc[claims.index == "far"],
    columns=["system", "against", "Ω", "Ω before", "difference (95 % interval)", "verdict"],
    label="tab-far",
    caption="The gain by the far microphone: means over seeds, with the interval over clips and seeds.",
    empty="",
)

# %%
by_machine = findings.adasub_or_cohgate(
    study_results.table, study.floors(params, recordings), scorer
)
chapter.table(
    by_machine,
    label="tab-choice",
    caption="Subtract or gate: median $G_m$, and $\\Omega$ of the AdaSub and CohGate ensembles, and of an oracle that chooses by the test "
    f"labels (a bound, no system), as Table 4 of the paper: measured here, {by}.",
    empty="There is no labelled test clip to choose by.",
)

# %%
chapter.table(
    provenance.reported_table("table_4"),
    columns=["machine", "median G", "AdaSub", "CohGate", "oracle"],
    label="tab-choice-reported",
    caption="The same as *reported* on DCASE 2026 development data.",
)

# %% [markdown]
# What follows: subtraction is worth its place in front of a detector only where the difference above is positive for the machine and
# the fault at hand. Whether the gain is larger than the chance of a seed is the question of {doc}`02_seed_study`. Functions:
# {py:func}`asdlib.noise.noise_transfer`, {py:mod}`asdlib.frontends`, {py:mod}`asdlib.measure.removal`.
