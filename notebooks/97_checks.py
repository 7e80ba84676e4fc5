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
# # Checks of the packages

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
from functools import partial

from asdlib import study
from asdlib.compare import statistics as stats, submission, systems, validation
from asdlib.guard import rederive
from asdlib.report import answers, provenance
from asdlib.report.chapter import Chapter
from asdlib.report.tables import escape
from asdlib.runtime.errors import plural

chapter = Chapter.open(globals())
params, recordings = chapter.params, chapter.recordings
study_results = stats.results(params, recordings)
package = study.place(params, recordings) / "submission"
decided = systems.decisions(study_results, params.scoring.quantile)

# %%
members = {s.name: s.members(study_results.per_seed) for s in systems.SYSTEMS}
asked = recordings.evaluation or recordings.machines
submitted = {m: set(recordings.clips(m, "test")["name"]) for m in asked}
submitted = {machine: names for machine, names in submitted.items() if names}
scored = set(decided.loc[decided["machine"].isin(submitted), "system"])
entered = [s for s in systems.SYSTEMS if s.name in scored]
packages = {package: systems.PAPER, package / "without_training": (systems.UNTRAINED,)}
folders = {s.name: folder for folder, own in packages.items() for s in own if s in entered}

# %%
problems, again = {}, {}  # by package; by machine
for folder in dict.fromkeys(folders.values()):
    written = submission.write_all(folder, study_results, submitted, params, packages[folder])
    problems[folder] = validation.validate(written, submitted)
elsewhere = provenance.made_elsewhere(params, recordings)
for machine in submitted if entered and not elsewhere else ():
    score = study.score_alone(params, recordings, machine)
    for s in entered:
        filed = submission.read_scores(folders[s.name], submission.label_of(s, params), machine)[:3]
        rederive(partial(systems.scored_alone, score, members[s.name], s.fusion), filed)
        again[machine] = filed

# %%
if again:
    count, found = sum(map(len, again.values())), sum(map(len, problems.values()))
    chapter.say(
        f"**{plural(len(problems), 'package')} with {plural(found, 'problem')}; "
        f"{plural(count, 'clip')} scored again alone, with the same bytes.**"
    )

# %% [markdown]
# Every score of a submission file passes through an array type, the guard, that refuses to be sorted, ranked, averaged or
# normalised over clips. Then the files are checked by scoring clips again, alone.

# %% [markdown]
# ## The guard
#
# Scores of a submission file are of the type `PerClip`. Elementwise arithmetic, combining several scores of the same clip, and a
# comparison with a fixed threshold are allowed; anything that needs a second clip raises.

# %%
if entered:
    first = systems.guarded(decided, entered[0].name, next(iter(submitted)))
    for line in answers.guarded(first):
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
for folder, found in problems.items():
    chapter.say(f"Systems: {', '.join(name for name in folders if folders[name] == folder)}.")
    chapter.say(f"Machines in the package: {', '.join(map(escape, submitted))} ({kind}).")
    chapter.say("`asd validate` reports: " + (escape(" ".join(found)) or "no problems found."))
if not entered:
    chapter.say("Nothing was scored, so no package is written.")

# %% [markdown]
# ## Scored again, alone
#
# The guard can only refuse what passes through it. The stronger check starts from the recordings: the first
# clips of every machine are scored again, one at a time, for every system, with no other test clip read. These
# scores have to be equal to those of the score files, to the last bit.

# %%
if elsewhere:
    other = f"the scores were computed on other hardware ({elsewhere}); last bits may differ"
    chapter.say(f"Left out: {other}.")
for machine, filed in again.items():
    chapter.say(
        f"- {escape(machine)}: {len(filed)} clips by {', '.join(s.name for s in entered)}, the same bytes as in the "
        f"score files; the last of {entered[-1].name} is {filed[-1].item()!r}."
    )
