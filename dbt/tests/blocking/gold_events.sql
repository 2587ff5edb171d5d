-- gold.events and what hangs on them, sports and bookmakers: one row per broken rule and row that the run touched.
-- What holds of each row by itself is in contracts/warehouse, and evaluated beside this.
with touched as materialized (
    select event_id, tail_from, seen_from from {{ source('ops', 'touched_events') }}
),

-- what silver and the other tables say about each touched event, beside its row
checked as materialized (
    select
        touched.event_id as touched_id,
        event.*,
        event.event_id is not null as has_row,
        earliest.captured_at as earliest_at,
        earliest.commence_time as earliest_start,
        latest.captured_at as latest_at,
        latest.commence_time as latest_start,
        latest.sport_key as latest_sport,
        walked.start_as_known,
        walks.changes,
        walks.doubts,
        walks.rival_start,
        override.start_at as override_start,
        span.listed_from,
        {{ start_fits('walked.start_as_known', 'listing', 'span') }} as kept_fits,
        {{ start_fits('walks.rival_start', 'listing', 'span') }} as rival_fits,
        listing.intervals,
        listing.is_open,
        listing.unlisted_at,
        listing.last_seen_at as last_listed_at,
        result.completed as is_completed,
        exists (
            select 1
            from {{ ref('result_override') }} as decided
            where decided.event_id = touched.event_id and decided.winner is distinct from 'void'
        ) as is_decided,
        exists (
            select 1
            from {{ ref('event_sightings') }} as s
            where s.event_id = touched.event_id and s.captured_at >= touched.seen_from and s.source = 'simulated'
        ) as is_simulated
    from touched
    left join lateral (
        select e.* from {{ ref('events') }} as e where e.event_id = touched.event_id offset 0
    ) as event on true
    left join lateral (
        select s.captured_at, s.commence_time
        from {{ ref('event_sightings') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.seen_from
        order by s.captured_at, s.source_rank, s.place, s.exchange_id
        limit 1
    ) as earliest on true
    left join lateral (
        select s.captured_at, s.commence_time, s.sport_key
        from {{ ref('event_sightings') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.seen_from
        order by s.captured_at desc, s.source_rank desc, s.place desc, s.exchange_id desc
        limit 1
    ) as latest on true
    left join lateral (
        select c.start_as_known
        from {{ ref('event_start_changes') }} as c
        where c.event_id = touched.event_id
        order by c.captured_at desc, c.source_rank desc, c.place desc, c.exchange_id desc
        limit 1
    ) as walked on true
    left join lateral (
        select
            -- null: the first start changes none
            count(*) filter (where c.accepted and c.old_start <> c.new_start) as changes,
            count(*) filter (where not c.accepted) as doubts,
            (
                array_agg(c.new_start order by c.captured_at desc, c.source_rank desc, c.place desc, c.exchange_id desc)
                    filter (where not c.accepted)
            )[1] as rival_start
        from {{ ref('event_start_changes') }} as c
        where c.event_id = touched.event_id
    ) as walks on true
    left join {{ ref('event_override') }} as override on override.event_id = touched.event_id
    left join lateral (
        select
            count(*) as intervals,
            coalesce(bool_or(l.valid_to is null), false) as is_open,
            max(l.valid_to) as unlisted_at,
            max(l.last_seen_at) as last_seen_at
        from {{ ref('event_listing_intervals') }} as l
        where l.event_id = touched.event_id
    ) as listing on true
    left join lateral (
        select r.* from {{ ref('results') }} as r where r.event_id = touched.event_id offset 0
    ) as result on true
    cross join lateral {{ listed_span('latest.sport_key') }} as span
),

changes as materialized (
    select
        later.*,
        before.start_as_known as known_before,
        before.captured_at as changed_before,
        said.commence_time as said_start
    from touched
    cross join lateral (
        select c.*
        from {{ ref('event_start_changes') }} as c
        where c.event_id = touched.event_id and c.captured_at >= touched.tail_from
        offset 0
    ) as later
    left join lateral (
        select c.start_as_known, c.captured_at
        from {{ ref('event_start_changes') }} as c
        where c.event_id = later.event_id
            and c.captured_at <= later.captured_at
            and (c.captured_at, c.source_rank, c.place, c.exchange_id)
                < (later.captured_at, later.source_rank, later.place, later.exchange_id)
        order by c.captured_at desc, c.source_rank desc, c.place desc, c.exchange_id desc
        limit 1
    ) as before on true
    left join lateral (
        select s.commence_time
        from {{ ref('event_sightings') }} as s
        where s.exchange_id = later.exchange_id and s.event_id = later.event_id and s.captured_at = later.captured_at
        offset 0
    ) as said on true
),

listings as materialized (
    select
        reaching.*,
        lag(reaching.valid_to) over one_event as ended_before,
        lag(reaching.valid_from) over one_event as began_before,
        (
            select count(*)
            from {{ ref('event_sightings') }} as s
            where s.event_id = reaching.event_id and s.captured_at = reaching.valid_from and s.source_rank < 5
        ) as seen_at_beginning
    from touched
    cross join lateral (
        select l.* from {{ ref('event_listing_intervals') }} as l where l.event_id = touched.event_id and l.valid_to is null
        union all
        select l.* from {{ ref('event_listing_intervals') }} as l where l.event_id = touched.event_id and l.valid_to >= touched.tail_from
    ) as reaching
    window one_event as (partition by reaching.event_id order by reaching.valid_from)
),

-- the periods that reach into the tail, beside those around them and what the answers within the tail say
sport_keys_of as materialized (
    select
        periods.*,
        (
            select s.sport_key
            from {{ ref('event_sightings') }} as s
            where s.event_id = periods.event_id and s.captured_at = periods.valid_from
            order by s.source_rank desc, s.place desc, s.exchange_id desc
            limit 1
        ) as shown_key,
        (
            select count(*)
            from {{ ref('event_sightings') }} as s
            where s.event_id = periods.event_id
                and s.captured_at >= greatest(periods.valid_from, periods.tail_from)
                and (periods.valid_to is null or s.captured_at < periods.valid_to)
                and s.sport_key <> periods.sport_key
                and not exists (
                    select 1
                    from {{ ref('event_sightings') }} as later
                    where later.event_id = s.event_id
                        and later.captured_at = s.captured_at
                        and (later.source_rank, later.place, later.exchange_id) > (s.source_rank, s.place, s.exchange_id)
                )
        ) as others
    from (
        select
            k.*,
            touched.tail_from,
            lag(k.sport_key) over one_event as key_before,
            lead(k.valid_from) over one_event as begins_after
        from touched
        join {{ ref('event_sport_keys') }} as k on k.event_id = touched.event_id
        window one_event as (partition by k.event_id order by k.valid_from)
    ) as periods
    where periods.valid_to is null or periods.valid_to >= periods.tail_from
),

scored as materialized (
    select
        touched.event_id as touched_id,
        result.*,
        result.event_id is not null as has_row,
        counting.captured_at as counting_at,
        counting.completed as counting_completed,
        counting.home_score as counting_home,
        counting.away_score as counting_away,
        counting.is_final,
        newest.captured_at > counting.captured_at as is_contradicted,
        exists (
            select 1
            from {{ ref('event_sightings') }} as s
            where s.event_id = touched.event_id and s.captured_at >= first_final.captured_at and s.commence_time > first_final.captured_at
        ) as has_later_start
    from touched
    left join lateral (
        select r.* from {{ ref('results') }} as r where r.event_id = touched.event_id offset 0
    ) as result on true
    left join lateral (
        select max(s.captured_at) as captured_at
        from {{ ref('scores') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.seen_from
    ) as newest on true
    left join lateral (
        select min(s.captured_at) as captured_at
        from {{ ref('scores') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.seen_from and {{ is_final_score('s') }}
    ) as first_final on true
    left join lateral (
        select s.captured_at, s.completed, s.home_score, s.away_score, {{ is_final_score('s') }} as is_final
        from {{ ref('scores') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.seen_from
        order by {{ is_final_score('s') }} desc, s.captured_at desc, s.place, s.body_sha256, s.exchange_id
        limit 1
    ) as counting on true
),

sport_keys as (
    select distinct s.sport_key
    from {{ ref('sport_sightings') }} as s
    where s.exchange_id = any (array(select p.exchange_id from {{ source('ops', 'pending') }} as p))
),

named_sports as (
    select
        sport_keys.sport_key,
        sports.sport_key is not null as has_row,
        sports.first_seen_at,
        (
            select min(first_of_kind.captured_at)
            from (values (true), (false)) as kinds (is_catalogue)
            cross join lateral (
                select s.captured_at
                from {{ ref('sport_sightings') }} as s
                where s.sport_key = sport_keys.sport_key and s.is_catalogue = kinds.is_catalogue
                order by s.captured_at
                limit 1
            ) as first_of_kind
        ) as earliest_at
    from sport_keys
    left join {{ ref('sports') }} as sports on sports.sport_key = sport_keys.sport_key
),

book_keys as (
    select distinct b.bookmaker_key
    from {{ ref('bookmaker_sightings') }} as b
    where b.exchange_id = any (array(select p.exchange_id from {{ source('ops', 'pending') }} as p))
),

named_books as (
    select
        book_keys.bookmaker_key,
        books.bookmaker_key is not null as has_row,
        books.first_seen_at,
        (
            select b.captured_at
            from {{ ref('bookmaker_sightings') }} as b
            where b.bookmaker_key = book_keys.bookmaker_key
            order by b.captured_at
            limit 1
        ) as earliest_at
    from book_keys
    left join {{ ref('bookmakers') }} as books on books.bookmaker_key = book_keys.bookmaker_key
)

select
    'events: ' || rules.rule as rule,
    c.touched_id as key,
    cast(to_jsonb(c) as text) as detail
from checked as c
cross join lateral (
    values
    ('every event that an answer shows has one row, and no other', c.has_row = (c.earliest_at is not null)),
    (
        'start_at is what its basis says',
        c.start_at = case c.start_basis when 'override' then c.override_start when 'settled_rival' then c.rival_start else c.start_as_known end
    ),
    (
        'start_basis is the override, else what fits when it left the list, where a start was not believed',
        c.start_basis = case
            when c.override_start is not null then 'override'
            when c.doubts = 0 or c.is_open or c.intervals = 0 or c.has_outrights then 'as_announced'
            when c.kept_fits and c.rival_fits and c.rival_start <> c.start_as_known then 'kept_unproven'
            when c.kept_fits then 'settled_kept'
            when c.rival_fits then 'settled_rival'
            else 'as_announced'
        end
    ),
    (
        'start_is_suspect where a start was not believed and nothing settles it',
        c.start_is_suspect = (c.doubts > 0 and c.start_basis = 'as_announced')
    ),
    ('start_change_count counts the changes that were believed', c.start_change_count = c.changes),
    ('it was first seen when the first answer showed it', c.first_seen_at = c.earliest_at),
    (
        'the first and the latest start are those of the first and the latest answer',
        (c.commence_time_first, c.commence_time_latest) = (c.earliest_start, c.latest_start)
    ),
    ('the sport is that of the latest answer', c.sport_key = c.latest_sport),
    ('it is simulated where an answer that shows it is', c.source = case when c.is_simulated then 'simulated' else 'the_odds_api' end),
    ('last_seen_at is null while it is listed, else the last listing''s', c.last_seen_at is not distinct from case when not c.is_open then c.last_listed_at end),
    ('an event with a start and a start walk', c.start_as_known is not null),
    (
        'status follows from result, listing and start',
        c.status = case
            when c.is_completed then 'completed'
            when c.is_open or c.intervals = 0 then case when c.latest_at >= c.start_at then 'started' else 'listed' end
            when c.unlisted_at < c.start_at then 'withdrawn_before_start'
            when c.last_listed_at >= c.start_at and c.unlisted_at < c.start_at + c.listed_from
                and not (c.has_outrights or c.is_decided)
                and {{ list_goes_on('c') }}
                then 'gone_early'
            else 'gone'
        end
    )
) as rules (rule, holds)
where rules.holds is not true
    and (c.has_row or c.earliest_at is not null)

union all

select 'event_start_changes: ' || rules.rule, concat_ws(' ', c.event_id, c.exchange_id), cast(to_jsonb(c) as text)
from changes as c
cross join lateral (
    values
    ('old_start is what was known before', c.old_start is not distinct from c.known_before),
    ('new_start is what its answer says', c.new_start is not distinct from c.said_start),
    ('it is accepted as the walk''s rule says', c.accepted = {{ start_is_accepted('c.known_before', 'c.new_start', 'c.captured_at') }})
) as rules (rule, holds)
where rules.holds is not true

union all

select 'event_listing_intervals: ' || rules.rule, concat_ws(' ', l.event_id, l.valid_from), cast(to_jsonb(l) as text)
from listings as l
cross join lateral (
    values
    ('intervals of an event do not overlap', l.began_before is null or coalesce(l.ended_before <= l.valid_from, false)),
    ('it begins with an answer that lists the event', l.seen_at_beginning > 0),
    ('its sport is the one that its event belonged to at valid_from', l.sport_key = {{ sport_key_at('l.event_id', 'l.valid_from') }}),
    ('its event is in events', exists (select 1 from {{ ref('events') }} as e where e.event_id = l.event_id))
) as rules (rule, holds)
where rules.holds is not true

union all

select 'event_sport_keys: ' || rules.rule, concat_ws(' ', k.event_id, k.valid_from), cast(to_jsonb(k) as text)
from sport_keys_of as k
cross join lateral (
    values
    ('periods of an event follow on one another, and only the last is open', k.valid_to is not distinct from k.begins_after),
    ('moved_from is the key before, which is another', k.moved_from is not distinct from k.key_before and k.moved_from is distinct from k.sport_key),
    ('it begins with the answer that is read last of its time', k.sport_key = k.shown_key),
    ('no answer within it shows another key last', k.others = 0)
) as rules (rule, holds)
where rules.holds is not true

union all

select 'event_sport_keys: every event that an answer shows has one', c.touched_id, cast(to_jsonb(c) as text)
from checked as c
where c.earliest_at is distinct from (select min(k.valid_from) from {{ ref('event_sport_keys') }} as k where k.event_id = c.touched_id)

union all

select 'results: ' || rules.rule, r.touched_id, cast(to_jsonb(r) as text)
from scored as r
cross join lateral (
    values
    ('every event with a score has one row, and no other', r.has_row = (r.counting_at is not null)),
    (
        'score and completion are those of the newest final score, else of the newest',
        (r.completed, r.home_score, r.away_score) is not distinct from (r.counting_completed, r.counting_home, r.counting_away)
    ),
    ('score_since is not after the score that counts', r.score_since <= r.counting_at),
    (
        'two games are told by a start after the first final score',
        coalesce(r.problem = 'one_id_two_games', false) = coalesce(r.has_later_start, false)
    ),
    (
        'a final score is taken back only where a later answer has none',
        r.problem is distinct from 'final_taken_back' or (r.is_final and r.is_contradicted)
    ),
    ('a later answer without a final score is a problem', r.problem is not null or not (r.is_final and r.is_contradicted)),
    ('its event is in events', exists (select 1 from {{ ref('events') }} as e where e.event_id = r.touched_id))
) as rules (rule, holds)
where rules.holds is not true
    and (r.has_row or r.counting_at is not null)

union all

select 'sports: every sport that an answer names has a row since its first naming', s.sport_key, cast(to_jsonb(s) as text)
from named_sports as s
where s.first_seen_at is distinct from s.earliest_at or not s.has_row

union all

select 'bookmakers: every book that an answer shows has a row since its first showing', b.bookmaker_key, cast(to_jsonb(b) as text)
from named_books as b
where b.first_seen_at is distinct from b.earliest_at or not b.has_row
