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
from asdlib import study
from asdlib.compare import alarms, findings, negative, statistics as stats
from asdlib.monitor import evaluation
from asdlib.params import Params
from asdlib.report import charts_scores, controls, provenance, text
from asdlib.report.chapter import Chapter
from asdlib.study import variants

chapter = Chapter.open(globals(), players=True)
params, recordings = chapter.params, chapter.recordings

# %% [markdown]
# A factory machine is recorded by two microphones, one near and one far. Only normal sound is there to learn from. A
# *detector* gives every clip (a recording of a few seconds) a score: the stranger the sound, the higher. The far microphone
# hears more of the surroundings. Therefore its spectrum is subtracted from that of the near one, and this report measures what
# that is worth. The method comes from a technical report {cite}`kim2026`, called *the paper*. It was submitted to
# Task 2 of the challenge DCASE 2026, on anomalous machine sounds. This report runs the method on the recordings
# that the line above names, and goes beyond the paper.

# %% [markdown]
# ## What was found
#
# The measure is $\Omega$, the official score of the challenge: 1 is perfect, 0.5 is chance. It is a harmonic mean over all
# machines with known test labels. Three values of each machine enter: how well anomalies are told from normal clips in the usual
# conditions of the machine (*source* domain), in other conditions, of which hardly any normal clips are known (*target*
# domain), and with at most 10 % false alarms (pAUC). What is trained depends on a random start, the *seed*. Such a system is
# trained with several seeds, and $\Omega$ is their mean.

# %%
study_results = stats.results(params, recordings)
ladder = findings.ladder(study_results, provenance.reported()["table_1"])
chapter.figure(
    charts_scores.ladder,
    ladder,
    label="fig-ladder",
    caption="$\\Omega$ of the paper's systems, from the official baseline to its champion (+ DM + shrink + P95), and of detectors "
    "without training (last rows). Left: measured here, with 95 % intervals over clips and seeds. Right: as reported by the "
    "paper, mean and standard deviation over ten seeds. The recordings differ: compare the order, not the values.",
    needs="mean",
    missing=text.NO_LABELS,
)

# %% [markdown]
# An *autoencoder* is a neural network that learns to reconstruct normal sound. A clip that it reconstructs badly is suspicious.
#
# | name | system |
# |---|---|
# | Baseline MSE, MAHALA | the official autoencoder of the challenge on the near microphone, with two scores |
# | AE ch1 | the paper's autoencoder on the near microphone |
# | RefSub, AdaSub | the same after the far spectrum was subtracted: times a constant, or times more where noise dominates |
# | DM + shrink + P95 | AdaSub with three changes of its score (chapter *Re-scoring*): the paper's *champion*, submitted as S1 |
# | statistics pmsd | no autoencoder: levels of a clip's frequency bands and their scatter over time, compared with normal clips |
# | fine statistics | the same for the levels in narrow bands alone |
# | S5 | three such detectors joined, the submission without training |
#
# A difference is given with its 95 % interval over clips and seeds, and a verdict. *Helps* and *harms* mean that other clips
# and other seeds would very likely agree; the rule stands in {doc}`notebooks/04_seed_study`.

# %%
if variants.trained(params):
    own, theirs = text.training(params), text.training(Params())
    chapter.say(f"The autoencoders here: {own}. Those of the paper: {theirs}.")

# %%
rate = 1 - params.scoring.quantile
compared = findings.compared(study_results, params.scorers)
submission = findings.submission(study_results)
counted = alarms.by_domain(alarms.counted(params, recordings, study_results))
found = [
    *text.comparisons(compared),
    *text.highest(findings.highest(study_results, submission.name), submission.name),
    *text.alarms(counted, rate),
]
chapter.say("\n".join(f"- {sentence}" for sentence in found))

# %% [markdown]
# Choose how often a normal recording may raise a false alarm (dashed line): for every system, a circle shows how often
# one did among the test clips of all machines, and a triangle how many of the anomalies were found. Bars are 95 % intervals:
# a promise is broken where the bar of the false alarms lies right of the line. Rule *paper*: the threshold is a quantile of
# the scores of clips that the models were trained on. Rule *held out*: every one of these clips is scored by statistics that
# were fitted without it (the autoencoders of S1 have seen it). An alarm of S5 is strange for the clips of both domains.

# %%
by_rate = alarms.by_rate(alarms.counted(params, recordings, study_results, alarms.RATES))
controls.show_rates(by_rate, rate)

# %% [markdown]
# ## Which system to submit
#
# The paper submits four systems: S1, the champion; S2, the champion's score after RefSub; S3, the mean of AdaSub and
# CohGate, another front-end; and S4, the best single models of S1 and S2. S4 is not compared here, because it takes its
# models by the labels. S5 is this project's.

