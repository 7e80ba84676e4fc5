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
# # Performance

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
import pandas as pd

from asdlib.report import charts_scores, provenance
from asdlib.report.chapter import Chapter

chapter = Chapter.open(
    globals(),
    numbers_from="this study ({}) where its stages are timed; the benchmarks have recordings of noise and simulated scenes of their own",
)

# %% [markdown]
# Ten seeds of seven machines and four front-ends are many trainings. Four things make them fast. All seeds of a
# machine are one model, so that a step is a few large matrix products; these are computed in bfloat16 where the
# processor supports it, while weights, batch-norm statistics, loss and optimiser stay in float32. Windows are
# gathered from one resident array of frames, and long trainings are compiled. Frames and scores are
# computed clip by clip, every clip by one thread: the bytes of a score depend neither on the number of
# threads nor on the clips beside it.
#
# Small trainings of several machines run side by side, each machine in a process of one thread: threads that share
# a small training wait for each other most of the time.
#
# The first table has the times of this study, in the order of the work. The parts of the study are listed before the
# whole; where machines ran side by side, the parts add up the times of all processes and exceed the whole. A stage
# that was not computed again keeps its earlier time. Chapters run two at a time.

# %%
spent = provenance.seconds(chapter.params)
nothing = "No stage's time was taken: the chapters were run one by one."
chapter.table(
    spent,
    label="tab-seconds",
    caption="Seconds per stage and per chapter.",
    decimals=1,
    empty=nothing,
)

# %% [markdown]
# `make bench` measures these four things on the machine it runs on, every comparison in one run, and writes
# `results/benchmarks.json`, which this chapter shows.

# %%
bench = provenance.benchmarks(chapter.params)
not_run = "Nothing was measured on this machine: make bench does it."
if bench:
    chapter.say(f"Measured with {bench['made_on']}; {bench['cores']} cores.")
chapter.table(
    pd.DataFrame(bench.get("rows", [])),
    columns=["what", "measured", "target", "result"],
    label="tab-benchmarks",
    caption="What was measured, and the target. The usual loop is plain PyTorch for one seed in float32; the "
    "official loop feeds vectors one by one, in float64, with their file names, and looks for anomalies in "
    "the gradient.",
    empty=not_run,
)

# %% [markdown]
# ## Growth
#
# Whole units, from recordings to scores, with one size changed at a time. Time should grow in
# proportion to clips, clip length and machines, and by less with seeds; memory with the clips and seeds of
# one machine, never with the number of machines.

# %%
chapter.figure(
    charts_scores.growth,
    bench.get("growth", []),
    label="fig-growth",
    caption="Time and peak memory against clips, seeds, machines and clip length, both axes logarithmic; dotted: "
    "in proportion.",
    missing="",
)
if bench:
    slopes = ", ".join(f"{slope:.2f} with {what}" for what, slope in bench["exponents"].items())
    chapter.say(f"Exponents of time: {slopes} (1 is in proportion).")
