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
# # Submission

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
from functools import partial

from asdlib import frontends, study
from asdlib.compare import alarms, failures, findings, statistics as stats
from asdlib.compare import submission, systems, validation
from asdlib.guard import rederive
from asdlib.measure import truth
from asdlib.report import charts_evidence, controls, panels, tables
from asdlib.report import provenance, style, text
from asdlib.report.chapter import Chapter
from asdlib.report.tables import escape
from asdlib.study import detectors

chapter = Chapter.open(globals(), players=True)
params, recordings = chapter.params, chapter.recordings

# %% [markdown]
# Five systems are prepared for submission, and two checks stand before them. Every score of a submission file passes through an
# array type, the guard, that refuses to be sorted, ranked, averaged or normalised over clips. Then the files are
# checked by scoring clips again, alone.

# %% [markdown]
# ## The five systems
#
# S1 to S4 are the paper's. S5 trains nothing: it compares statistics of a clip with those of normal clips (chapter 05).
# Two of its views and the fusion were chosen on three sets of simulated scenes (seeds 0 to 2; the parameter files of the
# embedded scenes have another one). They lost to an autoencoder on scenes with the far microphone close to the machine.
# Therefore the third view was added, on the near microphone as it is.
#
# | system | front-end | scoring | models |
# |---|---|---|---|
# | S1 | AdaSub | DM + shrink + P95 | all seeds |
# | S2 | RefSub | DM + shrink + P95 | all seeds |
# | S3 | mean of AdaSub and CohGate | eq. 1 | all seeds |
# | S4 | AdaSub and RefSub | DM + shrink + P95 | those with the highest development $\Omega$, ten in the paper |
# | S5 | clip statistics: near/fine, AdaSub/fine and AdaLS/pmsd | Fisher's sum | no training |

# %%
study_results = stats.results(params, recordings)
package = study.place(params, recordings) / "submission"
best = findings.winner(findings.overview(study_results, params.scoring.quantile))

# %%
decided = systems.decisions(study_results, params.scoring.quantile)
members = {s.name: s.members(study_results.per_seed) for s in systems.SYSTEMS}
for system in systems.SYSTEMS:
    chosen, of = len(members[system.name]), len(system.candidates(study_results.per_seed))
    if not chosen:
        chapter.say(f"Left out: {system.missing_reason(study_results.per_seed)}")
    elif system.selected:
        chapter.say(f"**{system.name}** takes the best {chosen} of the {of} models that there are.")
judged = {own.name: own for own in systems.SYSTEMS}.get(best, systems.PAPER[0])

# %% [markdown]
# ## The guard
#
# Scores of a submission file are of the type `PerClip`. Elementwise arithmetic, combining several scores of the same clip, and a
# comparison with a fixed threshold are allowed; anything that needs a second clip raises.

# %%
asked = recordings.evaluation or recordings.machines
submitted = {m: set(recordings.clips(m, "test")["name"]) for m in asked}
submitted = {machine: names for machine, names in submitted.items() if names}
scored = set(decided.loc[decided["machine"].isin(submitted), "system"])
entered = [s for s in systems.SYSTEMS if s.name in scored]
if entered:
    first = systems.guarded(decided, entered[0].name, next(iter(submitted)))
    for line in text.guarded(first):
        chapter.say(line)
else:
    chapter.say("No system could score a test clip here, so there is nothing to guard.")

# %% [markdown]
# ## The packages
#
# One folder per system with a score file and a decision file for every machine, and a description;
# all of it in one zip. A team may submit four systems at most, so S5 has a package of its own. `asd validate` reads them as the official evaluator does, and lists everything that
# the evaluator would silently skip or misalign.

# %%
rehearsal = "a rehearsal: no clip is concealed here"
kind = "concealed test clips" if recordings.evaluation else rehearsal
packages = {package: systems.PAPER, package / "without_training": (systems.UNTRAINED,)}
folders = {s.name: folder for folder, own in packages.items() for s in own if s in entered}
for folder in dict.fromkeys(folders.values()):
    written = submission.write_all(folder, study_results, submitted, params, packages[folder])
    problems = validation.validate(written, submitted)
    chapter.say(f"Systems: {', '.join(name for name in folders if folders[name] == folder)}.")
    chapter.say(f"Machines in the package: {', '.join(map(escape, submitted))} ({kind}).")
    chapter.say("`asd validate` reports: " + (escape(" ".join(problems)) or "no problems found."))
if not entered:
    chapter.say("Nothing was scored, so no package is written.")

# %% [markdown]
# ## Scored again, alone
#
# The guard can only refuse what passes through it. The stronger check starts from the recordings: the first
# clips of every machine are scored again, one at a time, for every system, with no other test clip read. These
# scores have to be equal to those of the score files, to the last bit.

# %%
elsewhere = provenance.made_elsewhere(params, recordings)
if elsewhere:
    other = f"the scores were computed on other hardware ({elsewhere}); last bits may differ"
    chapter.say(f"Left out: {other}.")
for machine in submitted if entered and not elsewhere else ():
    score = study.score_alone(params, recordings, machine)
    for s in entered:
        filed = submission.read_scores(folders[s.name], submission.label_of(s, params), machine)[:5]
        rederive(partial(systems.scored_alone, score, members[s.name], s.fusion), filed)
    chapter.say(
        f"- {escape(machine)}: {len(filed)} clips by {', '.join(s.name for s in entered)}, the same bytes as in the "
        f"score files; the last of {entered[-1].name} is {filed[-1].item()!r}."
    )

