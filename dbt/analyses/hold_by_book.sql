-- Average hold by book, sport and hours to the start, of full-game sets, each stretch of no change counting once.
select
    margins.sport_key,
    margins.bookmaker_key,
    case
        when margins.valid_from >= event.start_at - interval '1 hour' then '0 to 1'
        when margins.valid_from >= event.start_at - interval '6 hours' then '1 to 6'
        when margins.valid_from >= event.start_at - interval '24 hours' then '6 to 24'
        else 'more'
    end as hours_to_start,
    count(*) as sets,
    round(avg(margins.hold), 4) as mean_hold
from {{ ref('margins') }} as margins
join {{ ref('events') }} as event on event.event_id = margins.event_id
where margins.is_sound
    and margins.market_key in ('h2h', 'spreads', 'totals')
    and margins.valid_from < event.start_at
group by 1, 2, 3
order by 1, 2, 3
