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
from asdlib.report import provenance
from asdlib.report.chapter import Chapter

chapter = Chapter.open(globals())

# %% [markdown]
# Ten seeds of seven machines and four front-ends are many trainings. Four things make them fast. All seeds of a
# machine are one model, so that a step is a few large matrix products; these are computed in bfloat16 where the
# processor supports it, while weights, batch-norm statistics, loss and optimiser stay in float32. Windows are
# gathered from one resident array of frames, and long trainings are compiled. Frames and scores are
# computed clip by clip, every clip by one thread: the bytes of a score depend neither on the number of
# threads nor on the clips beside it.
#
# Small trainings of several machines run side by side, each machine in a process of one thread: threads that share
# a small training wait for each other most of the time.
#
# The table has the times of this study, in the order of the work. The parts of the study are listed before the
# whole; where machines ran side by side, the parts add up the times of all processes and exceed the whole. A stage
# that was not computed again keeps its earlier time. Chapters run two at a time.

# %%
spent = provenance.seconds(chapter.params)
nothing = "No stage's time was taken: the chapters were run one by one."
chapter.table(
    spent,
    label="tab-seconds",
    caption="Seconds per stage and per chapter.",
    decimals=1,
    empty=nothing,
)
