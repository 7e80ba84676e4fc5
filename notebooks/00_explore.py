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
# computed from the audio at every move. The models and their gamma distributions are those of the
# study; the sliders change only what the models are given. Where the study has not been run, residual
# energy and score stay empty and everything else works. `data` may name a folder of your own recordings.

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
from asdlib.explore.app import explore
from asdlib.params import from_notebook

params = from_notebook(globals())

# %%
explore(params)
