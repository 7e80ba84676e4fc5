"""Score tables whose official values are known by hand.

One clip per domain and label. In ``HALF`` the order from the top is anomaly, target normal,
anomaly, source normal: source AUC 1, target AUC 1/2, and up to a false-positive rate of 0.1 the
curve lies at 1/2, so that the McClish-standardised partial AUC is
(1 + (0.05 - 0.005) / (0.1 - 0.005)) / 2 = 14/19. Omega is 3 / (1 + 2 + 19/14) = 42/61.
"""

import pandas as pd

PERFECT = {"source normal": 0.0, "target normal": 0.0, "source anomaly": 9.0, "target anomaly": 9.0}
HALF = {"source normal": 1.0, "target normal": 3.0, "source anomaly": 2.0, "target anomaly": 4.0}
OMEGA_OF_HALF = 42 / 61


def rows(machine, front_end, scorer, seeds, *, train=()):
    """Rows of a study: ``seeds`` maps a seed to the scores of its four test clips."""
    common = {"machine": machine, "front_end": front_end, "scorer": scorer}
    found = []
    for seed, values in seeds.items():
        for i, score in enumerate(train):
            clip = {"split": "train", "domain": "source", "label": "normal", "name": f"train{i}"}
            found.append({**common, "seed": seed, **clip, "score": score})
        for kind, score in values.items():
            domain, label = kind.split()
            clip = {"split": "test", "domain": domain, "label": label, "name": kind}
            found.append({**common, "seed": seed, **clip, "score": score})
    return pd.DataFrame(found)


def joined(*parts):
    """Rows of several systems as one table."""
    return pd.concat(parts, ignore_index=True)
