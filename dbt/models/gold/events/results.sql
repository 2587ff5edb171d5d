{{ config(
    row_key=['event_id'],
    scope=rows_of_events(),
    scope_key='event_id',
) }}
-- The score that counts of each event that a scores answer ever showed: its newest final one, else the newest.
with touched as materialized (select event_id, seen_from from {{ source('ops', 'touched_events') }}),

finals as materialized (
    select touched.event_id, touched.seen_from, newest.*, first_final.captured_at as first_final_at
    from touched
    cross join lateral {{ final_score('touched', 'desc') }} as newest
    cross join lateral {{ final_score('touched', 'asc') }} as first_final
),

newest_scores as (
    select touched.event_id, touched.seen_from, score.*, cast(null as timestamptz) as first_final_at
    from touched
    cross join lateral (
        select {{ columns_of('s', score_columns()) }} from {{ ref('scores') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.seen_from
        order by s.captured_at desc, s.place, s.body_sha256, s.exchange_id limit 1
    ) as score
    where not exists (select 1 from finals where finals.event_id = touched.event_id)
),

counting as (
    select * from finals
    union all
    select * from newest_scores
)

select
    counting.event_id, counting.sport_key, counting.home_team, counting.away_team, counting.completed, counting.home_score,
    counting.away_score,
    -- since when the score has stood as it stands, and the game has been over
    {{ told_since('counting', unlike='(other.home_score_text, other.away_score_text)
        is distinct from (counting.home_score_text, counting.away_score_text)') }} as score_since,
    case when counting.completed then {{ told_since('counting', unlike='not other.completed') }} end as completed_since,
    case
        when exists (
            select 1 from {{ ref('event_sightings') }} as s
            where s.event_id = counting.event_id and s.captured_at >= counting.first_final_at
                and s.commence_time > counting.first_final_at
        ) then 'one_id_two_games'
        when counting.home_team is null or counting.away_team is null then 'no_teams'
        when counting.completed and (counting.home_score_text is null or counting.away_score_text is null) then 'score_missing'
        when counting.home_score_text is not null and counting.home_score is null then 'score_not_numeric'
        when counting.away_score_text is not null and counting.away_score is null then 'score_not_numeric'
        when counting.first_final_at is not null and exists (
            select 1 from {{ ref('scores') }} as s
            -- of later ones none is final
            where s.event_id = counting.event_id and s.captured_at > counting.captured_at
        ) then 'final_taken_back'
    end as problem
from counting
