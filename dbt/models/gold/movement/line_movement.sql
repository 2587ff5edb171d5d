{{ config(materialized='view') }}
-- Every change of a quoted line: what it was, what it became, and which way it went.
select
    became.series_id, became.line_rank, became.event_id, became.sport_key, became.bookmaker_key, became.market_key,
    became.description, became.outcome_name, became.outcome_side, became.valid_from as changed_at,
    became.phase_as_known as phase,
    case
        -- null: without a sound set on either side nobody can tell
        when was_fair.outcome_set <> now_fair.outcome_set then 'outcome_set'
        when change.is_point and change.is_price then 'both'
        when change.is_point then 'point'
        else 'price'
    end as kind,
    case
        when became.outcome_side not in ('home', 'away', 'over', 'under') or coalesce(change.toward_first, 0) = 0 then null
        when became.outcome_side in ('home', 'away') then case when change.toward_first > 0 then 'home' else 'away' end
        else case when change.toward_first > 0 then 'over' else 'under' end
    end as direction,
    was.point as old_point,
    became.point as new_point,
    cast(became.point - was.point as numeric(8, 3)) as delta_point,
    was.price_decimal as old_price_decimal,
    became.price_decimal as new_price_decimal,
    cast(was_fair.probability as numeric(12, 10)) as old_probability,
    cast(now_fair.probability as numeric(12, 10)) as new_probability,
    cast(change.delta_probability as numeric(12, 10)) as delta_probability,
    was.valid_to < became.valid_from as across_gap,
    {{ seconds_between('was.valid_from', 'became.valid_from') }} as seconds_since_last_change,
    {{ seconds_between('became.prev_seen_at', 'became.valid_from') }} as capture_gap_seconds
from {{ ref('price_history') }} as became
cross join lateral (
    select h.point, h.line_point, h.price_native, h.price_decimal, h.odds_format, h.implied_probability, h.valid_from, h.valid_to
    from {{ ref('price_history') }} as h
    where h.series_id = became.series_id and h.line_rank = became.line_rank and h.valid_from < became.valid_from
    order by h.valid_from desc limit 1
) as was
cross join lateral (
    select
        {{ set_id_of('became', 'was.line_point') }} as was_set_id,
        {{ set_id_of('became', 'became.line_point') }} as now_set_id
) as sets
-- the set as it stood until the price went, and as it stands with the new one
left join lateral {{ fair_of_price('sets.was_set_id', 'became.outcome_name', 'was.implied_probability',
    at='m.valid_from < was.valid_to and (m.valid_to is null or m.valid_to >= was.valid_to)') }} as was_fair on true
left join lateral {{ fair_of_price('sets.now_set_id', 'became.outcome_name', 'became.implied_probability',
    at=stands_at('m', 'became.valid_from')) }} as now_fair on true
cross join lateral (
    select
        became.point is distinct from was.point as is_point,
        case
            when became.odds_format = was.odds_format then became.price_native is distinct from was.price_native
            else {{ prices_differ('became.price', 'was.price') }}
        end as is_price,
        case
            -- null: without a sound set on either side there is no difference
            when became.point is not distinct from was.point and was_fair.outcome_set = now_fair.outcome_set
                then now_fair.probability - was_fair.probability
        end as delta_probability,
        -- above 0 toward home or Over: a lower home handicap, a higher total, else a likelier home or Over
        case
            when became.point is distinct from was.point
                then case
                    when became.outcome_side in ('home', 'away') then was.line_point - became.line_point
                    else became.line_point - was.line_point
                end
            -- null: without a sound set on either side there is no direction
            when became.point is not distinct from was.point and was_fair.outcome_set = now_fair.outcome_set
                then (now_fair.probability - was_fair.probability) * case when became.outcome_side in ('away', 'under') then -1 else 1 end
        end as toward_first
) as change
where became.price_side = 'back' and (change.is_point or change.is_price)
