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
from asdlib import study
from asdlib.report import charts, provenance, tables
from asdlib.report import style
from asdlib.report.style import show_figure
from asdlib.params import from_notebook, resolve
from asdlib.report.tables import say, show_table

params = from_notebook(globals())
recordings = study.open_recordings(params)
folder = resolve(params.figures)
style.style()
say(
    "*The numbers of this chapter come from recordings of noise and the demo's simulated scenes, not from "
    f"this study's data set ({recordings.describe()}).*"
)

# %% [markdown]
# Ten seeds of seven machines and four front-ends are many trainings. What makes them bearable: all seeds of a
# machine are one model, so that a step is a few large matrix products; these are taken in bfloat16 where the
# processor has them, while weights, batch-norm statistics, loss and optimiser stay in float32; windows are
# gathered from one resident array of frames; and long trainings are compiled. Features and scores are
# computed clip by clip, every clip by one thread: the bytes of a score depend neither on the number of
# threads nor on the clips beside it.
#
# `make bench` measures all of that on the machine it runs on, every comparison in one run, and writes
# `results/benchmarks.json`, which this chapter shows.

# %%
bench = provenance.benchmarks(params)
not_run = "Nothing was measured on this machine: make bench does it, in about ten minutes."
if bench:
    say(f"Measured with {bench['made_on']}; {bench['cores']} cores.")
show_table(
    tables.benchmarks(bench.get("rows", [])),
    "tab-benchmarks",
    "What was measured, and what was aimed at. The usual loop is plain PyTorch for one seed in float32; the "
    "official way feeds vectors one by one, in float64, with their file names, and looks for anomalies in "
    "the gradient.",
    folder=folder,
    empty=not_run,
)

# %% [markdown]
# ## Growth
#
# Whole units, from recordings to scores, with one size changed at a time. Time should grow in
# proportion to clips, clip length and machines, and by less with seeds; memory with the clips and seeds of
# one machine, never with the number of machines.

# %%
show_figure(
    charts.growth(bench["growth"]) if bench else style.missing(not_run),
    "fig-growth",
    "Time and peak memory against clips, seeds, machines and clip length, both axes logarithmic; dotted: "
    "in proportion.",
    folder=folder,
)
if bench:
    slopes = ", ".join(f"{slope:.2f} with {what}" for what, slope in bench["exponents"].items())
    say(f"Exponents of time: {slopes} (1 is in proportion).")
