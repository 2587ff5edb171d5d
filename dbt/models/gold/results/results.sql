{{ config(
    row_key=['event_id'],
    scope=rows_of_events(),
    scope_key='event_id',
) }}
-- The newest score of each event that a scores answer ever showed.
with touched as materialized (select event_id, seen_from from {{ source('ops', 'touched_events') }}),

latest as (
    select touched.event_id, touched.seen_from, score.*
    from touched
    cross join lateral (
        select
            s.sport_key, s.home_team, s.away_team, s.captured_at, s.completed,
            s.home_score_text, s.away_score_text, s.home_score, s.away_score
        from {{ ref('scores') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.seen_from
        order by s.captured_at desc, s.place, s.body_sha256, s.exchange_id limit 1
    ) as score
)

select
    latest.event_id, latest.sport_key, latest.home_team, latest.away_team, latest.completed, latest.home_score,
    latest.away_score,
    -- since when the score has stood as it stands, and the game has been over
    {{ told_since('latest', unlike='(other.home_score_text, other.away_score_text)
        is distinct from (latest.home_score_text, latest.away_score_text)') }} as score_since,
    case when latest.completed then {{ told_since('latest', unlike='not other.completed') }} end as completed_since,
    case
        when latest.home_team is null or latest.away_team is null then 'no_teams'
        when latest.completed and (latest.home_score_text is null or latest.away_score_text is null) then 'score_missing'
        when latest.home_score_text is not null and latest.home_score is null then 'score_not_numeric'
        when latest.away_score_text is not null and latest.away_score is null then 'score_not_numeric'
    end as problem
from latest
