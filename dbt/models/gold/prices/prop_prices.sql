{{ config(materialized='view') }}
-- Props and outrights over books: what stands on each player's line, both sides beside each other.
select
    event.event_id, event.sport_key, compared.market_key, compared.player, compared.line_point, compared.phase_as_known,
    cast(compared.over_price_decimal as numeric(14, 8)) as over_price_decimal,
    compared.over_books, compared.over_book_count,
    cast(compared.under_price_decimal as numeric(14, 8)) as under_price_decimal,
    compared.under_books, compared.under_book_count,
    cast(
        1 - round(1, 40) / (1 / compared.over_price_decimal + 1 / compared.under_price_decimal) as numeric(18, 10)
    ) as best_hold
from {{ ref('events') }} as event
cross join lateral (
    with markets as (
        select shown.market_key, case rule.family when 'props' then 'player' else 'runner' end as kind
        from (
            select distinct h.market_key from {{ ref('price_history') }} as h
            where h.event_id = event.event_id and h.valid_to is null
        ) as shown
        cross join lateral {{ market_rule('shown.market_key') }} as rule
        where rule.family in ('props', 'outrights')
    ),

    -- once per event: where nothing was analyzed yet, a loop over offers would ask for all names anew
    names as materialized (
        select players.kind, players.bookmaker_key, players.name_as_sent, players.player
        from {{ ref('players') }} as players
        where players.event_id = event.event_id and players.player is not null and exists (select 1 from markets)
    ),

    offers as (
        select h.market_key, names.player, h.line_point, h.phase_as_known, h.bookmaker_key,
            case when h.outcome_side in ('under', 'no') then 'under' else 'over' end as side,
            {{ price_net('h.price_decimal', 'profile') }} as price_decimal
        from {{ ref('price_history') }} as h
        join markets on markets.market_key = h.market_key
        join names
            on names.kind = markets.kind and names.bookmaker_key = h.bookmaker_key
            and names.name_as_sent = case markets.kind when 'player' then h.description else h.outcome_name end
        {{ with_profile('h.bookmaker_key', 'h.valid_from') }}
        where h.event_id = event.event_id and h.valid_to is null and h.price_side = 'back'
            -- below that it is a placeholder
            and h.price_decimal > 1.001 and h.outcome_side in ('over', 'under', 'yes', 'no', 'runner')
            and {{ has_own_prices('profile') }}
    ),

    best as (
        select offers.*,
            max(price_decimal) over (
                partition by market_key, player, line_point, phase_as_known, side
            ) as best_price_decimal
        from offers
    )

    select market_key, player, line_point, phase_as_known,
        max(price_decimal) filter (where side = 'over') as over_price_decimal,
        coalesce(array_agg(distinct bookmaker_key order by bookmaker_key) filter (
            where side = 'over' and price_decimal = best_price_decimal
        ), '{}') as over_books,
        cast(count(distinct bookmaker_key) filter (where side = 'over') as integer) as over_book_count,
        max(price_decimal) filter (where side = 'under') as under_price_decimal,
        coalesce(array_agg(distinct bookmaker_key order by bookmaker_key) filter (
            where side = 'under' and price_decimal = best_price_decimal
        ), '{}') as under_books,
        cast(count(distinct bookmaker_key) filter (where side = 'under') as integer) as under_book_count
    from best group by market_key, player, line_point, phase_as_known
) as compared
