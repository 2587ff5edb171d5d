"""How many mutants were killed, by which rule, where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Trial:
    """One mutant and what became of it.

    Attributes:
        rule: that must fire.
        mutant: what was broken.
        place: that claims to enforce the rule, e.g. the endpoint.
        killer: what enforces it there.
        killed: whether it fired, and with its severity.
    """

    rule: str
    mutant: str
    place: str
    killer: str
    killed: bool


@dataclass(frozen=True, slots=True)
class Score:
    """The result of all trials.

    Attributes:
        trials: all of them.
        silent: ``rule at place`` where no mutant was killed though the rule claims to look there.
        accused: good answers (or rows) that a rule fired on, each with that rule.
        apart: rules that no mutant can reach, each with the reason.
    """

    trials: Sequence[Trial]
    silent: Sequence[str] = ()
    accused: Sequence[str] = ()
    apart: Sequence[str] = ()

    @property
    def percent(self) -> float:
        """Killed mutants among all, silent places counted as survivors."""
        whole = len(self.trials) + len(self.silent)
        return 100 * sum(trial.killed for trial in self.trials) / whole if whole else 0.0

    @property
    def ok(self) -> bool:
        """Whether every mutant was killed, at every place, and nothing good was."""
        return self.percent == 100 and not self.accused

    @property
    def exit_code(self) -> int:
        """0, or 1 below 100 % or on a false alarm."""
        return 0 if self.ok else 1

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "percent": round(self.percent, 2),
            "rules": len({trial.rule for trial in self.trials}),
            "trials": len(self.trials),
            "survived": [
                {"rule": trial.rule, "mutant": trial.mutant, "place": trial.place} for trial in self.trials if not trial.killed
            ],
            "silent": list(self.silent),
            "accused": list(self.accused),
            "apart": list(self.apart),
        }

    def lines(self) -> list[str]:
        """For people."""
        return self.text().splitlines()

    def text(self) -> str:
        """The table for people: rule, mutant, killer, places, killed of all; then what is wrong, and the score."""
        groups: dict[tuple[str, str, str], list[Trial]] = defaultdict(list)
        for trial in self.trials:
            groups[trial.rule, trial.mutant, trial.killer].append(trial)
        rows = [("rule", "mutant", "killer", "places", "killed")]
        for (rule, mutant, killer), trials in groups.items():
            places = len({trial.place for trial in trials})
            rows.append((rule, mutant, killer, str(places), f"{sum(trial.killed for trial in trials)}/{len(trials)}"))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += [f"SURVIVED {t.rule}: {t.mutant}, at {t.place}" for t in self.trials if not t.killed]
        lines += [f"SILENT {place}" for place in self.silent]
        lines += [f"ACCUSED {who}" for who in self.accused]
        lines += [f"apart: {reason}" for reason in self.apart]
        rules = len({trial.rule for trial in self.trials})
        lines.append(f"mutation score {self.percent:.2f} %: {rules} rules, {len(self.trials)} trials")
        return "\n".join(lines)


def together(*scores: Score) -> Score:
    """One score of several."""
    return Score(
        [trial for score in scores for trial in score.trials],
        [each for score in scores for each in score.silent],
        [each for score in scores for each in score.accused],
        [each for score in scores for each in score.apart],
    )
