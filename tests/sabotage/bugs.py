"""Bugs that pipelines of this kind had, as edits of this code: each is put back in, and something must find it.

None is taken off the list. An edit names a file, a text that stands in it exactly once, and what to write instead.
"""

# ruff: noqa: E501 (texts stand as they do in the code)

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug to be put back.

    Attributes:
        name: what goes wrong, in a few words.
        origin: where it comes from: ``first version``, what first versions of such pipelines do; ``public``, what users of others
            reported; ``here``, what this project had, or came near to.
        file: that is edited.
        old: a text in it.
        new: what stands there instead.
        tests: what of the test suite to ask where no replay finds it; empty where a replay must.
    """

    name: str
    origin: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()


_QUOTES: Final = "dbt/models/silver/quotes.sql"
_HISTORY: Final = "dbt/models/gold/prices/price_history.sql"
_PRICES, _SETS = "dbt/macros/prices.sql", "dbt/macros/sets.sql"
_PARAMETERS: Final = "dbt/seeds/parameters.csv"

BUGS: Final = (
    # what a quote is
    Bug(
        "last_update is part of a series' key", "first version", _QUOTES,
        "key_part('outcome_name'), 'key_point'\n", "key_part('outcome_name'), 'key_point', 'last_update'\n",
    ),
    Bug(
        "the point is missing from the key", "first version", _QUOTES,
        "case when is_point_in_key then point end as key_point", "cast(null as numeric(8, 3)) as key_point",
    ),
    Bug(
        "prices are cast to integer", "first version", _PRICES,
        "when {{ odds_format }} = 'decimal' and {{ price_native }} >= 1 then {{ price_native }}\n",
        "when {{ odds_format }} = 'decimal' and {{ price_native }} >= 1 then round({{ price_native }})\n",
    ),
    Bug(
        "probabilities go through a float", "public", _PRICES,
        "cast({{ implied_by(price_native, odds_format, '1', '100', 'abs(' ~ price_native ~ ')') }} as numeric(12, 10))",
        "cast(cast({{ implied_by(price_native, odds_format, '1', '100', 'abs(' ~ price_native ~ ')') }} as real) as numeric(12, 10))",
    ),
    Bug(
        "negative American odds are read as positive ones", "public", _PRICES,
        "then 1 + 100 / abs({{ price_native }})", "then 1 + abs({{ price_native }}) / 100",
    ),
    Bug(
        "draws are dropped", "first version", _SETS,
        "when homes + aways + draws = set_size and draws > 0 then 'three_way'", "when draws > 9 then 'three_way'",
    ),
    Bug(
        "the away side's handicap keeps its sign", "public", _SETS,
        "when {{ row }}.outcome_side = 'away' then -{{ row }}.point", "when {{ row }}.outcome_side = 'away' then {{ row }}.point",
    ),
    Bug(
        "a set without one of its outcomes counts", "public", _SETS,
        "when 'three_way' then homes = 1 and aways = 1 and draws = 1", "when 'three_way' then homes = 1 and aways = 1",
        ("tests/transform/test_dbt_tests.py", "tests/transform/test_margins.py", "tests/replay/test_odd_answers.py"),
    ),
    Bug(
        "placeholder prices are prices", "here", _SETS,
        "when lowest_price <= 1.001 then 'placeholder_price'", "when lowest_price <= 0 then 'placeholder_price'",
        ("tests/transform/test_margins.py", "tests/replay/test_odd_answers.py"),
    ),
    Bug(
        "a quote is younger than its answer says", "here", _QUOTES,
        "least(captured_at, last_update) as quote_at", "captured_at as quote_at",
    ),
    # what holds over time
    Bug(
        "a change of format is a change of price", "here", _HISTORY,
        "when compared_format is distinct from was_format and {{ prices_differ('compared', 'was') }} then 'changed'",
        "when compared_format is distinct from was_format then 'changed'",
        ("tests/replay/test_odd_answers.py", "tests/replay/test_wild_markets.py"),
    ),
    Bug(
        "a change of point is no change", "first version", _HISTORY,
        "when point is distinct from was_point then 'changed'", "when false then 'changed'",
    ),
    Bug(
        "the start of play is no change", "public", _HISTORY,
        "when phase_as_known is distinct from was_phase then 'phase'", "when false then 'phase'",
    ),
    Bug(
        "a book that drops out keeps its last price", "public", _HISTORY,
        "when was_present then absence", "when was_present and false then absence",
    ),
    Bug(
        "of two moments at one time the earlier speaks", "here", _HISTORY,
        "order by series_id, line_rank, captured_at, is_present desc, moment_at desc",
        "order by series_id, line_rank, captured_at, is_present desc, moment_at",
        ("tests/replay/test_switching.py", "tests/replay/test_wild_markets.py"),
    ),
    Bug(
        "last-seen times of open rows move with each answer", "here", _HISTORY,
        "case when followed.valid_to is not null then followed.last_seen end as last_seen_at",
        "followed.last_seen as last_seen_at",
    ),
    Bug(
        "what was seen before the tail is not counted", "here", _HISTORY,
        "stretches.observations_in_tail + coalesce(earlier.observations, 0) as seen_times",
        "stretches.observations_in_tail as seen_times",
    ),
    Bug(
        "a watermark by the newest batch loses late ones", "first version", "dbt/macros/prepare_run.sql",
        "where not ledger.is_settled\n",
        "where not ledger.is_settled\n    and ledger.batch_id >= coalesce((select max(l.batch_id) from ops.ledger as l where l.applied), '')\n",
    ),
    # what books agree on
    Bug(
        "Newton's method ends too early", "public", "dbt/macros/fair.sql",
        "    where before.step > 1e-17 and before.nth < 100\n)\n\nselect\n    solved.implied_probabilities,\n    cast(solved.k",
        "    where before.step > 1e-4 and before.nth < 100\n)\n\nselect\n    solved.implied_probabilities,\n    cast(solved.k",
    ),
    Bug(
        "the median of an even number is the lower one", "public", "dbt/macros/median.sql",
        "({{ ordered }})[(cardinality({{ ordered }}) + 2) / 2]) / 2)", "({{ ordered }})[(cardinality({{ ordered }}) + 1) / 2]) / 2)",
    ),
    Bug(
        "books of one desk vote twice", "here", "dbt/macros/votes.sql",
        "partition by {{ line_columns }}, outcome_name, operator_group order by overround, bookmaker_key\n    ) = 1 as speaks",
        "partition by {{ line_columns }}, outcome_name, bookmaker_key order by overround, bookmaker_key\n    ) = 1 as speaks",
    ),
    Bug(
        "limits of both phases are exchanged", "here", "dbt/macros/votes.sql",
        "case when {{ phase }} = 'pre' then {{ parameter('outlier_pre') }}",
        "case when {{ phase }} <> 'pre' then {{ parameter('outlier_pre') }}",
    ),
    Bug(
        "ties are broken by chance", "first version", "dbt/macros/votes.sql",
        "order by ratio, operator_group, bookmaker_key", "order by ratio, random()",
        ("tests/lint",),
    ),
    Bug(
        "an aggregate has no order", "first version", "dbt/models/gold/fair/margins.sql",
        "array_agg(outcome_side order by outcome_name) as outcome_sides", "array_agg(outcome_side) as outcome_sides",
        ("tests/lint",),
    ),
    Bug(
        "the wall clock says what is known", "first version", "dbt/macros/clv.sql",
        "where moment.at < event.start_at and moment.at <= known.known_until",
        "where moment.at < event.start_at and moment.at <= current_timestamp",
    ),
    Bug(
        "hold is the margin", "public", "dbt/models/gold/fair/margins.sql",
        "cast(1 - round(1, 48) / judged.overround as numeric(18, 10)) end as hold",
        "cast(judged.overround - 1 as numeric(18, 10)) end as hold",
    ),
    Bug(
        "closing quotes are read after the start", "public", "dbt/macros/closings.sql",
        "and q.quote_at <= event.start_at\n", "and q.quote_at <= event.start_at + interval '1 hour'\n",
    ),
    Bug(
        "an old close is a close", "here", "dbt/macros/scoring.sql",
        "{{ close_status }} in ('ok', 'aged')", "{{ close_status }} in ('ok', 'aged', 'old')",
    ),
    Bug(
        "a threshold is another one", "here", _PARAMETERS, "steam_window_seconds,900", "steam_window_seconds,1800",
        ("tests/transform/test_steam.py",),
    ),
    Bug("fresh is as long as it likes", "here", _PARAMETERS, "fresh_age_in_play_seconds,90\n", "fresh_age_in_play_seconds,9000\n"),
    # how it is kept
    Bug(
        "a session has the machine's own time zone", "first version", "pipeline/warehouse/connect.py",
        '    "TimeZone": "UTC",\n    "DateStyle"', '    "TimeZone": "America/New_York",\n    "DateStyle"',
        ("tests/warehouse/test_connect.py",),
    ),
    Bug(
        "a digest forgets a column", "here", "pipeline/warehouse/digest.py",
        "for column in columns)})\"", "for column in columns[:-1])})\"",
    ),
    Bug(
        "the lock is not taken", "here", "pipeline/transform/apply.py",
        "        take_transform_lock(session, warehouse)\n        _execute(session, \"delete from ops.run_batches\")\n        _execute(session, \"insert into ops.run_batches select unnest",
        "        _execute(session, \"delete from ops.run_batches\")\n        _execute(session, \"insert into ops.run_batches select unnest",
        ("tests/transform/test_one_transaction.py", "tests/runs/test_all_or_nothing.py"),
    ),
    Bug(
        "there is a commit between gold and its progress", "public", "pipeline/transform/apply.py",
        "            raise_alerts(session, batch_ids)\n", "            raise_alerts(session, batch_ids)\n            session.commit()\n",
        ("tests/transform/test_one_transaction.py", "tests/runs/test_all_or_nothing.py", "tests/runs/test_crashes.py"),
    ),
    Bug(
        "bronze can be changed", "first version", "init_db/002_bronze.sql",
        "    raise exception 'bronze is append-only: % on %.% is refused', tg_op, tg_table_schema, tg_table_name\n"
        "        using errcode = 'insufficient_privilege';\n",
        "    return null;\n",
        ("tests/bronze/test_append_only.py",),
    ),
    # how it is asked for
    Bug(
        "the key is in a log", "public", "pipeline/odds_api/client.py",
        '_LOG.debug("Asking %s.", target)', '_LOG.debug("Asking %s with %s.", target, [each.reveal() for each in self._secrets])',
        ("tests/collect/test_live.py", "tests/runs/test_key_nowhere.py"),
    ),
    Bug(
        "a redirect takes the key along", "public", "pipeline/odds_api/client.py",
        "timeout=self._timeout, allow_redirects=False", "timeout=self._timeout, allow_redirects=True",
        ("tests/odds_api/test_client.py", "tests/collect/test_conduct.py", "tests/collect/test_live.py"),
    ),
    Bug(
        "an error's body is an answer", "first version", "pipeline/odds_api/client.py",
        'failure = noted["failure"] if "failure" in noted else classify(response.status_code, body)',
        'failure = noted.get("failure")',
        ("tests/collect/test_live.py",),
    ),
    # what is known of an event
    Bug(
        "the start given last is the start", "first version", "dbt/models/gold/events/events.sql",
        "case start_basis when 'override' then override_start when 'settled_rival' then rival_start else start_as_known end as start_at",
        "commence_time_latest as start_at",
        ("tests/transform/test_settled_starts.py", "tests/replay/test_starts.py", "tests/replay/test_slipping_start.py"),
    ),
    Bug(
        "any start is believed after the start", "here", "dbt/macros/starts.sql",
        "else {{ given }} between {{ known }} - interval '15 minutes' and {{ known }} + interval '4 hours'", "else true",
        ("tests/transform/test_settled_starts.py", "tests/replay/test_starts.py", "tests/replay/test_slipping_start.py"),
    ),
    Bug(
        "a game that left before it began has begun", "here", "dbt/models/gold/events/events.sql",
        "when unlisted_at < start_at then 'withdrawn_before_start'", "when false then 'withdrawn_before_start'",
        ("tests/transform/test_settled_starts.py", "tests/replay/test_starts.py", "tests/replay/test_odd_answers.py"),
    ),
    # how a bet is settled
    Bug(
        "a push is a loss", "public", "dbt/macros/grades.sql",
        "    else sign({{ difference }})\n", "    else case when {{ difference }} > 0 then 1 else -1 end\n",
        ("tests/transform/test_grades.py",),
    ),
    Bug(
        "a quarter line is settled as a whole one", "public", "dbt/macros/grades.sql",
        "when mod(abs({{ row }}.line_point), 0.5) = 0.25\n", "when mod(abs({{ row }}.line_point), 0.5) = 0.75\n",
        ("tests/transform/test_grades.py",),
    ),
    Bug(
        "the score of a game in play is final", "public", "dbt/macros/grades.sql",
        "{{ score }}.completed and {{ score }}.home_score_text is not null", "{{ score }}.home_score_text is not null",
        ("tests/transform/test_grades.py", "tests/replay/test_final_scores.py"),
    ),
    Bug(
        "a score is home first, whatever the answer says", "here", "dbt/macros/game_lines.sql",
        "case when turned.is_turned then r.away_score else r.home_score end as home_score", "r.home_score as home_score",
        ("tests/replay/test_hindsight.py",),
    ),
    # what the markets did
    Bug(
        "a lower home handicap is a move away from home", "first version", "dbt/models/gold/movement/moves.sql",
        "coalesce(judged.delta_probability, - judged.delta_point) > 0 then 'home'",
        "coalesce(judged.delta_probability, judged.delta_point) > 0 then 'home'",
    ),
    Bug(
        "steam is counted however long it takes", "first version", "dbt/models/gold/movement/steam.sql",
        "and moved.changed_at >= moments.at - {{ parameter_interval('steam_window_seconds') }}\n",
        "and moved.changed_at >= moments.at - interval '10 years'\n",
        ("tests/transform/test_steam.py",),
    ),
    Bug(
        "one book is an arbitrage with itself", "public", "dbt/macros/opportunities.sql",
        "where one.operator_group <> two.operator_group or one.operator_group <> three.operator_group", "where true",
        ("tests/transform/test_arbitrages.py",),
    ),
    Bug(
        "the best price is looked for among broken sets", "here", "dbt/models/gold/prices/best_price.sql",
        "where heard.problem is null and not heard.is_of_namesakes", "where not heard.is_of_namesakes",
        ("tests/transform/test_arbitrages.py", "tests/replay/test_odd_answers.py", "tests/replay/test_in_play_best_price.py"),
    ),
    Bug(
        "a price of unknown age is fresh", "here", "dbt/models/gold/prices/current_odds.sql",
        "when judged.quote_age_seconds is null then 'age_unknown'", "when false then 'age_unknown'",
        ("tests/transform/test_views.py", "tests/transform/test_freshness.py"),
    ),
    Bug(
        "a sharp book opens a market in play", "here", "dbt/macros/market_openings.sql",
        "                and q.captured_at < event.start_at\n", "",
        ("tests/replay/test_hindsight_model.py", "tests/replay/test_hindsight.py"),
    ),
    Bug(
        "prices at other points are compared", "public", "dbt/macros/clv.sql",
        "when taken.line_point is distinct from taken.line_point_taken then 'point_moved'", "when false then 'point_moved'",
    ),
    Bug(
        "a book's scorecard hears sets that are stale", "here", "dbt/macros/outlier_counts.sql",
        " and not {{ set_is_stale('m', ref('stale_quotes'), at='looks.at') }}\n", "\n",
        ("tests/transform/test_dbt_tests.py",),
    ),
    Bug(
        "results are missed of games that were not played", "here", "dbt/models/gold/health/batch_health.sql",
        "where not event.has_outrights and event.status <> 'gone_early'", "where not event.has_outrights",
        ("tests/transform/test_batch_health.py", "tests/transform/test_settled_starts.py"),
    ),
    # bets and predictions
    Bug(
        "the first capture of a bet counts", "first version", "dbt/macros/ledgers.sql",
        "order by e.ledger, e.{{ id }}, e.captured_at desc, e.place", "order by e.ledger, e.{{ id }}, e.captured_at, e.place",
        ("tests/transform/test_judged_ledgers.py",),
    ),
    Bug(
        "what nobody looked at was not there", "here", "dbt/macros/ledgers.sql",
        "when {{ unknown }} then 'unknown'\n", "when {{ unknown }} then 'no'\n",
        ("tests/transform/test_judged_ledgers.py",),
    ),
    Bug(
        "predictions of one time supersede each other", "here", "dbt/models/gold/bets/prediction_scores.sql",
        "when status_alone = 'ok' and rank() over (", "when status_alone = 'ok' and row_number() over (",
        ("tests/transform/test_judged_ledgers.py", "tests/replay/test_hindsight_model.py"),
    ),
    # what a run looks at, and writes
    Bug(
        "what is gone stays", "first version", "dbt/macros/ledgered.sql",
        "where not exists (select 1 from fresh as f where {{ same_in('f', 's', row_key) }})\n",
        "where false and not exists (select 1 from fresh as f where {{ same_in('f', 's', row_key) }})\n",
    ),
    Bug(
        "a change from or to null is none", "first version", "dbt/macros/ledgered.sql",
        "or f.{{ c }} is distinct from s.{{ c }}", "or f.{{ c }} <> s.{{ c }}",
    ),
    Bug(
        "a late answer touches only what it shows", "here", "dbt/macros/prepare_run.sql",
        "        select spanning.event_id from gold.price_history as spanning\n"
        "        where spanning.sport_key = pending.sport_key and spanning.valid_to >= pending.tail_from\n",
        "        select spanning.event_id from gold.price_history as spanning\n        where false\n",
        ("tests/replay/test_order_freedom.py",),
    ),
    Bug(
        "of a late event only what changed is looked at", "here", "dbt/macros/prepare_run.sql",
        "and sightings.captured_at >= touched.tail_from and sightings.shows_odds\n        );",
        "and sightings.captured_at >= touched.tail_from and sightings.shows_odds\n        ) and false;",
        ("tests/transform/test_consensus.py", "tests/replay/test_switching.py", "tests/replay/test_order_freedom.py"),
    ),
    Bug(
        "a test is restricted on one side", "here", "dbt/tests/blocking/gold_margins.sql",
        "where h.event_id = touched.event_id and h.valid_to is null and {{ is_looked_at('h', 'line') }}",
        "where h.event_id = touched.event_id and h.valid_to is null",
    ),
    Bug(
        "a fence against plans of old tables is removed", "here", "pipeline/transform/preparing.py",
        'cursor.execute("discard plans" if is_due else "select 1")', 'cursor.execute("select 1")',
        ("tests/transform/test_preparing.py",),
    ),
    # what is asked, kept and handed out
    Bug(
        "an error of the API costs as an answer", "first version", "pipeline/odds_api/credits.py",
        "    if received.status != 200:\n", "    if received.status < 200:\n",
        ("tests/odds_api/test_credits.py",),
    ),
    Bug(
        "what cannot heal is asked again", "first version", "pipeline/odds_api/retry.py",
        "if failure is None or not failure.can_heal or attempt >= self.attempts:", "if failure is None or attempt >= self.attempts:",
        ("tests/odds_api/test_retry.py",),
    ),
    Bug(
        "Retry-After is not heard", "first version", "pipeline/odds_api/retry.py",
        "return max(delay, retry_after or 0.0)", "return delay",
        ("tests/odds_api/test_retry.py",),
    ),
    Bug(
        "a seal is not compared", "here", "pipeline/recording/seals.py",
        "if len(found) != 1 or hashlib.sha256(_with(data, _BLANK)).hexdigest() != found[0].decode():", "if len(found) != 1:",
        ("tests/recording/test_store.py",),
    ),
    Bug(
        "of a key that stands twice the last counts", "public", "pipeline/contracts/strict_json.py",
        "    if len(found) != len(pairs):\n", "    if len(found) > len(pairs):\n",
        ("tests/contracts/test_judgement.py",),
    ),
    Bug(
        "a batch id may have other content", "first version", "pipeline/bronze/batch_load.py",
        "        if known[0] != content:\n", "        if known[0] == batch.batch_id:\n",
        ("tests/bronze", "tests/runs/test_all_or_nothing.py", "tests/recording"),
    ),
    Bug(
        "cookies are kept", "first version", "pipeline/odds_api/redaction.py",
        '        "retry-after",\n', '        "retry-after",\n        "set-cookie",\n',
        ("tests/odds_api", "tests/collect/test_live.py", "tests/runs/test_key_nowhere.py"),
    ),
)  # fmt: skip
