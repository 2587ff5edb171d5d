-- Unresolved games and why: each game with a main market that could not be settled, newest first. Saved as CSV with the scores
-- filled in, and without the rows that stay open, it is what `sports-market results import` takes.
select
    graded.event_id,
    graded.sport_key,
    sport.title as sport_title,
    to_char(graded.start_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as commence_time,
    event.home_team,
    event.away_team,
    cast(null as numeric) as home_score,
    cast(null as numeric) as away_score,
    string_agg(distinct graded.market_key || ': ' || graded.grade_reason, ', ') as reasons
from {{ ref('outcome_grades') }} as graded
join {{ ref('events') }} as event on event.event_id = graded.event_id
join {{ ref('sports') }} as sport on sport.sport_key = graded.sport_key
where graded.grade = 'unresolved' and graded.market_key in ('h2h', 'spreads', 'totals')
group by
    graded.event_id, graded.sport_key, sport.title, graded.start_at, event.home_team, event.away_team
order by graded.start_at desc, graded.event_id
