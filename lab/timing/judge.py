"""Judging: several runs of each subject between its controls, and what may be said after them."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Final, NamedTuple

import numpy as np

from lab.timing.harness import ALARM, LOUD, Run, Subject, run
from lab.timing.subjects import LEAKS, SILENT, SUBJECTS

QUICK_CALLS, QUICK_RUNS = 20_000, 5
LONG_CALLS, LONG_RUNS = 1_000_000, 5
REPEATS: Final = 3  # how often an inconclusive round is measured again
CONFIRMATIONS: Final = 2  # rounds in which a difference must be seen again: a busy machine gives one now and then, a leak gives it always


class Row(NamedTuple):
    """One subject: its role (leak, control, subject), its runs, and whether it is as it should be."""

    subject: Subject
    role: str
    runs: tuple[Run, ...]

    @property
    def t(self) -> float:
        """Return the median of |t| over the runs."""
        return median(each.t for each in self.runs)

    @property
    def good(self) -> bool:
        """Tell whether a leak control is loud, and everything else below the alarm."""
        return self.t > LOUD if self.role == "leak" else self.t < ALARM

    def plain(self) -> dict[str, Any]:
        """Return the row in plain types."""
        return {"subject": self.subject.name, "what": self.subject.what, "role": self.role, "t_median": round(self.t, 2),
                "t_runs": [round(each.t, 2) for each in self.runs], "good": self.good,
                "effect_ns": [round(each.effect_ns, 1) for each in self.runs],
                "effect_ns_95": [[round(each.low_ns, 1), round(each.high_ns, 1)] for each in self.runs],
                "call_ns": round(median(each.median_ns for each in self.runs), 1)}  # fmt: skip


class Verdict(NamedTuple):
    """One round: all rows; `conclusive` when every control behaved, `good` when the subjects did too."""

    rows: tuple[Row, ...]

    @property
    def conclusive(self) -> bool:
        """Tell whether the method saw what is there, and nothing that is not."""
        return all(row.good for row in self.rows if row.role != "subject")

    @property
    def good(self) -> bool:
        """Tell whether no subject showed a difference, in a conclusive round."""
        return self.conclusive and all(row.good for row in self.rows)

    @property
    def word(self) -> str:
        """Return the verdict in a word."""
        return "no difference seen" if self.good else "DIFFERENCE SEEN" if self.conclusive else "inconclusive"


def judge(
    calls: int = QUICK_CALLS, runs: int = QUICK_RUNS, subjects: Sequence[Subject] = SUBJECTS, tell: Callable[[str], None] = lambda _: None
) -> Verdict:
    """Measure controls and subjects in turns; again while the controls do not behave, and again where a difference was seen.

    A difference counts when the same subject shows it in three conclusive rounds; the last round is returned.
    """
    verdict = _conclusive(calls, runs, subjects, tell)
    for _ in range(CONFIRMATIONS):
        seen = [row.subject for row in verdict.rows if row.role == "subject" and not row.good]
        if not verdict.conclusive or not seen:
            break
        again = _conclusive(calls, runs, seen, tell)
        kept = tuple(row for row in verdict.rows if row.subject not in seen and row.role == "subject")
        verdict = Verdict(
            (*(row for row in again.rows if row.role != "subject"), *kept, *(row for row in again.rows if row.role == "subject"))
        )
    return verdict


def _conclusive(calls: int, runs: int, subjects: Sequence[Subject], tell: Callable[[str], None]) -> Verdict:
    """Measure one round; again, at most three times, while the controls do not behave."""
    rng = np.random.default_rng()
    roles = [*((each, "leak") for each in LEAKS), (SILENT, "control"), *((each, "subject") for each in subjects)]
    verdict = Verdict(())
    for attempt in range(1 + REPEATS):
        done: dict[str, list[Run]] = {subject.name: [] for subject, _ in roles}
        for number in range(runs):
            for subject, role in roles:
                size = min(calls, QUICK_CALLS) if role == "leak" else calls
                tell(f"round {attempt + 1}, run {number + 1} of {runs}: {subject.name}")
                done[subject.name].append(run(subject, size, rng))
        verdict = Verdict(tuple(Row(subject, role, tuple(done[subject.name])) for subject, role in roles))
        if verdict.conclusive:
            break
    return verdict
