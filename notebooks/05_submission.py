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
# # Submission
#
# Four systems, one guard, one validator. A score that reached a submission file has passed through an
# array type that cannot be sorted, ranked, averaged or normalised over clips.

# %% tags=["parameters"]
# None: as in params/<name>.yaml, and as in asdlib/params.py where that file is silent
name: str = "demo"  # of the parameter file
data: "Optional[str]" = None  # folder with <machine>/{train,test}/*.wav; None: the embedded scenes
results: "Optional[str]" = None  # folder of computed units
figures: "Optional[str]" = None  # folder that this chapter writes to
machines: "Optional[list[str]]" = None  # names; empty: all
front_ends: "Optional[list[str]]" = None  # names, see asdlib.frontends
scorers: "Optional[list[str]]" = None  # names
seeds: "Optional[list[int]]" = None  # one model each
device: "Optional[str]" = None  # "cpu", "cuda" or "auto"
cluster: "Optional[str]" = None  # address of a Dask scheduler
scenes: "Optional[dict]" = None  # embedded scenes: seconds, clips, seed
spectra: "Optional[dict]" = None  # Hz, samples, bands
denoising: "Optional[dict]" = None  # percentile (%), over-subtraction, floor
autoencoder: "Optional[dict]" = None  # layers
training: "Optional[dict]" = None  # epochs, batch (vectors), learning rate
scoring: "Optional[dict]" = None  # weights, percentiles (%), quantile

# %%
import numpy as np

from asdlib import reported, study, submission, systems
from asdlib import figures as draw
from asdlib.figures import show_figure
from asdlib.params import AsdError, from_notebook, resolve
from asdlib.tables import say, show_table

params = from_notebook(globals())
source = study.open_source(params)
folder = resolve(params.figures)
draw.style()
say(f"*The numbers of this chapter come from {source.describe()}.*")

# %% [markdown]
# ## The four systems
#
# | system | front-end | scoring | models |
# |---|---|---|---|
# | S1 | AdaSub | DM + shrink + P95 | all seeds |
# | S2 | RefSub | DM + shrink + P95 | all seeds |
# | S3 | mean of AdaSub and CohGate | eq. 1 | all seeds |
# | S4 | AdaSub and RefSub | DM + shrink + P95 | the ten with the highest development $\Omega$ |

# %%
table = study.run(params, source=source)
per_seed = systems.summary(table)
results = {
    s.name: systems.apply(s, table, per_seed, params.scoring.quantile) for s in systems.SYSTEMS
}
for name in [name for name, applied in results.items() if not applied.members]:
    say(
        f"**{name}** is left out: its models cannot be chosen without a development $\\Omega$ or "
        "without its front-ends."
    )

# %% [markdown]
# ## The guard
#
# Scores travel as `PerClip`. Elementwise arithmetic, combining several scores of the same clip, and a
# comparison with a fixed threshold are allowed; anything that needs a second clip raises.

# %%
machine = source.machines[0]
guarded = next(a.scored[machine].scores for a in results.values() if a.scored)
for name, attempt in {
    "the mean over clips": lambda: np.mean(guarded),
    "a rank": lambda: np.argsort(guarded),
    "a normalisation": lambda: guarded - guarded.max(),
    "a comparison of two clips": lambda: guarded[0] < guarded[1],
}.items():
    try:
        attempt()
        say(f"- {name}: allowed")
    except AsdError as error:
        say(f"- {name}: refused. *{error}*")

# %% [markdown]
# ## Results per machine

# %%
omegas = systems.per_machine_table(results)
if omegas.notna().any(axis=None):
    shown = omegas.drop(columns="overall").T
    show_figure(
        draw.per_machine(shown),
        "fig-machines",
        "$\\Omega$ of the four systems on every development machine; 0.5 is chance. A wide bar "
        "means that the choice of the system matters for that machine.",
        folder=folder,
    )

# %%
show_table(
    omegas.reset_index(),
    "tab-systems",
    "$\\Omega$ of the submitted ensembles per development machine and over all, measured here.",
    folder=folder,
    decimals=3,
)

# %%
show_table(
    reported.table_3(reported.load()),
    "tab-systems-reported",
    "The same as reported on DCASE 2026 development data.",
    folder=folder,
    decimals=3,
)

# %% [markdown]
# ## Decisions
#
# The threshold of an ensemble is the 0.90 quantile of the training-normal clips' ensemble scores: about
# one alarm in ten normal training clips. Test clips of the target domain, and clips never trained on,
# give more.

# %%
decisions = systems.decisions(results, source)
if len(decisions):
    show_table(
        decisions,
        "tab-decisions",
        "Decisions of S1 at its threshold on labelled test clips.",
        folder=folder,
        decimals=3,
    )
else:
    say("There is no labelled test clip: decisions cannot be judged.")

# %% [markdown]
# ## The packages
#
# One folder per system with a score file and a decision file for every machine, and a description;
# all of it in one zip. `asd validate` reads them as the evaluator would, and refuses everything that the
# evaluator would skip or misalign in silence.

# %%
submitted = source.evaluation or source.machines
package = resolve(params.results) / params.name / "submission"
written = submission.write_all(package, results, submitted, params)
expected = {m: set(source.clips(m, "test")["name"]) for m in submitted}
problems = submission.validate(written, expected)
say(
    f"Machines in the package: {', '.join(submitted)}"
    + (
        " (concealed test clips)."
        if source.evaluation
        else " (labelled development clips: a rehearsal, as there is no concealed one)."
    )
)
say(
    "Verdict of the validator: "
    + ("nothing to complain about." if not problems else " ".join(problems))
)
