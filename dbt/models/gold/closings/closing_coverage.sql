{{ config(materialized='view') }}
{#- of a market the first that any of its outcomes has -#}
{%- set statuses = ['unplayed', 'provisional', 'ok', 'aged', 'old', 'not_quoting', 'none'] -%}
{%- set in_order = "array['" ~ statuses | join("', '") ~ "']" %}
-- Of all events of a sport that began on a day, how many each book's market has a close of, of which status, and of how many it was not asked.
select
    days.sport_key, days.day, counted.bookmaker_key, counted.market_key, counted.event_count, counted.ok_count, counted.aged_count,
    counted.old_count, counted.not_quoting_count, counted.none_count, counted.unplayed_count, counted.provisional_count,
    counted.not_asked_count, counted.archived_count
from (
    select event.sport_key, {{ day_of('event.start_at') }} as day
    from {{ ref('events') }} as event
    group by event.sport_key, {{ day_of('event.start_at') }}
) as days
cross join lateral (
    with begun as materialized (
        select event.event_id, event.start_at, event.first_seen_at, event.first_seen_at < {{ kept_since() }} as is_archived,
            case when event.status = 'gone_early' then 'unplayed' when event.start_is_suspect then 'provisional' else 'none' end as without_quote
        from {{ ref('events') }} as event
        where event.sport_key = days.sport_key
            and event.start_at >= {{ start_of_day('days.day') }} and event.start_at < {{ start_of_day('days.day + 1') }}
            -- no clock: as in closings
            and (select max(newest.captured_at) from {{ newest_answers('event') }} as newest) >= event.start_at
    ),

    -- a market's close is that of its best outcome
    closed as materialized (
        select begun.event_id, closing.bookmaker_key, closing.market_key,
            ({{ in_order }})[min(array_position({{ in_order }}, closing.close_status))] as close_status,
            bool_or(closing.price_native is not null) as has_quote
        from begun
        cross join lateral (
            select c.bookmaker_key, c.market_key, c.close_status, c.price_native from {{ ref('closings') }} as c
            where c.event_id = begun.event_id
            offset 0
        ) as closing
        group by begun.event_id, closing.bookmaker_key, closing.market_key
    ),

    -- what answers asked for that were received by the start
    asked as materialized (
        select distinct requests.event_id, book.bookmaker_key, market.market_key
        from (
            select distinct begun.event_id, request.markets, request.books, request.held_back
            from begun
            cross join lateral (
                select k.sport_key, greatest(k.valid_from, begun.first_seen_at) as known_from, coalesce(k.valid_to, 'infinity') as known_to
                from {{ ref('event_sport_keys') }} as k
                where k.event_id = begun.event_id and k.valid_from <= begun.start_at
            ) as known
            cross join lateral (
                select c.markets, c.books, c.held_back
                from {{ ref('coverage') }} as c
                where c.sport_key = known.sport_key and c.event_id in ('', begun.event_id)
                    and c.captured_at >= known.known_from and c.captured_at < known.known_to and c.captured_at <= begun.start_at
                    and c.markets <> '{}' and (
                        {{ in_commence_window('c', 'begun.event_id') }}
                        or exists (
                            select 1 from {{ ref('event_sightings') }} as s
                            -- null: an answer has a time
                            where s.exchange_id = c.exchange_id and s.event_id = begun.event_id and s.captured_at = c.captured_at
                        )
                    )
            ) as request
        ) as requests
        cross join lateral unnest(requests.books) as book (bookmaker_key)
        cross join lateral unnest(requests.markets) as market (market_key)
        where {{ tells_of_market('requests', 'requests.event_id', 'book.bookmaker_key', 'market.market_key') }}
    ),

    markets as (
        select named.bookmaker_key, named.market_key
        from (
            select closed.bookmaker_key, closed.market_key from closed
            union
            select asked.bookmaker_key, asked.market_key from asked
            union
            -- what was hung in play alone has no closing
            select later.bookmaker_key, later.market_key
            from begun
            cross join lateral (
                select h.bookmaker_key, h.market_key from {{ ref('price_history') }} as h
                where h.event_id = begun.event_id and h.price_side = 'back' and h.valid_from > begun.start_at
                offset 0
            ) as later
        ) as named
        cross join lateral {{ market_rule('named.market_key') }} as rule
        where rule.price_side = 'back'
    ),

    judged as (
        select markets.bookmaker_key, markets.market_key,
            case
                when begun.is_archived then 'archived'
                when asked.event_id is null and not coalesce(closed.has_quote, false) then 'not_asked'
                else coalesce(closed.close_status, begun.without_quote)
            end as close_status
        from markets
        cross join begun
        left join closed
            on closed.event_id = begun.event_id and {{ same_in('closed', 'markets', ['bookmaker_key', 'market_key']) }}
        left join asked
            on asked.event_id = begun.event_id and {{ same_in('asked', 'markets', ['bookmaker_key', 'market_key']) }}
    )

    select judged.bookmaker_key, judged.market_key,
        cast(count(*) as integer) as event_count,
        {% for status in statuses + ['not_asked', 'archived'] -%}
        cast(count(*) filter (where judged.close_status = '{{ status }}') as integer) as {{ status }}_count{{ "," if not loop.last }}
        {% endfor -%}
    from judged
    group by judged.bookmaker_key, judged.market_key
) as counted
