"""Every rule for answers: what it promises, whether breaking it quarantines, and every place that enforces it.

This is the one list of rules. The mutation score (``nox -s mutation``) holds each of them to it: it must
fire in every endpoint that it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from pipeline.contracts.shapes import ENDPOINT_NAMES, ENVELOPES, EVENT_LISTS, ONE_EVENT, PRICED

Severity = Literal["quarantine", "hold", "finding"]

_PARSER: Final = "pipeline/contracts/strict_json.py"
_JUDGE: Final = "pipeline/contracts/judgement.py"
_SEMANTICS: Final = "pipeline/contracts/semantics.py"


@dataclass(frozen=True, slots=True)
class Rule:
    """One promise about answers.

    Attributes:
        id: stable; stands in every finding.
        severity: ``quarantine`` keeps the answer out of silver and gold; ``hold`` the smallest element of it that stands alone,
            or all of it where nothing else stands; a ``finding`` lets it in and flags the market.
        promise: what holds for every good answer.
        where: the file that enforces it; ``{endpoint}`` stands for each of the endpoints.
        endpoints: those whose answers it looks at.
        problems: what ``silver.quotes.problem`` says of a market that breaks it; empty where SQL does not look.
        in_the_wild: whether the API itself breaks it now and then, so that a true answer may have such a finding.
        backstop: whether it can fire only where another rule has failed to.
    """

    id: str
    severity: Severity
    promise: str
    where: str
    endpoints: tuple[str, ...] = ENDPOINT_NAMES
    problems: tuple[str, ...] = ()
    in_the_wild: bool = False
    backstop: bool = False


def _table(rules: Iterable[Rule]) -> Mapping[str, Rule]:
    return MappingProxyType({rule.id: rule for rule in rules})


# The order is that of findings in a verdict.
RULES: Final[Mapping[str, Rule]] = _table(
    (
        Rule("body.missing", "quarantine", "An answer has a body.", _JUDGE),
        Rule("body.size", "quarantine", "A body has at most 32 MiB and a million values.", _PARSER),
        Rule("body.utf8", "quarantine", "A body is UTF-8.", _PARSER),
        Rule("json.syntax", "quarantine", "A body is one JSON document and nothing else.", _PARSER),
        Rule("json.depth", "quarantine", "Nothing is nested deeper than 100.", _PARSER),
        Rule("json.constant", "quarantine", "NaN and Infinity, which are no JSON, do not occur.", _PARSER),
        Rule("json.duplicate_key", "quarantine", "A key stands once in an object.", _PARSER),
        Rule("json.number", "quarantine", "A number has at most 30 digits and an exponent within 30.", _PARSER),
        Rule("json.surrogate", "quarantine", "Surrogates come in pairs.", _PARSER),
        Rule("json.nul", "quarantine", "No string holds a NUL.", _PARSER),
        Rule(
            "json.postgres",
            "quarantine",
            "PostgreSQL takes the body as jsonb.",
            "pipeline/bronze/batch_load.py",
            backstop=True,
        ),
        Rule("schema", "hold", "The answer keeps its endpoint's schema.", "contracts/odds_api/{endpoint}.schema.json"),
        Rule("identity.event", "quarantine", "The event is the one asked for.", _JUDGE, ONE_EVENT),
        Rule("identity.sport", "quarantine", "Every event is of the sport asked for.", _JUDGE, (*EVENT_LISTS, *ONE_EVENT)),
        Rule("identity.duplicate_event", "hold", "An event stands once in an answer.", _JUDGE, EVENT_LISTS),
        Rule("identity.duplicate_sport", "hold", "A sport stands once in an answer.", _JUDGE, ("sports",)),
        Rule("identity.duplicate_participant", "hold", "A participant stands once in an answer.", _JUDGE, ("participants",)),
        Rule("identity.duplicate_bet", "hold", "A bet stands once in an answer.", _JUDGE, ("bets",)),
        Rule("identity.duplicate_prediction", "hold", "A prediction stands once in an answer.", _JUDGE, ("predictions",)),
        Rule("envelope.after_date", "finding", "An envelope's timestamp is not after the date asked.", _SEMANTICS, ENVELOPES),
        Rule(
            "envelope.neighbours",
            "finding",
            "An envelope's previous timestamp is earlier than its own, and its next one later.",
            _SEMANTICS,
            ENVELOPES,
        ),
        Rule(
            "list.sorted",
            "finding",
            "Events come in order of commence_time.",
            _SEMANTICS,
            tuple(name for name in EVENT_LISTS if name != "scores"),
        ),
        Rule("event.teams", "finding", "An event has two different teams, or none.", _SEMANTICS, (*EVENT_LISTS, *ONE_EVENT)),
        Rule("scores.names", "finding", "Scores are those of the event's teams.", _SEMANTICS, ("scores",)),
        Rule(
            "odds.repeated",
            "finding",
            "A bookmaker stands once in an event, and a market once in a bookmaker.",
            _SEMANTICS,
            (*PRICED, "event_markets"),
        ),
        Rule(
            "time.ahead",
            "finding",
            "No last_update is more than 5 minutes later than the answer.",
            _SEMANTICS,
            (*PRICED, "scores"),
        ),
        Rule(
            "time.stale",
            "finding",
            "No quote was last read more than 20 minutes before the answer: the API serves 15, the rest is the capture's.",
            _SEMANTICS,
            PRICED,
        ),
        Rule(
            "odds.format",
            "finding",
            "A price is one of the odds format asked for: decimal from 1, american outside of ±100.",
            _SEMANTICS,
            PRICED,
            problems=("price_out_of_range",),
        ),
        Rule(
            "market.outcome_names",
            "finding",
            "Outcomes of h2h are the two teams or Draw, of spreads the two teams, of totals Over and Under.",
            _SEMANTICS,
            PRICED,
            problems=("unknown_outcomes", "incomplete"),
        ),
        Rule(
            "market.outcome_set",
            "finding",
            "A market has each of its outcomes once: h2h as many as the sport's rules expect, a lay market perhaps fewer.",
            _SEMANTICS,
            PRICED,
            problems=("unexpected_outcome_set", "incomplete"),
            in_the_wild=True,
        ),
        Rule("market.point_missing", "finding", "Outcomes of spreads and totals have points.", _SEMANTICS, PRICED),
        Rule(
            "spreads.points",
            "finding",
            "The two points of a pair of spreads are opposite.",
            _SEMANTICS,
            PRICED,
            problems=("incomplete",),
        ),
        Rule(
            "totals.points",
            "finding",
            "Over and Under of totals have the same point.",
            _SEMANTICS,
            PRICED,
            problems=("incomplete",),
        ),
        Rule(
            "market.placeholder_price",
            "finding",
            "A price is above 1.001, which stands for a market that is closed.",
            _SEMANTICS,
            PRICED,
            problems=("placeholder_price", "price_out_of_range"),
            in_the_wild=True,
        ),
        Rule(
            "market.overround",
            "finding",
            "The probabilities of one book's whole h2h, spreads or totals add up to what the seed `parameters` allows.",
            _SEMANTICS,
            PRICED,
            problems=("overround_too_low", "overround_too_high"),
            in_the_wild=True,
        ),
    )
)
