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
# # Decisions and submission

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
from functools import partial

from asdlib import frontends
from asdlib.compare import alarms, failures, findings, statistics as stats, systems
from asdlib.measure import truth
from asdlib.report import answers, charts_evidence, controls, panels, provenance, style, tables
from asdlib.report.chapter import Chapter

chapter = Chapter.open(globals(), players=True)
params, recordings = chapter.params, chapter.recordings
study_results = stats.results(params, recordings)
found = alarms.by_domain(alarms.counted(params, recordings, study_results))
chapter.result(answers.alarms(found, 1 - params.scoring.quantile))

# %% [markdown]
# ## The systems
#
# S1 to S4 are the paper's. S5 trains nothing ({doc}`03_without_training`). Its views and the check of its far microphone were chosen
# on simulated scenes, of other seeds than those here. {numref}`tab-systems` on the first page has all results.
#
# | system | front-end | scoring | models |
# |---|---|---|---|
# | S1 | AdaSub | DM + shrink + P95 | all seeds |
# | S2 | RefSub | DM + shrink + P95 | all seeds |
# | S3 | mean of AdaSub and CohGate | eq. 1 of the paper | all seeds |
# | S4 | AdaSub and RefSub | DM + shrink + P95 | the ten with the highest development $\Omega$: its own value is optimistic |
# | S5 | clip statistics: CheckedSub/fine and CheckedLS/pmsd | Fisher's sum | no training |

# %%
decided = systems.decisions(study_results, params.scoring.quantile)
best = findings.winner(findings.overview(study_results, params.scoring.quantile))
judged = {own.name: own for own in systems.SYSTEMS}.get(best, systems.PAPER[0])
for system in systems.SYSTEMS:
    if why := system.missing_reason(study_results.per_seed):
        chapter.say(f"Left out: {why}")

# %%
chapter.table(
    provenance.reported_table("table_3"),
    label="tab-systems-reported",
    caption=r"$\Omega$ of the baseline and of the paper's systems as *reported* on DCASE 2026 development data.",
)

# %% [markdown]
# ## Decisions
#
# The threshold of S1 to S4 is the paper's: the 0.90 quantile of the training-normal clips' scores. That is one alarm in
# ten clips that the models were trained on. Other normal clips score higher, so expect more false alarms than one in ten.
# S5 scores every training clip by statistics that were fitted without it and the clips that resemble it, as clips cut
# from one recording do ({doc}`03_without_training`). From $n$ such held-out scores
# the p value of a clip is $(1 + k) / (n + 1)$, where $k$ of them are at or above its score {cite}`vovk2005`.
# A clip may come from either domain, so it gets a p value for each, among the held-out distances of
# that domain's clips to that domain. It is an alarm if both are at most $q$. If a normal clip and the held-out clips of
# its domain could change places, at most a share $q$ of the normal clips of either domain would be alarms. A domain needs
# at least $1/q - 1$ training clips; with fewer, no clip of the machine is an alarm. {numref}`tab-decisions` counts the
# errors of the system that is to be submitted, in either domain. S5 has no single threshold.

# %%
chapter.table(
    systems.error_counts(decided[decided["system"] == judged.name]).dropna(
        axis="columns", how="all"
    ),
    label="tab-decisions",
    caption=f"Decisions of {judged.name} on labelled test clips, per machine and domain.",
    decimals=2,
    empty="There is no labelled test clip, or no system: decisions cannot be judged.",
)

# %% [markdown]
# ## What a threshold promises
#
# {numref}`tab-rules` holds both rules against labelled test clips. For S1 the held-out scores have a cheap form: the
# residual statistics have not seen the clip's block of neighbours, but the autoencoders have. {numref}`tab-promised` says
# how exactly a rate can be known from so many training clips.

# %%
no_alarms = "There is no labelled test clip, or no system: alarms cannot be counted."
chapter.table(
    tables.alarms(found),
    label="tab-rules",
    caption=f"Share of alarms by two rules that both want {tables.percent(1 - params.scoring.quantile)} false alarms, over all machines: "
    "alarms among normal clips (false) and among anomalies (hits), with 95 % intervals (Clopper and Pearson), by domain.",
    empty=no_alarms,
)

