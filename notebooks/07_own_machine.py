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
# # A machine of your own

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
import pandas as pd

from asdlib.compare import alarms
from asdlib.monitor import evaluation
from asdlib.report import answers, charts_evidence, tables
from asdlib.report.chapter import Chapter

chapter = Chapter.open(globals())
params, recordings = chapter.params, chapter.recordings
machine = evaluation.chosen(recordings)
monitor = evaluation.fitted(params, recordings, machine)
table = evaluation.readings(monitor, recordings.clips(machine, "test"))
counted = evaluation.counted(table, machine)
found = pd.concat([alarms.by_domain(counted), alarms.by_domain(counted.assign(domain="all"))])
chapter.result(answers.monitored(found, machine, 1 - params.scoring.quantile))

# %% [markdown]
# For an engineer with two microphones and a folder of normal recordings of one machine: from the folder to a model file, to scores
# with reasons, and to an alarm that says how often it will be false. The detector is S5 ({doc}`06_decisions`) with a detector of new lines.

# %% [markdown]
# ## From a folder to a model
#
# `Monitor.fit` reads the normal recordings, and `save` writes the model file. The commands `asd fit` and `asd score` do the
# same on a terminal.

# %%
promise = " ".join(monitor.promise.splitlines())
chapter.say(f"The machine is {tables.escape(machine)}. {tables.escape(promise)}")
chapter.say(answers.by_condition(found, monitor.decisions))

# %% [markdown]
# ## How often it alarms
#
# Every test clip is scored alone. {numref}`tab-monitor` counts the alarms among labelled clips: false alarms among normal
# clips, hits among anomalies. The target domain has few training recordings. Therefore its rate is known less exactly, and
# may be higher than the wanted one.

# %%
chapter.table(
    tables.alarms(found),
    label="tab-monitor",
    caption=f"Alarms of the monitor at {tables.percent(1 - params.scoring.quantile)} wanted false alarms among labelled test clips, with "
    "95 % intervals.",
    empty="There is no labelled test clip.",
)

# %% [markdown]
# ## How many recordings are enough
#
# The monitor is fitted again on fewer recordings of every condition. With more of them the rate of false alarms is known more
# exactly (grey). The curve shows whether more anomalies are found.

# %%
rate = 1 - params.scoring.quantile
chapter.say(
    f"An alarm at a rate $q$ needs at least $1/q - 1$ recordings of every condition, {1 / rate - 1:.3g} at {tables.percent(rate)}. "
    "With fewer, no recording is an alarm."
)

# %%
curve = evaluation.enough(monitor, recordings.clips(machine, "test"))
hits = curve["hits"].set_axis(curve["recordings"].map("{} recordings".format))
chapter.figure(
    charts_evidence.enough,
    curve if len(curve) > 1 else [],
    label="fig-enough",
    result=answers.extremes("The share of anomalies that are found", hits, tables.percent),
    caption="Share of test clips that are alarms, against the number of normal recordings in all conditions. The curves begin where an "
    "alarm is possible. Grey: 95 % interval of the true rate of false alarms, for the wanted rate (dashed).",
    missing="There are too few normal recordings to fit on fewer of them.",
)

# %% [markdown]
# ## What an anomalous clip looks like
#
# A reading gives its reasons in words, and `asd score --picture` draws them: the level without the noise, how much louder or
# quieter than normal it is, and how far every band lies from normal recordings. The bands of the reasons are marked.

# %%
drawn = [monitor.evidence(path) for path in evaluation.clearest(table)["path"]]
reasons = [
    f'The first reason is "{own.reading.reasons[0]}"' for own in drawn if own.reading.reasons
]
chapter.figure(
    charts_evidence.reading,
    drawn,
    label="fig-reading",
    result=tables.escape(" ".join(reasons)),
    caption="The anomalous test clip with the highest score (without labels, the test clip with the highest score). Above: its "
    "level without the noise, and how far that lies above normal recordings. Below: how far every band lies from them by its "
    "level $p$ and mean level $m$ ({doc}`03_without_training`), and all reasons. Green frames mark their bands.",
    missing="There is no test clip.",
)

# %%
faulty = evaluation.faulty(params, recordings)
chapter.table(
    pd.DataFrame(
        [(m, " ".join(own) or "none found") for m, own in faulty.items()],
        columns=["machine", "faults"],
    ),
    label="tab-faults",
    caption="Faults of the normal recordings themselves, such as a dead channel.",
)

# %%
chapter.table(
    alarms.promised(params, recordings),
    label="tab-promised",
    caption="Training-normal clips by machine and domain, and the 95 % interval of the false-alarm rate of a threshold that "
    f"is taken from them to have {tables.percent(1 - params.scoring.quantile)}.",
)

# %% [markdown]
# What follows: record on several days and in all usual conditions, and fit again when the alarms become more frequent. Functions:
# {py:mod}`asdlib.monitor.model`, {py:mod}`asdlib.monitor.reasons`, {py:mod}`asdlib.monitor.evaluation`.
