{{ config(materialized='view') }}
-- Each bet against the market: what stood when it was placed, what it closed at, and what came of it.
with lined as ({{ entries_on_lines(ref('bets')) }}),

-- what the book and the market said then
looked as (
    select lined.*,
        phase.phase_as_known, reached.is_reached, covered.captured_at as covered_at,
        stood.point as shown_point, stood.price_decimal as shown_price_decimal,
        coalesce(
            case
                when stood.odds_format = lined.odds_format then stood.price_native = lined.price_native
                else abs(stood.price_decimal - lined.price_decimal) <= {{ format_rounding('lined.price_decimal') }}
            end, false
        ) as is_shown_price,
        fair.outcome_set as outcome_set_shown,
        cast(fair.probability as numeric(12, 10)) as probability_taken,
        {{ price_net('lined.price_decimal', 'profile') }} as price_taken,
        profile.price_kind, profile.commission
    from lined
    left join lateral {{ phase_then('lined.event_id', 'lined.placed_at') }} as phase on true
    cross join lateral {{ start_reached('lined') }} as reached
    left join lateral {{ covered_before('lined') }} as covered on true
    -- of several prices of the outcome that of its point
    left join lateral (
        select h.point, h.price_native, h.odds_format, h.price_decimal
        from {{ ref('price_history') }} as h
        where h.series_id = {{ series_id_of_bet('lined') }} and {{ stands_at('h', 'lined.placed_at') }}
        order by h.point is not distinct from lined.point desc, h.line_rank limit 1
    ) as stood on covered.captured_at is not null
    left join lateral {{ fair_then('lined', 'lined.line_point', at='lined.placed_at') }} as fair on covered.captured_at is not null
    {{ with_profile('lined.bookmaker_key', 'lined.placed_at') }}
),

closed as (
    select looked.*,
        coalesce(looked.outcome_set_shown, closing.outcome_set, looked.outcome_set_expected) as outcome_set,
        closing.outcome_set as outcome_set_closing,
        closing.point as point_of_book, closing.line_point as line_point_closing,
        {{ price_net('closing.price_decimal', 'looked') }} as price_of_book,
        closing.fair_probability as probability_of_book,
        -- what is placed in play has no close ahead of it
        looked.is_reached and looked.placed_at < looked.start_at as is_before,
        coalesce(closing.is_closing, false) and looked.is_reached and looked.placed_at < looked.start_at as has_closed,
        case when looked.is_reached then closing.close_status end as close_status_of_book
    from looked
    left join lateral (
        select c.outcome_set, c.point, c.line_point, c.price_decimal, c.fair_probability, c.is_closing, c.close_status
        from {{ ref('closings') }} as c
        where c.event_id = looked.event_id and c.series_id = {{ series_id_of_bet('looked') }}
            and {{ has_own_prices('looked') }}
    ) as closing on true
),

compared as (
    select closed.*,
        agreed_then.fair_median as consensus_taken, agreed_then.group_count as group_count_taken,
        agreed.fair_median as consensus_closing, agreed.close_status as consensus_close_status,
        settled.grade, settled.grade_reason, settled.won_share, settled.refunded_share,
        closed.has_closed and closed.outcome_set_closing is not distinct from closed.outcome_set
            and closed.line_point_closing is not distinct from closed.line_point as is_on_line,
        coalesce(
            case when closed.has_closed then closed.point_of_book end,
            main.line_point * case when closed.family = 'spreads' and closed.outcome_side = 'away' then -1 else 1 end
        ) as point_closing
    from closed
    left join lateral (
        select k.fair_median, k.group_count
        from {{ ref('consensus') }} as k
        where k.event_id = closed.event_id and {{ stands_at('k', 'closed.placed_at') }} and k.fair_median is not null
            and {{ same_line('k', 'closed') }}
        order by k.method limit 1
    ) as agreed_then on true
    left join lateral {{ consensus_close_of('closed') }} as agreed on closed.is_before
    left join lateral (
        select k.line_point
        from {{ ref('closing_consensus') }} as k
        where k.event_id = closed.event_id and k.is_closing and k.is_main_line
            and {{ same_in('k', 'closed', ['market_key', 'outcome_set', 'outcome_name']) }}
            and k.description is not distinct from closed.description
    ) as main on closed.is_before
    left join lateral {{ grade_of('closed') }} as settled on true
),

measured as (
    select compared.*,
        case when compared.is_on_line then compared.price_of_book end as price_closing,
        case when compared.is_on_line then compared.probability_of_book end as probability_closing,
        compared.point as point_taken,
        -- what is on another line is null, and gives null
        true as is_comparable,
        case
            when compared.placed_at >= compared.start_at then 'in_play'
            when compared.is_on_line or compared.consensus_closing is not null then 'same_point'
            when compared.point_closing is distinct from compared.point and compared.point_closing is not null then 'point_moved'
            else 'no_close'
        end as clv_status
    from compared
)

select
    ledger, bet_id, captured_at, placed_at, event_id, sport_key_known as sport_key, market_key, description, outcome_name,
    outcome_side, point, line_point, outcome_set, bookmaker_key, price_native, odds_format, price_decimal, stake, start_at,
    phase_as_known,
    case
        when not is_known_event then 'unknown_event'
        when grade <> 'unresolved' then 'settled'
        when grade_reason = 'not_completed' or not is_reached then 'open'
        when grade is null then 'unknown_line'
        else 'unresolved'
    end as status,
    {{ was_there('measured') }},
    covered_at, shown_point, shown_price_decimal, price_taken, probability_taken, consensus_taken, group_count_taken,
    cast(price_taken * consensus_taken - 1 as numeric(16, 10)) as ev_taken,
    cast(point_closing as numeric(8, 3)) as point_closing,
    cast(price_closing as numeric(14, 8)) as price_closing,
    cast(probability_closing as numeric(12, 10)) as probability_closing,
    consensus_closing,
    {{ clv_measures('measured') }},
    clv_status,
    coalesce(close_status_of_book, {{ no_close_status('measured') }}) as close_status,
    consensus_close_status, grade, grade_reason,
    cast(stake * (won_share * price_decimal + refunded_share) - stake as numeric(24, 8)) as profit
from measured
