-- Silver but for the quotes, the rows of the pending answers: one row per broken rule and answer or row.
-- What holds of each row by itself is in contracts/warehouse, and evaluated beside this.
with answers as materialized (
    select
        pending.exchange_id,
        pending.admitted,
        exchanges.endpoint,
        exchanges.place,
        exchanges.captured_at,
        batches.scheduled_at as moment_at,
        exchanges.coverage,
        exchanges.body_sha256,
        -- the answer's own list, without the historical envelope; an answer about one event is a list of one
        case
            when not pending.admitted then '[]'
            when exchanges.endpoint in ('event_odds', 'event_markets') then jsonb_build_array(admitted.document)
            when exchanges.endpoint = 'historical_event_odds' then jsonb_build_array(admitted.document -> 'data')
            when exchanges.endpoint like 'historical@_%' escape '@' then admitted.document -> 'data'
            else admitted.document
        end as items,
        exists (
            select 1 from {{ source('ops', 'elements') }} as elements
            where elements.exchange_id = pending.exchange_id
                and elements.pointer = any (pending.held)
                and elements.kind = 'event'
                and elements.event_id is null
        ) as hides_any_event
    from {{ source('ops', 'pending') }} as pending
    join {{ source('bronze', 'exchanges') }} as exchanges on exchanges.exchange_id = pending.exchange_id
    join {{ source('bronze', 'batches') }} as batches on batches.batch_id = exchanges.batch_id
    join {{ source('bronze', 'documents') }} as documents
        on documents.body_sha256 = exchanges.body_sha256 and documents.month = {{ month_of('exchanges.captured_at') }}
    cross join lateral (select {{ admitted_part('documents.document', 'pending.held') }} as document offset 0) as admitted
),

in_bodies as materialized (
    select
        answers.exchange_id,
        count(distinct case when {{ is_of_events('answers') }} then item.value ->> 'id' end) as events,
        count(distinct case when answers.endpoint = 'scores' then item.value ->> 'id' end) as scores,
        count(distinct case when answers.endpoint = 'participants' then item.value ->> 'id' end) as participants,
        count(distinct case when answers.endpoint = 'sports' then item.value ->> 'key' end) as catalogue,
        count(distinct case when {{ is_of_events('answers') }} then item.value ->> 'sport_key' end) as sports,
        count(distinct case when answers.endpoint = 'bets' and item.value is not null then (item.value ->> 'ledger', item.value ->> 'bet_id') end) as bets,
        count(distinct case
            when answers.endpoint = 'predictions' and item.value is not null then (item.value ->> 'ledger', item.value ->> 'prediction_id')
        end) as predictions
    from answers
    left join lateral (
        select elements.value from jsonb_array_elements(case jsonb_typeof(answers.items) when 'array' then answers.items else '[]' end) as elements
    ) as item on true
    group by answers.exchange_id
),

sightings as materialized (
    select shown.*
    from answers
    cross join lateral (
        select s.* from {{ ref('event_sightings') }} as s
        where s.exchange_id = answers.exchange_id and s.captured_at = answers.captured_at offset 0
    ) as shown
),

asked as materialized (
    select shown.*
    from answers
    cross join lateral (
        select c.* from {{ ref('coverage') }} as c where c.exchange_id = answers.exchange_id offset 0
    ) as shown
),

scores as materialized (
    select shown.*
    from answers
    cross join lateral (
        select s.* from {{ ref('scores') }} as s
        where s.exchange_id = answers.exchange_id and s.captured_at = answers.captured_at offset 0
    ) as shown
),

books as (
    select sightings.exchange_id, count(distinct book.key) as books
    from sightings
    cross join lateral jsonb_object_keys(sightings.books) as book (key)
    group by sightings.exchange_id
),

