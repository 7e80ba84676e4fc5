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
team: "Optional[dict]" = None  # author and institute in the labels of a submission

# %%
from itertools import islice

import numpy as np

from asdlib import reported, study, submission, systems
from asdlib import figures as draw
from asdlib.figures import show_figure
from asdlib.guard import rederive
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
results = systems.apply_all(table, per_seed, params.scoring.quantile)
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
submitted = source.evaluation or source.machines
chosen = next(((n, m) for n, a in results.items() for m in submitted if m in a.scored), None)
if chosen is None:
    say("No system could score a test clip here, so there is nothing to guard.")
else:
    guarded = results[chosen[0]].scored[chosen[1]].scores
    for what, attempt in {
        "the mean over clips": lambda: np.mean(guarded),
        "a rank": lambda: np.argsort(guarded),
        "a normalisation": lambda: guarded - guarded.max(),
        "a comparison of two clips": lambda: guarded < guarded[::-1],
    }.items():
        try:
            attempt()
            say(f"- {what}: allowed")
        except AsdError as error:
            say(f"- {what}: refused. *{error}*")

# %% [markdown]
# A type can only refuse what passes through it. The stronger check starts over: a few submitted clips are
# scored again from their files, one at a time, with no other test clip read; the numbers have to be the
# same to the last bit.

# %%
if chosen is not None:
    system = next(s for s in systems.SYSTEMS if s.name == chosen[0])
    score = study.score_alone(
        params, source, chosen[1], results[system.name].members, system.scorer
    )
    again = guarded[: min(10, len(guarded))]
    rederive(score, again)
    say(
        f"{len(again)} clips of {chosen[1]} scored again alone by {system.name}: the same bytes as in the "
        f"submission, such as {', '.join(f'{v:.6f}' for _, v in islice(again.items(), 3))}."
    )

# %% [markdown]
# ## Results per machine

# %%
omegas = systems.per_machine_table(results)
shown = omegas.drop(columns="overall").T
show_figure(
    draw.per_machine(shown)
    if omegas.notna().any(axis=None)
    else draw.missing(
        "Ω needs labelled test clips of both domains: these recordings do not have them."
    ),
    "fig-machines",
    "$\\Omega$ of the four systems on every development machine; 0.5 is chance. A wide bar "
    "means that the choice of the system matters for that machine.",
    folder=folder,
)

# %%
show_table(
    omegas.reset_index(),
    "tab-systems",
    "Table 3 of the report, measured here: $\\Omega$ of the submitted ensembles per development "
    "machine and over all.",
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
# The threshold of an ensemble is the 0.90 quantile of the training-normal clips' ensemble scores: one
# alarm in ten clips that the models were trained on. Clips that they were not trained on score higher,
# those of the target domain most of all, so expect more false alarms than one in ten; the fewer training
# clips there are, the more. {numref}`tab-decisions` counts them.

# %%
show_table(
    systems.decisions(results, source).drop(columns=["precision", "recall"], errors="ignore"),
    "tab-decisions",
    "Decisions of S1 at its threshold on labelled test clips, per machine and domain.",
    folder=folder,
    decimals=2,
    empty="There is no labelled test clip, or no S1: decisions cannot be judged.",
)

# %% [markdown]
# ## The packages
#
# One folder per system with a score file and a decision file for every machine, and a description;
# all of it in one zip. `asd validate` reads them as the evaluator would, and refuses everything that the
# evaluator would skip or misalign in silence.

# %%
test_clips = {m: set(source.clips(m, "test")["name"]) for m in submitted}
test_clips = {machine: names for machine, names in test_clips.items() if names}
if chosen is None:
    say("Nothing was scored, so no package is written.")
else:
    folder_out = resolve(params.results) / params.name / "submission"
    written = submission.write_all(folder_out, results, test_clips, params)
    problems = submission.validate(written, test_clips)
    kind = "concealed test clips" if source.evaluation else "a rehearsal: no clip is concealed here"
    say(f"Systems: {', '.join(n for n, a in results.items() if a.members)}.")
    say(f"Machines in the package: {', '.join(test_clips)} ({kind}).")
    say("Verdict of the validator: " + (" ".join(problems) or "nothing to complain about."))
