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
# # Provenance and performance

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
from asdlib import study
from asdlib.report import provenance
from asdlib.report.chapter import Chapter
from asdlib.report.tables import escape

chapter = Chapter.open(globals())
params, recordings = chapter.params, chapter.recordings

# %% [markdown]
# What made these pages: the recordings, the parameters, the package and the libraries.

# %% [markdown]
# ## Recordings

# %%
chapter.table(
    provenance.overview(recordings.manifest).reset_index(),
    label="tab-recordings",
    caption="Recordings: clips, seconds, sample rates and channels. *Source* is the domain of the usual conditions, *target* that of "
    "changed ones; the labels of some machines may be concealed.",
)

# %% [markdown]
# ## Parameters
#
# Every value, including those that the parameter file leaves at their defaults, which are the paper's.

# %%
chapter.table(provenance.parameters(params), label="tab-parameters", caption="Parameters.")

# %% [markdown]
# ## Versions

# %%
chapter.table(provenance.versions(), label="tab-versions", caption="Software and machine.")

# %% [markdown]
# ## Time
#
# All seeds of a machine are one model, windows are gathered from one resident array of frames, and small trainings run side by side, each
# machine in a process of one thread. Where machines ran side by side, the parts add up the times of all processes and exceed the whole.
# A stage that was not computed again keeps its earlier time; chapters run two at a time. `make bench` measures speed and growth.

# %%
chapter.table(
    provenance.seconds(params),
    label="tab-seconds",
    caption="Seconds per stage and per chapter.",
    decimals=1,
    empty="No stage's time was taken: the chapters were run one by one.",
)

# %% [markdown]
# ## Units
#
# The files that this study consists of. A unit's key is made of everything that it depends on.

# %%
study.run(params, recordings=recordings)  # computes what is missing
units = provenance.inventory(params, recordings)
if apart := provenance.trained_apart(params, recordings):
    chapter.say(escape(apart))
nothing = "No autoencoder was trained: this study has no models."
chapter.table(units, label="tab-units", caption="Computed units.", decimals=1, empty=nothing)

# %% [markdown]
# The functions of this chapter are documented in the reference: {py:mod}`asdlib.report.provenance` and {py:mod}`asdlib.params`.
