{#- What answers say of a series, in the ways in which price_history asks for it. Each is a complete select. -#}

{#- The quotes of touched events from their tails on: of a series and moment one, the latest; then the smallest place in the plan; then the smallest hash. -#}
{% macro quotes_of_tails(columns) -%}
    select distinct on (quoted.series_id, quoted.line_rank, quoted.moment_at) quoted.*, phased.phase_as_known
    from (
{{ phased_odds_of_tails(['exchange_id', 'captured_at', 'place', 'body_sha256']) }}
    ) as phased
    cross join lateral (
        select q.series_id, q.line_rank, q.event_id, q.moment_at, q.captured_at, {{ columns_of('q', columns) }}
        from {{ ref('quotes') }} as q
        where q.exchange_id = phased.exchange_id and q.event_id = phased.event_id and q.captured_at = phased.captured_at
            and {{ is_looked_at('q', 'series', 'phased') }}
        offset 0
    ) as quoted
    order by
        quoted.series_id, quoted.line_rank, quoted.moment_at,
        phased.captured_at desc, phased.place, phased.body_sha256, phased.exchange_id
{%- endmacro %}

{#- The first row of each back series of an event, by its main line, for `cross join lateral`. -#}
{% macro first_rows_of(event_id, columns) -%}
(
        select distinct on (h.series_id) {{ columns_of('h', columns) }} from {{ ref('price_history') }} as h
        where h.event_id = {{ event_id }} and h.line_rank = 1 and h.price_side = 'back'
        order by h.series_id, h.valid_from
    )
{%- endmacro %}

{#- The last quote of a row's series before a time, for `cross join lateral`; of one time the latest moment's, then as above. -#}
{% macro last_quote_before(row, before) -%}
(
        select q.price_native as last_price_native, q.price_decimal as last_price_decimal, q.odds_format as last_odds_format
        from {{ ref('quotes') }} as q
        where {{ same_in('q', row, ['event_id', 'series_id', 'line_rank']) }}
            and q.captured_at = (
                select max(latest.captured_at) from {{ ref('quotes') }} as latest
                where {{ same_in('latest', row, ['event_id', 'series_id', 'line_rank']) }} and latest.captured_at < {{ before }}
            )
        order by
            q.moment_at desc, q.place,
            (
                select s.body_sha256 from {{ ref('event_sightings') }} as s
                where {{ same_in('s', 'q', ['exchange_id', 'event_id', 'captured_at']) }}
            ),
            q.exchange_id
        limit 1
    )
{%- endmacro %}

{#- The moments at which a book's market was asked for, and how much of it was missing if an outcome is. `cells` gives event, book and market. -#}
{% macro absences(cells, answers) -%}
    select cells.event_id, cells.bookmaker_key, cells.market_key, answers.moment_at,
        max(answers.captured_at) as captured_at,
        case
            when not bool_or(answers.shows_event) then 'event_absent'
            when not coalesce(bool_or(answers.shown_books ? cells.bookmaker_key), false) then 'book_absent'
            when not coalesce(bool_or(cells.bookmaker_key || '|' || cells.market_key = any (answers.shown_book_markets)), false)
                then 'market_absent'
            else 'outcome_absent'
        end as absence
    from {{ cells }} as cells
    join {{ answers }} as answers
        on answers.event_id = cells.event_id and cells.market_key = any (answers.markets)
        and cells.bookmaker_key = any (answers.books)
        and {{ tells_of_market('answers', 'cells.event_id', 'cells.bookmaker_key', 'cells.market_key') }}
    group by cells.event_id, cells.bookmaker_key, cells.market_key, answers.moment_at
{%- endmacro %}

{#- When and how often a stretch that reaches into the tail was seen before it, for `left join lateral`; asked of those that end now. -#}
{% macro seen_before_tail(stretch) -%}
(
        select count(distinct moments.last_at) as observations, max(moments.last_at) as last_seen_at
        from (
            select max(q.captured_at) as last_at from {{ ref('quotes') }} as q
            where {{ stretch }}.reaches_in and {{ stretch }}.valid_to is not null
                and {{ same_in('q', stretch, ['event_id', 'series_id', 'line_rank']) }}
                and q.captured_at >= {{ stretch }}.captured_at and q.captured_at < {{ stretch }}.tail_from
            group by q.moment_at
        ) as moments
    )
{%- endmacro %}
