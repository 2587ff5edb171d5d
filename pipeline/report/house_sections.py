"""Sections of what stands behind the prices: the books, calibration, then proof and health. Pure functions of the facts."""

from __future__ import annotations

from pipeline.replay.run import ReplaySummary
from pipeline.report.amounts import age
from pipeline.report.book_facts import BookRow, Books
from pipeline.report.facts import Facts
from pipeline.report.grids import Cell, Column, change, number, share, since, table
from pipeline.report.parts import Part, Section
from pipeline.report.proof_facts import total
from pipeline.report.wording import market_title
from pipeline.texts import shown

HORIZONS = {"opening": "opening", "24h": "24 h", "6h": "6 h", "1h": "1 h", "15min": "15 min"}
SETS = {"two_way": "two-way", "three_way": "three-way", "yes_no": "yes or no", "field": "field"}
STATES = {"sealed": "sealed", "published": "published", "withheld": "withheld"}


def books_section(books: Books) -> Section:
    """Hold, closing coverage, uptime and closing line value of each book."""
    rows = table(
        "books-table",
        "The books",
        (
            "Book",
            "Sport",
            Column("Hold, moneyline", True, "what it keeps of balanced stakes: 1 − 1 / sum of the implied probabilities"),
            Column("Hold, spread", True, "likewise"),
            Column("Hold, total", True, "likewise"),
            Column("Closes", True, "markets of games that began with a price at most 30 min old at the start"),
            Column("Uptime", True, "of events that it was asked for, how often it was there"),
            Column("CLV, 1 h", True, "price an hour before × closing consensus − 1, where the point had not moved"),
            Column("CLV, 24 h", True, "likewise, a day before"),
            Column("Stale", True, "quotes that were too old to use"),
            Column("Far off", True, "sets far from those of the other books"),
        ),
        (_book(row) for row in books.rows),
        "No book has quoted a complete price before a start.",
    )
    clv = table(
        "clv",
        "Closing line value by book and time before the start",
        ("Book", "Sport", "Taken", "Prices #", "Same point #", "Worth at the close #", "Against its own close #"),
        (
            (
                row.book,
                row.sport_title,
                Cell(HORIZONS.get(row.horizon, row.horizon), str(list(HORIZONS).index(row.horizon)))
                if row.horizon in HORIZONS
                else row.horizon,
                row.prices,
                share(row.same_point_share, 0),
                change(row.mean_ev, 2),
                change(row.mean_price, 2),
            )
            for row in books.clv
        ),
        "No game that began has a close to hold earlier prices against.",
    )
    return Section(
        "books",
        "The books",
        "What each book keeps, whether it has a close, whether it is there, and what its prices were worth at the close.",
        (
            Part(
                notes=(
                    "Holds are means over complete, unbroken sets before the start, each stretch of no change counted once. "
                    "Over all outcomes the closing line value of a book is about minus its margin: what tells books apart is "
                    "how much.",
                ),
                table=rows,
            ),
            Part(title="Closing line value over time", line=f"{len(books.clv):,} rows", is_folded=True, table=clv),
        ),
    )


def _book(row: BookRow) -> tuple[Cell | str | int, ...]:
    closes = (
        Cell("–", "-1", tone="soft")
        if not row.closable
        else Cell(
            f"{100 * row.closes / row.closable:.0f} %", f"{row.closes / row.closable:.6f}", f"{row.closes} of {row.closable}"
        )
    )
    return (
        Cell(row.book, note="exchange, before commission" if row.is_exchange else ""),
        row.sport_title,
        share(row.hold_h2h, 2),
        share(row.hold_spreads, 2),
        share(row.hold_totals, 2),
        closes,
        share(row.uptime, 0),
        change(row.clv_1h, 1, _prices(row.prices_1h)),
        change(row.clv_24h, 1, _prices(row.prices_24h)),
        share(row.stale_share),
        share(row.outlier_share),
    )


def _prices(count: int) -> str:
    return f"{count:,} prices" if count else ""


