"""The result that a chapter or a figure opens with: its facts, not its wording."""

import numpy as np
import pandas as pd
import pytest

from asdlib import guard
from asdlib.calibration import Alarm
from asdlib.report import answers

NOTHING = pd.DataFrame()


def claim(verdict):
    row = {"system": ("adasub", "s1"), "against": ("adasub", "eq1"), "verdict": verdict}
    row |= {"mean": 0.031, "low": 0.011, "high": 0.051, "seedless": False}
    row |= {"omega": 0.631, "omega_against": 0.6}
    return answers.claim(pd.DataFrame([row], index=["champion"]), "champion")


BOTH = ("Ω is 0.631 with AdaSub + DM + shrink + P95 and 0.600 with AdaSub (", "+0.011 to +0.0")


def alarms(share, label="normal"):
    rows = {"label": [label, label, "anomaly"], "domain": ["source", "target", "target"]}
    rows |= {"system": "S5", "rule": "held out", "share": [share, share, 1.0]}
    rows |= {"low": share / 2, "high": share * 2}
    return answers.alarms(pd.DataFrame(rows), 0.1)


def ideas(*verdicts):
    rows = [("the champion", np.nan, ""), ("not run", np.nan, "needs an encoder")]
    rows += [(f"idea {i}", 0.0, verdict) for i, verdict in enumerate(verdicts)]
    return answers.ideas(pd.DataFrame(rows, columns=["idea", "mean", "verdict"]))


def gates(noise, sound):
    """The gates cost nothing for the fan; for the pump, noise or machine sound in dB."""
    rows = {"machine": ["fan", "pump"], "case": "as recorded"}
    rows |= {"plain noise": 3.0, "gated noise": [3.0, 3.0 - noise]}
    rows |= {"plain machine_sound": 5.0, "gated machine_sound": [1.0, 5.0 + sound]}
    return answers.gates(pd.DataFrame(rows))


REMOVED = pd.DataFrame(
    [("fan", "adasub", 6.04, 1.0), ("a*b", "adasub", 4.0, 2.5), ("fan", "near", 0, 0)],
    columns=["machine", "front_end", "noise", "machine_sound"],
).assign(metres=[4.0, 0.3, 1.0])


def worst(table):
    return answers.worst(table, "metres", "At {:g} m")


GAINS = pd.Series({"fan": 2.5, "pump": np.nan, "a*b": -1.0, "saw": 0.0})


def gains(values):
    return answers.extremes("The gain", values, "{:+.1f} dB".format)


COUNTS = pd.DataFrame({"label": ["anomaly", "normal", "normal"], "alarms": [3, 1, 9]}).assign(
    clips=[4, 8, 9], domain=["all", "all", "source"]
)
ALARM = Alarm(np.arange(9.0), 0.1)  # none of its own recordings is an alarm
FOLLOWS = pd.DataFrame({"machine": ["fan", "saw"], "follows": [0.4, 0.95]})


def checked(*reference):
    return answers.checked(FOLLOWS[: len(reference)].assign(reference=np.array(reference, bool)))


@pytest.mark.parametrize(
    ("told", "begins", "facts"),
    [
        (lambda: claim("helps"), "The paper's re-scoring helps: ", BOTH),
        (lambda: claim("harms"), "The paper's re-scoring harms: ", BOTH),
        (lambda: claim("no robust difference"), "It is not shown that the paper's", BOTH),
        (lambda: answers.claim(NOTHING, "champion"), "", ("do not answer the question",)),
        (lambda: alarms(0.1), "No rule is shown to break the promised 10 %", ("10 % in the sou",)),
        (lambda: alarms(0.4), "No rule keeps the promised 10 %", ("40 % in the target domain",)),
        (lambda: alarms(0.1, "anomaly"), "No false alarm can be counted", ()),
        (lambda: ideas(), "No idea of the paper was run", ()),
        (
            lambda: ideas("harms", "no robust difference", "harms"),
            "3 of 4 ideas",
            ("none helps", "2 harms (idea 0; idea 2)"),
        ),
        (
            lambda: gates(0.5, 0.0),
            "",
            ("by -0.5 to +0.0 dB", "by -4.0 to +0.0", "condition holds."),
        ),
        (lambda: gates(1.5, 0.0), "", ("for pump, as recorded: the condition does not hold",)),
        (lambda: gates(0.0, 1.5), "", ("for pump, as recorded: the condition does not hold",)),
        (
            lambda: answers.removed(REMOVED, "adasub"),
            "AdaSub removes 4.0 dB (a\\*b) to 6.0 dB (fan) of the noise",
            ("1.0 dB (fan) to 2.5 dB (a\\*b) of the machine's sound",),
        ),
        (lambda: worst(REMOVED), "At 0.3 m: ", ("2.5 dB of a\\*b are lost", "4.0 dB of the noise")),
        (lambda: gains(GAINS), "The gain", ("between -1.0 dB (a\\*b) and +2.5 dB (fan)",)),
        (lambda: gains(GAINS[:2]), "The gain is +2.5 dB (fan).", ()),
        (
            lambda: answers.monitored(COUNTS, "pump", 0.1),
            "",
            ("pump finds 3 of 4 (75 %)", "for 1 of 8 (12.5 %) normal clips; 10 % were wanted"),
        ),
        (lambda: answers.monitored(NOTHING, "pump", 0.1), "pump has no labelled test clip", ()),
        (
            lambda: answers.by_condition(COUNTS, {"source": ALARM, "target": ALARM}),
            "A condition with few recordings",
            (
                "In the source domain, 9 recordings allow a true rate of up to 33.6 %. There, 9 of "
                "9 (100 %) normal test clips are alarms. In the target domain, 9 recordings allow",
            ),
        ),
        (
            lambda: checked(True, False),
            "",
            ("0.40 to 0.95 dB", "without the far microphone for saw"),
        ),
        (lambda: checked(True, True), "", ("for every machine",)),
    ],
)
def test_a_sentence_has_who_wins_and_the_values(told, begins, facts):
    said = told()
    assert said.startswith(begins)
    assert all(fact in said for fact in facts), said


def test_without_a_value_there_is_no_sentence():
    nothing = (answers.removed(REMOVED, "lsa"), worst(REMOVED[:0]), gains(GAINS[1:2]), checked())
    assert (*nothing, answers.by_condition(COUNTS, {"source": ALARM})) == ("",) * 5
    assert "test clips" not in answers.by_condition(NOTHING, {"source": ALARM, "target": ALARM})


def test_the_guard_refuses_every_attempt_that_needs_a_second_clip():
    lines = answers.guarded(guard.PerClip([1.0, 2.0, 3.0]))
    assert len(lines) == 4
    assert all(": refused. *" in line for line in lines)
