-- Of the games that began in the newest week of each sport, the share of which each book's market has a close, and why the others have none.
with newest as (
    select sport_key, max({{ day_of('start_at') }}) as day from {{ ref('events') }} where status <> 'listed' group by sport_key
)

select
    coverage.sport_key,
    coverage.bookmaker_key,
    coverage.market_key,
    sum(coverage.event_count) as events,
    round(sum(coverage.ok_count + coverage.aged_count) / sum(coverage.event_count)::numeric, 3) as with_a_close,
    sum(coverage.aged_count) as aged,
    sum(coverage.old_count) as too_old,
    sum(coverage.not_quoting_count + coverage.none_count) as not_quoted,
    sum(coverage.unplayed_count) as not_played,
    sum(coverage.provisional_count) as suspect,
    sum(coverage.not_asked_count + coverage.archived_count) as not_known
from newest
join {{ ref('closing_coverage') }} as coverage on coverage.sport_key = newest.sport_key and coverage.day between newest.day - 6 and newest.day
group by coverage.sport_key, coverage.bookmaker_key, coverage.market_key
order by coverage.sport_key, coverage.market_key, with_a_close desc, coverage.bookmaker_key
