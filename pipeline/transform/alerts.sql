-- What batches give cause to tell, each cause once: kind, batch, game, cause, what a person reads, and the row it stands on.
-- It runs within the transaction that applies them; what is found by index follows the batch, and not the history.
with answers as materialized (
    select distinct ledger.batch_id, asked.sport_key, asked.captured_at
    from ops.pending as pending
    join ops.ledger as ledger on ledger.exchange_id = pending.exchange_id and ledger.batch_id = any ($1)
    join silver.coverage as asked on asked.exchange_id = pending.exchange_id
    where pending.admitted
),

newest as materialized (
    select batch_id, sport_key, max(captured_at) as captured_at from answers group by batch_id, sport_key
),

steam as (
    select answers.batch_id, event.event_id,
        concat_ws('|', s.market_id, s.outcome_set, s.direction, ops.iso(s.triggered_at)) as cause,
        format(
            '%s, %s: %s of %s operators moved toward %s',
            ops.game_name(event.event_id, event.home_team, event.away_team), s.market_key, s.size, s.quoting_count, s.direction
        ) as message,
        'gold.steam' as row_table,
        jsonb_build_object(
            'market_id', s.market_id, 'outcome_set', s.outcome_set, 'direction', s.direction,
            'triggered_at', ops.iso(s.triggered_at)
        ) as row_key
    from ops.touched_events as touched
    join gold.events as event on event.event_id = touched.event_id
    join gold.steam as s on s.event_id = touched.event_id
    join answers on answers.sport_key = s.sport_key and answers.captured_at = s.triggered_at
),

arbitrage as (
    select answers.batch_id, event.event_id,
        concat_ws('|', a.arbitrage_id, ops.iso(a.valid_from)) as cause,
        format(
            '%s, %s: %s %% at %s',
            ops.game_name(event.event_id, event.home_team, event.away_team), a.market_key, round(100 * a.margin_at_open, 2),
            array_to_string(a.books_at_open, ', ')
        ) as message,
        'gold.arbitrages' as row_table,
        jsonb_build_object('arbitrage_id', a.arbitrage_id, 'valid_from', ops.iso(a.valid_from)) as row_key
    from ops.touched_events as touched
    join gold.events as event on event.event_id = touched.event_id
    join gold.arbitrages as a on a.event_id = touched.event_id and a.valid_to is null
    join answers on answers.sport_key = a.sport_key and answers.captured_at = a.valid_from
    where a.quality = 'clean' and a.phase = 'pre'
),

dropped as (
    select answers.batch_id, h.sport_key, h.bookmaker_key, h.valid_to, count(distinct h.event_id) as games
    from answers
    join gold.price_history as h on h.sport_key = answers.sport_key and h.valid_to = answers.captured_at
    where h.end_reason = 'book_absent'
    group by answers.batch_id, h.sport_key, h.bookmaker_key, h.valid_to
    -- of fewer it may just have taken its markets down
    having count(distinct h.event_id) >= 3
),

book_quiet as (
    select dropped.batch_id, cast(null as text) as event_id,
        concat_ws('|', dropped.sport_key, dropped.bookmaker_key, ops.iso(dropped.valid_to)) as cause,
        format(
            '%s dropped out of %s games of %s, and stands in none', dropped.bookmaker_key, dropped.games, dropped.sport_key
        ) as message,
        'gold.price_history' as row_table,
        jsonb_build_object(
            'sport_key', dropped.sport_key, 'bookmaker_key', dropped.bookmaker_key, 'valid_to', ops.iso(dropped.valid_to)
        ) as row_key
    from dropped
    where not exists (
        select 1 from gold.price_history as h
        where h.sport_key = dropped.sport_key and h.valid_to is null and h.bookmaker_key = dropped.bookmaker_key
    )
),

-- what is read in the ten minutes before a start is its close; that the next answer brings it is hoped for where this one did not
close_missed as (
    select newest.batch_id, event.event_id,
        concat_ws('|', event.event_id, ops.iso(event.start_at)) as cause,
        format(
            '%s begins at %s UTC, and %s',
            ops.game_name(event.event_id, event.home_team, event.away_team),
            to_char(event.start_at at time zone 'UTC', 'HH24:MI'),
            coalesce('its newest odds are of ' || to_char(shown.quote_at at time zone 'UTC', 'HH24:MI'), 'there are no odds of it')
        ) as message,
        'gold.events' as row_table,
        jsonb_build_object('event_id', event.event_id) as row_key
    from newest
    join gold.events as event
        on event.sport_key = newest.sport_key and event.start_at > newest.captured_at
        and event.start_at <= newest.captured_at + interval '10 minutes'
    left join lateral (
        select q.quote_at from silver.quotes as q
        where q.event_id = event.event_id and q.captured_at > newest.captured_at - interval '1 day'
        order by q.quote_at desc limit 1
    ) as shown on true
    where not event.has_outrights and not event.start_is_suspect
        and (shown.quote_at is null or shown.quote_at < newest.captured_at - interval '10 minutes')
),

credits_low as (
    select distinct on (told.month) told.batch_id, cast(null as text) as event_id,
        told.month as cause,
        format('%s of %s credits of %s are left', told.left_over, told.left_over + told.used, told.month) as message,
        'bronze.exchanges' as row_table,
        jsonb_build_object('exchange_id', told.exchange_id) as row_key
    from (
        select exchanges.batch_id, exchanges.exchange_id, exchanges.captured_at,
            to_char(exchanges.captured_at at time zone 'UTC', 'YYYY-MM') as month,
            cast(exchanges.headers ->> 'x-requests-remaining' as numeric) as left_over,
            cast(exchanges.headers ->> 'x-requests-used' as numeric) as used
        from bronze.exchanges as exchanges
        where exchanges.batch_id = any ($1)
            and exchanges.headers ->> 'x-requests-remaining' ~ '^[0-9]{1,12}$'
            and exchanges.headers ->> 'x-requests-used' ~ '^[0-9]{1,12}$'
    ) as told
    where told.left_over * 9 < told.used
    order by told.month, told.captured_at, told.exchange_id
),

raised as (
    select 'steam' as kind, steam.* from steam
    union all
    select 'arbitrage', arbitrage.* from arbitrage
    union all
    select 'book_quiet', book_quiet.* from book_quiet
    union all
    select 'close_missed', close_missed.* from close_missed
    union all
    select 'credits_low', credits_low.* from credits_low
)

insert into ops.alerts (alert_id, kind, batch_id, raised_at, event_id, message, row_table, row_key)
select distinct on (raised.kind, raised.cause)
    encode(sha256(convert_to(raised.kind || '|' || raised.cause, 'UTF8')), 'hex'),
    raised.kind, raised.batch_id, batches.scheduled_at, raised.event_id, raised.message, raised.row_table, raised.row_key
from raised
join bronze.batches as batches on batches.batch_id = raised.batch_id
order by raised.kind, raised.cause, raised.batch_id
on conflict (alert_id) do nothing