# %% [markdown]
# ## Results per machine
#
# {numref}`tab-systems` on the first page has the values measured here.

# %%
optimistic = "chosen by the same labels that its row is evaluated with: that row is optimistic"
if members["S4"]:
    chapter.say(f"The models of S4 are {optimistic}.")
if not detectors.trained(params).scorers:
    chapter.say("S1 to S4 need autoencoders, which this study does not have.")

# %%
chapter.table(
    provenance.reported_table("table_3"),
    label="tab-systems-reported",
    caption="$\\Omega$ of the baseline and of the paper's systems as reported on DCASE 2026 development data.",
)

# %% [markdown]
# ## Decisions
#
# The threshold of S1 to S4 is the paper's: the 0.90 quantile of the training-normal clips' scores. That is one alarm in
# ten clips that the models were trained on. Other normal clips score higher, so expect more false alarms than one in ten.
# S5 scores every training clip by statistics that were fitted without it and its neighbours. From $n$ such held-out scores
# the p value of a clip is $(1 + k) / (n + 1)$, where $k$ of them are at or above its score {cite}`vovk2005`. A clip with
# $p \le q$ is strange. A clip may come from either domain, so it gets a p value for each, among the held-out distances of
# that domain's clips to that domain. It is an alarm if it is strange for both. If a normal clip and the held-out clips of
# its domain could change places, at most a share $q$ of the normal clips of either domain would be alarms. A domain needs
# at least $1/q - 1$ training clips; with fewer, no clip of the machine is an alarm. {numref}`tab-decisions` counts the
# errors of the system that is to be submitted, in either domain. S5 has no single threshold.

# %%
chapter.table(
    systems.error_counts(decided[decided["system"] == judged.name])
    .drop(columns=["precision", "recall"], errors="ignore")
    .dropna(axis="columns", how="all"),
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
# how exactly a rate can be known from so many training clips: if the threshold came from the clips of one domain alone,
# its true rate of false alarms would lie in the interval.

# %%
found = alarms.by_domain(alarms.counted(params, recordings, study_results))
chapter.table(
    tables.alarms(found),
    label="tab-rules",
    caption=f"Share of alarms by two rules that both want {tables.percent(1 - params.scoring.quantile)} false alarms, over all machines: "
    "alarms among normal clips (false) and among anomalies (hits), with 95 % intervals (Clopper and Pearson), by domain.",
    empty="There is no labelled test clip, or no system: alarms cannot be counted.",
)

# %%
chapter.table(
    alarms.promised(params, recordings),
    label="tab-promised",
    caption="Training-normal clips by machine and domain, and the 95 % interval of the false-alarm rate of a threshold that "
    f"is taken from them to have {tables.percent(1 - params.scoring.quantile)}.",
)

# %% [markdown]
# The chart of the first page, where it is explained, shows the same at other rates:

# %%
counted = alarms.counted(params, recordings, study_results, alarms.RATES)
controls.show_rates(alarms.by_rate(counted), 1 - params.scoring.quantile)

# %% [markdown]
# ## Clips and the threshold
#
# Every labelled test clip by the system that is to be submitted, one machine at a time. Move the threshold and the
# counts follow: a lower threshold finds more anomalies and raises more false alarms. S5 decides by domain, so for S5 the
# slider begins close to its decisions. Clips with a black ring are the
# worst of the system's own errors. Below they can be heard, as the near microphone recorded them and after the system's
# front-ends (MP3, level-matched).

# %%
clips = failures.found_clips(decided)
browsed = clips[clips["system"] == judged.name]
if len(browsed):
    chapter.say(f"The scores are those of {judged.name}.")
    errors = failures.worst(browsed)
    used = frontends.trained_front_ends([front_end for front_end, _ in judged.views])
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
# clearest of either kind. For autoencoders: the denoised, standardised log-mel frames; what the score takes its
# percentile of, over time, with the percentile dashed; and the residual of the stacked frame that lies at that percentile
# (dot, and light band in the spectrogram). For S5: the log-mel frames (dB), and the shares of the squared distance to
# normal clips, $D^2$, by band and statistic.

# %%
chapter.table(
    failures.tally(clips),
    label="tab-found",
    caption="Anomalies among the labelled test clips by how many of the systems find them at one false alarm in ten.",
    empty="There is no labelled anomaly.",
)

# %%
chosen = [row for _, row in failures.gallery(clips).iterrows()]
shown = [failures.evidence(params, recordings, study_results.table, row) for row in chosen]
chapter.figure(
    charts_evidence.evidence,
    shown,
    label="fig-failures",
    caption="Anomalies found by no system, or by one alone, with the models of the system that is named. "
    "Autoencoders: log-mel frames in standard deviations, terms of the score over time, and the residual $e_i$ that "
    "decided, means over seeds. Without training: log-mel frames, and the contributions to $D^2$ of the view with the "
    "highest $z$.",
    missing="No anomaly is missed by all systems or found by one alone.",
)

# %%
for number, (row, own) in enumerate(zip(chosen, shown, strict=True)):
    clip = truth.named(params, recordings, row["machine"], row["name"], [own.front_end])
    tracks = clip.tracks(params, truth.truth_of(params, recordings, clip.clip))
    panels.show_panel(
        {style.sound_name(name): track for name, track in tracks.items()},
        spectra=params.spectra,
        label=f"failure-{number}",
        title=own.title,
    )

# %% [markdown]
# The functions of this chapter are documented in the reference: {py:class}`asdlib.guard.PerClip` and {py:mod}`asdlib.compare.submission`.
