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
# # Explore a recording
#
# Choose a machine, a clip and a front-end, move a constant, look and listen: everything below is
# computed from the audio at every move. The models and their gamma distributions stay those of the
# study; the sliders change only what the models are given. Where the study has not been run, residual
# energy and score stay empty and everything else works: name a folder of your own recordings in `data`.

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
from asdlib.explore.app import explore
from asdlib.params import from_notebook

params = from_notebook(globals())

# %%
explore(params)
