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
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
from asdlib import study
from asdlib.measure import analysis
from asdlib.report import provenance
from asdlib.report import style
from asdlib.params import from_notebook, resolve
from asdlib.report.tables import say, show_table

params = from_notebook(globals())
recordings = study.open_recordings(params)
folder = resolve(params.figures)
style.style()
say(f"*The numbers of this chapter come from {recordings.describe()}.*")

# %% [markdown]
# What made these pages: the recordings, the parameters, the package and the libraries.

# %% [markdown]
# ## Recordings

# %%
show_table(
    analysis.overview(recordings.manifest).reset_index(),
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
study.run(params, recordings=recordings)
show_table(
    study.inventory(params, recordings), "tab-units", "Computed units.", folder=folder, decimals=1
)
