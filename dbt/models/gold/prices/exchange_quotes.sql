{{ config(materialized='view') }}
-- Both sides of an exchange's quotes, over time: what can be backed beside what can be laid.
select
    lay.series_id as lay_series_id, lay.line_rank as lay_line_rank, back.series_id as back_series_id, lay.event_id,
    stretch.sport_key, lay.bookmaker_key, back.market_key, lay.description, lay.line_point, lay.outcome_name,
    lay.outcome_side, stretch.phase_as_known, stretch.valid_from, stretch.valid_to,
    back.price_decimal as back_price_decimal,
    cast(1 + (back.price_decimal - 1) * (1 - coalesce(profile.commission, 0)) as numeric(14, 8)) as back_net_price_decimal,
    lay.price_decimal as lay_price_decimal,
    cast(lay.price_decimal - 1 as numeric(14, 8)) as lay_liability,
    cast(lay.price_decimal - back.price_decimal as numeric(14, 8)) as spread,
    cast((back.implied_probability + lay.implied_probability) / 2 as numeric(12, 10)) as midpoint_probability
from {{ ref('price_history') }} as lay
cross join lateral (
    select h.* from {{ ref('price_history') }} as h
    where h.event_id = lay.event_id and h.bookmaker_key = lay.bookmaker_key and h.price_side = 'back'
        and h.market_key || '_lay' = lay.market_key and h.outcome_name = lay.outcome_name
        and h.description is not distinct from lay.description and h.line_point is not distinct from lay.line_point
        and h.line_rank = lay.line_rank and (h.valid_to is null or h.valid_to > lay.valid_from)
        and (lay.valid_to is null or lay.valid_to > h.valid_from)
) as back
cross join lateral (
    select
        greatest(back.valid_from, lay.valid_from) as valid_from,
        -- least takes no account of a null, which is no end
        least(back.valid_to, lay.valid_to) as valid_to,
        least(back.phase_as_known, lay.phase_as_known) as phase_as_known,
        -- as known when it begins
        case when back.valid_from > lay.valid_from then back.sport_key else lay.sport_key end as sport_key
) as stretch
{{ with_profile('lay.bookmaker_key', 'stretch.valid_from') }}
where lay.price_side = 'lay' and lay.price_decimal > 1 and back.price_decimal > 1