counted as (
    select
        answers.exchange_id, answers.endpoint, answers.admitted, answers.coverage, answers.hides_any_event,
        in_bodies.events, in_bodies.scores, in_bodies.participants, in_bodies.catalogue, in_bodies.sports,
        in_bodies.bets, in_bodies.predictions,
        coalesce(books.books, 0) as books,
        (select count(*) from sightings as s where s.exchange_id = answers.exchange_id) as event_rows,
        (select count(*) from asked as c where c.exchange_id = answers.exchange_id) as coverage_rows,
        (select count(*) from scores as s where s.exchange_id = answers.exchange_id) as score_rows,
        (
            select count(*) from {{ ref('participants') }} as p
            where p.exchange_id = answers.exchange_id and p.captured_at = answers.captured_at
        ) as participant_rows,
        (select count(*) from {{ ref('bet_captures') }} as b where b.exchange_id = answers.exchange_id) as bet_rows,
        (select count(*) from {{ ref('prediction_captures') }} as p where p.exchange_id = answers.exchange_id) as prediction_rows,
        (select count(*) from {{ ref('sport_sightings') }} as s where s.exchange_id = answers.exchange_id and s.is_catalogue) as catalogue_rows,
        (select count(*) from {{ ref('sport_sightings') }} as s where s.exchange_id = answers.exchange_id and not s.is_catalogue) as sport_rows,
        (select count(*) from {{ ref('bookmaker_sightings') }} as b where b.exchange_id = answers.exchange_id) as book_rows,
        (
            select count(*) from {{ ref('offered_markets') }} as o
            where o.exchange_id = answers.exchange_id and o.captured_at = answers.captured_at
        ) as offer_rows,
        case when answers.endpoint = 'event_markets' and answers.admitted then (
            select count(distinct (book.value ->> 'key', market.value ->> 'key'))
            from jsonb_array_elements(answers.items -> 0 -> 'bookmakers') as book
            cross join lateral jsonb_array_elements(book.value -> 'markets') as market
        ) else 0 end as offers
    from answers
    join in_bodies on in_bodies.exchange_id = answers.exchange_id
    left join books on books.exchange_id = answers.exchange_id
)

select
    rules.rule,
    cast(c.exchange_id as text) as key,
    cast(to_jsonb(c) as text) as detail
from counted as c
cross join lateral (
    values
    ('event_sightings: every event of the answer once', c.event_rows = c.events),
    ('scores: every event of a scores answer once', c.score_rows = c.scores),
    ('participants: every participant of the answer once', c.participant_rows = c.participants),
    ('bet_captures: every bet of the answer once', c.bet_rows = c.bets),
    ('prediction_captures: every prediction of the answer once', c.prediction_rows = c.predictions),
    ('sport_sightings: every sport of the catalogue once', c.catalogue_rows = c.catalogue),
    ('sport_sightings: every sport of the events once', c.sport_rows = c.sports),
    ('bookmaker_sightings: every book of the events once', c.book_rows = c.books),
    ('offered_markets: every market of every book once', c.offer_rows = c.offers),
    (
        'coverage: an answer covers what it was asked for and what it shows',
        case
            when not c.admitted then c.coverage_rows = 0
            when c.hides_any_event then c.coverage_rows = c.event_rows
            when c.event_rows > 0 or (c.coverage ->> 'sport' is not null and jsonb_typeof(c.coverage -> 'events') = 'null') then c.coverage_rows > 0
            else true
        end
    )
) as rules (rule, holds)
where rules.holds is not true

union all

select
    'event_sightings: ' || rules.rule,
    concat_ws(' ', s.exchange_id, s.event_id),
    cast(to_jsonb(s) as text)
from sightings as s
join answers on answers.exchange_id = s.exchange_id
cross join lateral (
    values
    (
        'endpoint, place, body and times are those of the answer',
        (s.endpoint, s.place, s.body_sha256, s.moment_at, s.captured_at)
        = (answers.endpoint, answers.place, answers.body_sha256, answers.moment_at, answers.captured_at)
    ),
    (
        'coverage covers it',
        exists (select 1 from {{ ref('coverage') }} as c where c.exchange_id = s.exchange_id and c.event_id in ('', s.event_id))
    )
) as rules (rule, holds)
where rules.holds is not true

union all

select
    'coverage: ' || rules.rule,
    concat_ws(' ', c.exchange_id, c.event_id),
    cast(to_jsonb(c) as text)
from asked as c
join answers on answers.exchange_id = c.exchange_id
cross join lateral (
    values
    (
        'endpoint and times are those of the answer',
        (c.endpoint, c.moment_at, c.captured_at) = (answers.endpoint, answers.moment_at, answers.captured_at)
    ),
    (
        'markets and books are those of the request',
        c.markets = array(select item from jsonb_array_elements_text(answers.coverage -> 'markets') as item order by item)
        and c.books = array(select item from jsonb_array_elements_text(answers.coverage -> 'books') as item order by item)
    )
) as rules (rule, holds)
where rules.holds is not true

union all

select
    'scores: ' || rules.rule,
    concat_ws(' ', s.exchange_id, s.event_id),
    cast(to_jsonb(s) as text)
from scores as s
cross join lateral (
    values
    (
        'its event is in event_sightings',
        exists (select 1 from {{ ref('event_sightings') }} as e where e.exchange_id = s.exchange_id and e.event_id = s.event_id)
    )
) as rules (rule, holds)
where rules.holds is not true