def calibration_section(books: Books) -> Section:
    """How well probabilities fitted what happened, where enough events are graded; else how far it is to that."""
    played = f"{books.completed:,} events have a final score here."
    if books.calibration:
        empty = ""
    elif books.graded:
        told = ", ".join(f"{each.sport_title} has {each.most_events:,}" for each in books.graded[:6])
        empty = f"Too few graded events to say anything: it takes {books.needed:,} of one kind, and {told}."
    else:
        empty = "No probability has met a graded result yet: it takes final scores, from the scores endpoint or imported."
    rows = table(
        "calibration-table",
        "Calibration by book and hours to the start",
        (
            "Sport",
            "Market",
            "Book",
            Column("Hours before", True, "0 is the close"),
            "Events #",
            Column("Brier score", True, "mean squared difference of probability and outcome; lower is better"),
            Column("± at least", True, "standard error: games of one day are not independent, so this is the least"),
            "Log loss #",
        ),
        (
            (
                row.sport_title,
                Cell(market_title(row.market_key), note=SETS.get(row.outcome_set, "")),
                row.book,
                Cell("close", "0") if row.horizon_hours == 0 else row.horizon_hours,
                row.n_events,
                number(f"{row.brier:.4f}", row.brier),
                number("–" if row.brier_se is None else f"{row.brier_se:.4f}", row.brier_se),
                number(f"{row.log_loss:.4f}", row.log_loss),
            )
            for row in books.calibration
        ),
        empty,
    )
    return Section(
        "calibration",
        "Calibration",
        f"How well each book’s chances fitted what happened. {played}",
        (
            Part(
                notes=("Two-way and three-way markets are not comparable, nor are books over different events.",)
                if books.calibration
                else (),
                table=rows,
            ),
        ),
    )


def proof_section(facts: Facts, replayed: ReplaySummary | None) -> Section:
    """What was taken in, proven and spent, a line each."""
    return Section(
        "proof",
        "Proof and health",
        "Where the numbers come from, a line each.",
        (_taken_in(facts), _checks(facts), _proven(facts, replayed), _health(facts), _credits(facts)),
    )


def _taken_in(facts: Facts) -> Part:
    proof = facts.proof
    states = dict(proof.batch_states)
    withheld, quarantined = states.get("withheld", 0), sum(batch.quarantined for batch in proof.batches)
    notable = [batch for batch in proof.batches if batch.state == "withheld" or batch.quarantined or batch.failures]
    return Part(
        title="Taken in",
        line=f"{total(proof.batch_states):,} batches, {states.get('published', 0):,} published, {withheld:,} withheld; "
        f"{quarantined:,} answers quarantined",
        tone="bad" if withheld else "good",
        is_folded=True,
        notes=(
            "A batch is a sealed set of API answers. It is published as a whole, with every check passed, or withheld. A "
            "quarantined answer broke its contract; it is kept, and nothing here depends on it.",
        ),
        table=table(
            "batches-notable",
            "Batches that are withheld, or have answers that failed or are quarantined",
            (
                "Batch",
                "State",
                "Requests #",
                "Failures #",
                "Quarantined #",
                "Waived #",
                "Withdrawn #",
                "Failed checks #",
                "Why",
            ),
            (
                (
                    batch.batch_id,
                    STATES.get(batch.state, batch.state),
                    batch.exchanges,
                    batch.failures,
                    batch.quarantined,
                    batch.waived,
                    batch.withdrawn,
                    batch.failed_checks,
                    shown(batch.detail or "", 160),
                )
                for batch in notable
            ),
            "None is withheld, and every answer came and kept to its contract.",
        ),
    )


def _checks(facts: Facts) -> Part:
    checks = facts.proof.checks
    passed, warned, failed = (sum(getattr(check, name) for check in checks) for name in ("passed", "warned", "failed"))
    return Part(
        title="Checks",
        line=f"{passed:,} passed, {warned:,} warned, {failed:,} failed",
        tone="bad" if failed else "good",
        is_folded=True,
        table=table(
            "checks",
            "Checks, and of how many batches they passed",
            ("Check", "Passed #", "Warned #", "Failed #"),
            ((check.name, check.passed, check.warned, check.failed) for check in checks),
            "No check has run.",
        ),
    )


