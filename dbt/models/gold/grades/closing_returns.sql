{{ config(materialized='view') }}
-- What a unit staked at each closing price came back as.
select
    closing.series_id, finished.event_id, closing.sport_key, closing.bookmaker_key, closing.market_key,
    closing.description, closing.line_point, closing.outcome_set, closing.outcome_name, closing.outcome_side,
    closing.start_at, closing.close_status, closing.price_decimal, closing.grade,
    cast(closing.won_share * closing.price_decimal + closing.refunded_share as numeric(14, 8)) as return_multiple
from {{ finished_events() }} as finished
cross join lateral (
    with grades as materialized (
        select g.*, {{ line_key('g', after='g.outcome_set, g.outcome_name') }} as line_key
        from {{ ref('outcome_grades') }} as g
        where g.event_id = finished.event_id and g.grade <> 'unresolved'
    ),

    closes as materialized (
        select c.*, {{ line_key('c', after='c.outcome_set, c.outcome_name') }} as line_key
        from {{ ref('closings') }} as c
        where c.event_id = finished.event_id and c.is_closing
    )

    select closes.*, grades.grade, grades.won_share, grades.refunded_share
    from closes
    join grades on grades.line_key = closes.line_key
) as closing
