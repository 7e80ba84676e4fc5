"""The table of faults: tried and survived, by command and kind."""

from collections import Counter

import pytest


def pytest_addoption(parser):
    parser.addoption("--every-fault", action="store_true", help="at every access, not at a few")


@pytest.fixture
def tell(record_property):
    """Count faults of one kind for the table at the end, and fail where one was not survived."""

    def tell(what, kind, found):
        tried = [sentence for sentence in found if sentence is not None]
        wrong = [sentence for sentence in tried if sentence]
        record_property("faults", (what, kind, len(tried), len(tried) - len(wrong)))
        assert not wrong, f"{len(wrong)} of {len(tried)}:\n" + "\n".join(wrong[:20])

    return tell


def pytest_terminal_summary(terminalreporter):
    tried, survived = Counter(), Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "faults" and getattr(report, "when", "") == "call":
                    what, kind, count, good = value
                    tried[what, kind] += count
                    survived[what, kind] += good
    if not tried:
        return
    terminalreporter.section("faults")
    rows = [("command", "kind", "tried", "survived")]
    rows += [(*key, str(tried[key]), str(survived[key])) for key in sorted(tried)]
    rows.append(("all", "", str(sum(tried.values())), str(sum(survived.values()))))
    for row in rows:
        terminalreporter.write_line("| " + " | ".join(row) + " |")
        if row is rows[0]:
            terminalreporter.write_line("|---|---|---:|---:|")