def _proven(facts: Facts, replayed: ReplaySummary | None) -> Part:
    if replayed is None:
        line, tone, digests = "not replayed for this report; the digests that are kept", "", facts.proof.digests
        notes: tuple[str, ...] = (
            "This is a standing warehouse. “sports-market verify” recomputes each digest from all rows of its table.",
        )
    else:
        proven, different = replayed.count("proven") + replayed.count("covered"), replayed.count("different")
        compared = (
            f"{proven:,} states equal their snapshot, {different:,} differ, {replayed.count('new'):,} have none"
            if proven or different
            else f"nothing to compare with: none of {replayed.count('new'):,} states has a snapshot"
        )
        line = f"{compared}; {len(replayed.failures):,} failures"
        tone = "bad" if different or replayed.failures else "good" if proven else ""
        digests = tuple(replayed.digests.items())
        notes = (
            f"The recording was replayed for this report. {replayed.outcomes_in_bodies:,} outcomes were counted in admitted "
            f"bodies, and {replayed.outcomes_in_silver:,} are in silver. A state is proven where it equals the snapshot beside "
            "the recording.",
            *(f"Failed: {shown(failure)}" for failure in replayed.failures),
        )
    return Part(
        title="Proof",
        line=line,
        tone=tone,
        is_folded=True,
        notes=notes,
        table=table("digests", "Digests of gold", ("Table", "Digest"), digests, "No table of gold is there."),
    )


def _health(facts: Facts) -> Part:
    newest = tuple(reversed(facts.proof.batches))
    last = next((batch for batch in newest if batch.outcomes is not None), None)
    if last is None:
        line = "no batch is published"
    else:
        before = "" if last.outcomes_median is None else f" (half of those before it brought {last.outcomes_median:,} or more)"
        line = f"the newest batch brought {last.outcomes:,} outcomes of {last.events:,} events{before}"
        if last.quote_age_p50_seconds is not None:
            line += f"; half of its quotes are at most {age(last.quote_age_p50_seconds)} old"
    return Part(
        title="Batch health",
        line=line,
        is_folded=True,
        notes=(
            "What each batch brought, beside the median of up to 20 batches of its plan before it. Ages are from when a book "
            "was read to the answer. “Results missing” are games whose score the API will soon forget.",
        ),
        table=table(
            "health",
            "Batches, the newest first",
            (
                "Batch",
                "State",
                "Requests #",
                "Failures #",
                "Events #",
                "Books #",
                "Outcomes #",
                "Median before #",
                "Half of quotes within #",
                "95 % within #",
                "Starts doubted #",
                "Results missing #",
            ),
            (
                (
                    batch.batch_id,
                    STATES.get(batch.state, batch.state),
                    batch.exchanges,
                    batch.failures,
                    batch.events,
                    batch.books,
                    batch.outcomes,
                    batch.outcomes_median,
                    since(batch.quote_age_p50_seconds),
                    since(batch.quote_age_p95_seconds),
                    batch.starts_suspect,
                    batch.results_missing,
                )
                for batch in newest
            ),
            "No batch was taken in.",
        ),
    )


def _credits(facts: Facts) -> Part:
    spent = facts.proof.credits
    if spent:
        computed, reported = sum(row.computed for row in spent), sum(row.reported for row in spent)
        line = f"{computed:,} by the rules, {reported:,} by the API’s word"
    else:
        line = "none spent here: what was imported cost nothing"
    return Part(
        title="Credits",
        line=line,
        is_folded=True,
        table=table(
            "credits",
            "Credits spent, by day, endpoint and sport",
            ("Day", "Endpoint", "Sport", "Calls #", "By the rules #", "By the API’s word #", "In doubt #"),
            (
                (row.day.isoformat(), row.endpoint, row.sport_title, row.calls, row.computed, row.reported, row.doubtful)
                for row in spent
            ),
            "No call of our own is in this warehouse.",
        ),
    )
