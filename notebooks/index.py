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
# # Noise-aware anomalous sound detection

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent. That module holds
# every other key too; any of them may be set here, together with the name of what it changes.
name: "Optional[str]" = None  # of the parameter file; None: demo
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
seeds: "Optional[list[int]]" = None  # one model each

# %% tags=["setup"]
import pandas as pd

from asdlib import study
from asdlib.compare import findings, statistics as stats
from asdlib.report import answers, charts_scores, provenance, tables, text
from asdlib.report.chapter import CONTENTS, Chapter

chapter = Chapter.open(globals())
params, recordings = chapter.params, chapter.recordings
rate = 1 - params.scoring.quantile
systems = findings.overview(stats.results(params, recordings), params.scoring.quantile)
best = findings.winner(systems)
losses = provenance.losses(params, recordings)
longer = study.beside(params, recordings, "trained_out")
chapter.say(text.verdict(systems, text.caveat(params, recordings, systems, losses, longer)))

# %%
values = "Ω of every system by machine and over all (1 is perfect, 0.5 is chance; ensembles over seeds). "
terms = " Conditions: usual or changed. *By labels*: test labels chose it."
chapter.table(
    tables.overview(systems, best),
    label="tab-systems",
    caption=f"{values * bool(best)}Alarms of every system where {tables.percent(rate)} false alarms are wanted. Autoencoders have the paper's threshold, from clips that they were trained on.{terms * bool(best)}",
    empty="No system could score a test clip.",
)

# %% [markdown]
# Two microphones record a machine, one near and one far, and only normal sound is there to learn from. *Usual* conditions
# are those of most normal recordings (*source* domain), *changed* ones have few (*target* domain). The autoencoders and S1 to S4 are those of a
# technical report of the challenge DCASE 2026, Task 2 {cite}`kim2026`, *the paper*. S5 is this project's: it compares levels and scatter of frequency bands with
# normal recordings.
#
# ## What next
#
# 1. A machine of your own: put its normal recordings into a folder `pump`, and fit a model that raises alarms ({doc}`notebooks/07_own_machine`).
#    ```
#    .venv/bin/asd fit pump --out pump.safetensors
#    ```
# 2. The challenge's recordings: download them, and read this report of them.
#    ```
#    .venv/bin/asd download development recordings
#    make report PARAMS=params/dev_quick.yaml DATA=recordings
#    ```
# 3. Change the constants of the method, and hear the result.
#    ```
#    make lab
#    ```
#
# ## Where the best system fails

# %%
failures = text.failures(systems, rate)
chapter.say(
    "\n".join(f"- {sentence}" for sentence in failures)
    or "Without labels it is not known where a system fails."
)

# %%
by_machine = findings.by_machine(systems)
chapter.figure(
    charts_scores.machines,
    by_machine.rename(columns=dict(tables.entries(systems))),
    most={"machine": 10},
    label="fig-machines",
    result=answers.extremes(f"Ω of {best}", by_machine.get(best, pd.Series(dtype=float))),
    caption="Ω of the systems on every machine, with chance as the dotted line. Where the points of a "
    "machine lie far apart, the choice of the system matters.",
    missing="",
)

# %% [markdown]
# ## Chapters and their results

# %%
chapter.say(CONTENTS)
chapter.say(provenance.made(params, recordings))

# %% [markdown]
# ```{toctree}
# :hidden:
# notebooks/01_far_microphone
# notebooks/02_seed_study
# notebooks/03_without_training
# notebooks/04_phase
# notebooks/05_variants
# notebooks/06_decisions
# notebooks/07_own_machine
# ```
#
# ```{toctree}
# :hidden:
# :caption: Appendices
# notebooks/97_checks
# notebooks/98_official_baseline
# notebooks/99_provenance
# api/index
# bibliography
# ```