# %%
package = f"{params.results}/{params.name}/submission"
packages = dict.fromkeys(("S1", "S2", "S3", "S4"), package) | {"S5": f"{package}/without_training"}
chapter.say(text.submission(submission, packages))

# %% [markdown]
# ## What else was tried, and what it cost

# %%
ideas = negative.against_champion(negative.idea_scores(params, recordings, study_results.table))
chapter.say(text.ideas(ideas))
chapter.say(text.cost(len(study.tasks(params, recordings)), len(params.seeds)))

# %% [markdown]
# ## A machine of your own
#
# Two microphones and a folder of normal recordings are enough: `asd fit` makes a model file, `asd score` gives every new
# recording a score, an alarm and the reasons for it, and reports faults of the recording, such as a dead channel
# ({doc}`notebooks/09_own_machine`). How often a good machine gives an alarm depends on how many normal recordings there are, if
# new recordings are made in the same conditions:

# %%
promised = text.promise(alarms.promised(params, recordings), rate)
healthy = text.health(evaluation.faulty(params, recordings))
chapter.say("\n".join(f"- {sentence}" for sentence in [*promised, *healthy]))

# %% [markdown]
# In Python, `asdlib.monitor.Monitor` does the same.
#
# ## Where it is argued
#
# | chapter | question |
# |---|---|
# | {doc}`notebooks/01_noise_floor` | What do both microphones hear when the machine is quiet, and what is the ratio good for? |
# | {doc}`notebooks/02_front_ends` | What does each front-end remove: noise, or the machine? |
# | {doc}`notebooks/03_phase` | Beyond the paper: does the phase of the far channel help? |
# | {doc}`notebooks/04_seed_study` | Is the gain larger than the change from one seed to another? |
# | {doc}`notebooks/05_without_training` | How far does a detector come that trains nothing, and what does it need? |
# | {doc}`notebooks/06_rescoring` | What do the same models gain by another score? |
# | {doc}`notebooks/07_negative_results` | What else was tried, and does it gain over the seeds? |
# | {doc}`notebooks/08_submission` | What would be submitted, and does it pass every check? |
# | {doc}`notebooks/09_own_machine` | From a folder of one's own to a model file: how often does it alarm, and why? |
# | {doc}`notebooks/98_performance` | What does all of this cost, and how does it grow? |
# | {doc}`notebooks/99_provenance` | Which recordings, parameters and versions made these pages? |
#
# In the chapters, spectrograms with a player can be heard, and a click moves the playhead. To change the constants of the
# method and hear the result, run `make lab` and open `00_explore` in JupyterLab.
#
# ## The method in one picture
#
# ```{figure} /_static/pipeline.svg
# :name: pipeline
# :alt: Two microphones enter a front-end that subtracts the transferred far power from the near power; log-mel frames are stacked, an autoencoder reconstructs them, and the residuals become a score, averaged over seeds. Dashed boxes below show what each step learns from training-normal clips only.
#
# The steps of one clip (upper row, from left to right). Everything that a step has to know beforehand
# (dashed, blue) comes from training-normal clips; no test clip depends on another.
# ```
#
# The noise reference is scaled by the ratio of both microphones when the machine is quiet, and subtracted from the near
# spectrum. An autoencoder learns what normal frames look like. A clip is suspicious when its reconstruction errors are unlike
# those of the training clips. Numbers of the embedded scenes are measured on simulated machines (`SimFan`, `SimValve`, ...); they are
# never DCASE results. What the paper gives for the DCASE 2026 development data stands in columns headed *reported*.
#
# ## Symbols
#
# | symbol | meaning |
# |---|---|
# | $c, s, k, b, t$ | clip, sample, frequency bin, mel band, frame |
# | $N(k,t)$, $F(k,t)$ | complex spectra of the near and the far microphone |
# | $P_n$, $P_f$ | their power, $\lvert N\rvert^2$ and $\lvert F\rvert^2$ |
# | $G_m(k)$ | noise transfer of machine $m$: near over far, in power |
# | $e_i$ | reconstruction error of stacked frame $i$, 640 values |
# | $A(x)$, $z(x)$ | anomaly score of clip $x$, and the same, standardised |
# | $\Omega$ | official score: harmonic mean of source AUC, target AUC and pAUC of every machine |

# %% [markdown]
# ```{toctree}
# :hidden:
# notebooks/01_noise_floor
# notebooks/02_front_ends
# notebooks/03_phase
# notebooks/04_seed_study
# notebooks/05_without_training
# notebooks/06_rescoring
# notebooks/07_negative_results
# notebooks/08_submission
# notebooks/09_own_machine
# ```
#
# ```{toctree}
# :hidden:
# :caption: Appendices
# notebooks/98_performance
# notebooks/99_provenance
# api/index
# bibliography
# ```
