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
# # Provenance

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent;
# say the name where you change anything
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
results: "Optional[str]" = None  # folder of computed units
figures: "Optional[str]" = None  # folder that this chapter writes to
machines: "Optional[list[str]]" = None  # names; empty: all
front_ends: "Optional[list[str]]" = None  # names, see asdlib.frontends
scorers: "Optional[list[str]]" = None  # names
baseline: "Optional[bool]" = None  # the official baseline too
extras: "Optional[list[str]]" = None  # studies that train once more, see asdlib.params
seeds: "Optional[list[int]]" = None  # one model each
device: "Optional[str]" = None  # "cpu", "cuda" or "auto"
cluster: "Optional[str]" = None  # address of a Dask scheduler
scenes: "Optional[dict]" = None  # embedded scenes: seconds, clips, seed
spectra: "Optional[dict]" = None  # Hz, samples, bands
denoising: "Optional[dict]" = None  # percentile (%), over-subtraction, floor
autoencoder: "Optional[dict]" = None  # layers
training: "Optional[dict]" = None  # epochs, batch (vectors), learning rate
scoring: "Optional[dict]" = None  # weights, percentiles (%), quantile
bottleneck: "Optional[dict]" = None  # flow and nearest neighbours at the bottleneck
encoder: "Optional[dict]" = None  # folder of an audio encoder, its head
team: "Optional[dict]" = None  # author and institute in the labels of a submission

# %% tags=["setup"]
from asdlib import dataset, study
from asdlib.report import provenance
from asdlib.report import figures as draw
from asdlib.files import resolve
from asdlib.params import from_notebook
from asdlib.report.tables import say, show_table

params = from_notebook(globals())
recordings = study.open_recordings(params)
folder = resolve(params.figures)
draw.style()
say(f"*The numbers of this chapter come from {recordings.describe()}.*")

# %% [markdown]
# What made these pages: the recordings, the parameters, the package and the libraries.

# %% [markdown]
# ## Recordings

# %%
show_table(
    dataset.overview(recordings.manifest).reset_index(),
    "tab-recordings",
    f"Recordings, manifest {recordings.digest}.",
    folder=folder,
)

# %% [markdown]
# ## Parameters
#
# Every value, including those that the parameter file left at the report's.

# %%
show_table(provenance.parameters(params), "tab-parameters", "Parameters.", folder=folder)

# %% [markdown]
# ## Versions

# %%
show_table(provenance.versions(), "tab-versions", "Software and machine.", folder=folder)

# %% [markdown]
# ## Units
#
# The files that this study consists of. A unit's key is made of everything that it depends on.

# %%
show_table(
    study.inventory(params, recordings), "tab-units", "Computed units.", folder=folder, decimals=1
)
