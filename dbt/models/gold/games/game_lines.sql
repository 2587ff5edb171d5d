{{ config(
    row_key=['event_id'],
    scope="t.event_id = any (array(" ~ games_of_run() ~ "))",
    scope_key='event_id',
    indexes=[{'columns': ['sport_key', 'start_at']}],
) }}
{%- set markets = game_markets() %}
-- One row per game: who plays, how each of its three lines opened and closed, and how it ended.
with looked_at as materialized ({{ games_of_run() }}),

games as materialized (
    select e.*
    from looked_at
    join {{ ref('events') }} as e on e.event_id = looked_at.event_id
    where e.home_team is not null and e.away_team is not null and not e.has_outrights
),

reached as materialized (
    select games.event_id, games.start_at, games.start_is_suspect
    from games
    where {{ is_reached('games') }}
),

opened as materialized (
    select opening.*
    from reached
    cross join lateral (
        select o.event_id, o.market_key, o.line_point, o.outcome_set, o.outcome_side, o.opening_basis, o.probability, o.first_seen_at,
            o.is_left_censored
        from {{ ref('market_openings') }} as o
        where o.event_id = reached.event_id and o.market_key in ('{{ markets | join("', '") }}') and o.description is null
        offset 0
    ) as opening
),
{% for market, sides in markets.items() %}
{{ market }}_lines as (
{{ game_lines_of(market, sides) }}
),
{% endfor %}
results as (
    -- an answer may have home and away the other way round
    select r.event_id,
        case when turned.is_turned then r.away_score else r.home_score end as home_score,
        case when turned.is_turned then r.home_score else r.away_score end as away_score
    from {{ ref('results') }} as r
    join games on games.event_id = r.event_id
    cross join lateral (
        select coalesce(r.home_team = games.away_team and r.away_team = games.home_team, false) as is_turned
    ) as turned
    where r.completed and r.home_score is not null and r.away_score is not null
)

select
    games.event_id, games.sport_key, games.home_team, games.away_team, games.start_at, games.start_basis, games.start_is_suspect,
    games.status, games.source, same.event_id as same_event_as,
    {% for market, sides in markets.items() -%}
    {{ market }}_lines.opened_at as {{ market }}_opened_at, {{ market }}_lines.opening_basis as {{ market }}_opening_basis,
    {% if market != 'h2h' -%}
    {{ market }}_lines.opening_line_point as {{ market }}_opening_line_point,
    {% endif -%}
    {{ market }}_lines.opening_probability as {{ market }}_opening_probability_{{ sides[0] }},
    {% if market == 'h2h' -%}
    h2h_lines.closing_outcome_set as h2h_closing_outcome_set,
    {% else -%}
    {{ market }}_lines.closing_line_point as {{ market }}_closing_line_point,
    {% endif -%}
    {% for side in sides -%}
    {{ market }}_lines.probability_{{ side }} as {{ market }}_closing_probability_{{ side }},
    {{ market }}_lines.price_{{ side }} as {{ market }}_closing_price_{{ side }},
    coalesce({{ market }}_lines.books_{{ side }}, '{}') as {{ market }}_closing_books_{{ side }},
    {% endfor -%}
    {{ market }}_lines.best_hold as {{ market }}_closing_hold,
    {{ market }}_lines.group_count as {{ market }}_closing_group_count,
    coalesce({{ market }}_lines.close_status, 'provisional') as {{ market }}_close_status,
    {% if market != 'h2h' -%}
    {{ market }}_lines.line_point_min as {{ market }}_line_point_min, {{ market }}_lines.line_point_max as {{ market }}_line_point_max,
    {% endif -%}
    {{ market }}_lines.probability_min as {{ market }}_probability_{{ sides[0] }}_min,
    {{ market }}_lines.probability_max as {{ market }}_probability_{{ sides[0] }}_max,
    {% endfor -%}
    results.home_score, results.away_score
from games
{% for market in markets -%}
left join {{ market }}_lines on {{ market }}_lines.event_id = games.event_id
{% endfor -%}
left join results on results.event_id = games.event_id
left join lateral (
    select case when o.event_id = games.event_id then o.same_event_as else o.event_id end as event_id
    from {{ ref('event_override') }} as o
    where o.same_event_as is not null and games.event_id in (o.event_id, o.same_event_as)
    order by o.event_id, o.same_event_as limit 1
) as same on true