# %% [markdown]
# Choose how often a normal recording may raise a false alarm (dashed line): a circle shows how often one did among the test clips, and
# a triangle how many of the anomalies were found. Bars are 95 % intervals. A promise is broken where the bar of the false alarms lies right of the line.

# %%
counted = alarms.counted(params, recordings, study_results, alarms.RATES)
if len(counted):
    controls.show_rates(alarms.by_rate(counted), 1 - params.scoring.quantile)
else:
    chapter.say(no_alarms)

# %% [markdown]
# ## Clips and the threshold
#
# The plot shows every labelled test clip of a machine, by the score of the system that is to be submitted. The slider sets one threshold for
# both domains of a machine, and the counts below it follow: a lower threshold finds more anomalies and raises more false
# alarms. The system's own decisions are those of {numref}`tab-decisions`. S5 has a limit for each domain. Therefore its slider
# begins where as many clips lie above it as S5 has alarms, and its counts may differ from that table. Clips with a ring are the
# worst of the system's own errors. Below they can be heard, as the near microphone recorded them and after the system's
# front-ends (MP3, level-matched).

# %%
clips = failures.found_clips(decided)
browsed = clips[clips["system"] == judged.name]
used = frontends.trained_front_ends([front_end for front_end, _ in judged.views])
if len(browsed):
    chapter.say(f"The scores are those of {judged.name}.")
    errors = failures.worst(browsed)
    tracks = [truth.named(params, recordings, *key, used).tracks(params) for key in errors]
    rate = params.spectra.sample_rate
    heard = {key: panels.encoded(own, rate) for key, own in zip(errors, tracks, strict=True)}
    controls.show_clips(browsed, failures.errors(browsed), heard)
else:
    chapter.say("There is no labelled test clip, or no system: nothing to browse.")

# %% [markdown]
# ## Failure gallery
#
# Which anomalies does no system find, and which does one alone find? To compare systems at an equal rate of false
# alarms, *found* means here: above a limit that one in ten of the machine's normal test clips exceeds. That limit reads
# labels, so it may not be used for decisions. {numref}`tab-found` counts, {numref}`fig-failures` shows the
# clearest of either kind: the log-mel frames (dB), and the shares of the squared distance to normal clips, $D^2$, by band and
# statistic, of that view of S5 which has the highest $z$.

# %%
tally = failures.tally(clips)
chapter.table(
    tally,
    label="tab-found",
    caption="Anomalies among the labelled test clips by how many of the systems find them at one false alarm in ten.",
    empty="There is no labelled anomaly.",
)

# %%
chosen = [row for _, row in failures.gallery(clips).iterrows()]
views = systems.UNTRAINED.members(study_results.per_seed)
of_all = tally[["anomalies", "by none", "by one"]].sum()
of_clip = partial(failures.evidence, params, recordings, study_results.table)
chapter.figure(
    charts_evidence.evidence,
    list(map(of_clip, chosen)) if views else [],
    label="fig-failures",
    result="Of {} anomalies, no system finds {}, and one alone finds {}.".format(*of_all),
    caption="Anomalies found by no system, or by one alone: what S5 finds strange in them. Left: log-mel frames. "
    "Right: contributions to $D^2$ of the view with the highest $z$; a bar adds up a few neighbouring bands.",
    missing="No anomaly is missed by all systems or found by one alone, or S5 was not run.",
)

# %%
for number, row in enumerate(chosen):
    clip = truth.named(params, recordings, row["machine"], row["name"], used)
    tracks = clip.tracks(params, truth.truth_of(params, recordings, clip.clip))
    panels.show_panel(
        {style.sound_name(name): track for name, track in tracks.items()},
        spectra=params.spectra,
        label=f"failure-{number}",
        title=failures.title(row),
    )

# %% [markdown]
# What follows: use held-out scores for a threshold, and ask for a rate that the number of normal recordings allows. The packages lie in
# `results`, and {doc}`97_checks` examines them. Functions: {py:mod}`asdlib.guard`, {py:mod}`asdlib.compare.systems`, {py:mod}`asdlib.compare.alarms`.
