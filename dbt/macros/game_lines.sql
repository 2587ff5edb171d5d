{#- What game_lines tells of its three markets. Each macro gives expressions, or a complete select. -#}

{% macro game_markets() -%}
    {{ return({'h2h': ['home', 'draw', 'away'], 'spreads': ['home', 'away'], 'totals': ['over', 'under']}) }}
{%- endmacro %}

{#- The events of a run whose game_lines are looked at: those whose facts or score changed, and those that are due. -#}
{% macro games_of_run() -%}
select changes.scope_key as event_id from ops.row_changes as changes where changes.table_name in ('gold.events', 'gold.results')
    union
    select due.event_id from ops.due_events as due
{%- endmacro %}

{#-
  The lines of one market of the events of `told`, one row each: as it opened, as it closed by the consensus, and between the two.
  The side looked at is home, or Over.
-#}
{% macro game_lines_of(market, sides, closing_consensus) -%}
{%- set side = sides[0] -%}
select
    told.event_id,
    opening.opened_at, opening.opening_basis, opening.line_point as opening_line_point, opening.probability as opening_probability,
    closing.outcome_set as closing_outcome_set, closing.line_point as closing_line_point,
    {% for each in sides -%}
    closing.probability_{{ each }}, best.price_{{ each }}, best.books_{{ each }},
    {% endfor -%}
    best.best_hold, closing.group_count,
    case
        when told.status = 'gone_early' then 'unplayed'
        else coalesce(closing.close_status, case when told.is_open then 'provisional' else 'none' end)
    end as close_status,
    between_them.line_point_min, between_them.line_point_max, held.probability_min, held.probability_max
from told
left join lateral (
    select opened.first_seen_at as opened_at, opened.opening_basis, opened.line_point, opened.probability
    from opened
    where opened.event_id = told.event_id and opened.market_key = '{{ market }}' and opened.outcome_side = '{{ side }}'
        and not opened.is_left_censored and opened.first_seen_at < told.start_at
    order by opened.first_seen_at, opened.outcome_set limit 1
) as opening on true
left join lateral (
    select min(c.outcome_set) as outcome_set, min(c.line_point) as line_point, min(c.group_count) as group_count,
        {% for each in sides -%}
        min(c.fair_median) filter (where c.outcome_side = '{{ each }}') as probability_{{ each }},
        {% endfor -%}
        -- of a line all outcomes have one, but for who is too few
        (array_agg(c.close_status order by c.close_status = 'too_few_groups' desc, c.close_status = 'ok', c.outcome_side))[1] as close_status
    from {{ closing_consensus }} as c
    where c.event_id = told.event_id and c.market_key = '{{ market }}' and c.description is null and c.is_main_line
    -- an answer may name other teams than the one before it
    having count(*) filter (where c.outcome_side = '{{ side }}') > 0
) as closing on true
-- as it stood up to the start
left join lateral (
    select
        {% for each in sides -%}
        min(b.best_price_decimal) filter (where b.outcome_side = '{{ each }}') as price_{{ each }},
        min(b.books) filter (where b.outcome_side = '{{ each }}') as books_{{ each }},
        {% endfor -%}
        min(b.best_hold) as best_hold
    from {{ ref('best_price') }} as b
    where b.event_id = told.event_id and b.valid_from < told.start_at and (b.valid_to is null or b.valid_to >= told.start_at)
        and b.market_key = '{{ market }}' and b.description is null and b.outcome_set is not distinct from closing.outcome_set
        and b.line_point is not distinct from closing.line_point
) as best on true
left join lateral (
    select min(l.line_modal) as line_point_min, max(l.line_modal) as line_point_max
    from {{ ref('consensus_line') }} as l
    where l.event_id = told.event_id and l.market_key = '{{ market }}' and l.description is null
        and l.valid_from < told.start_at and coalesce(l.valid_to, 'infinity') > coalesce(opening.opened_at, '-infinity')
) as between_them on true
left join lateral (
    select min(c.fair_median) as probability_min, max(c.fair_median) as probability_max
    from {{ ref('consensus') }} as c
    where c.event_id = told.event_id and c.market_key = '{{ market }}' and c.description is null and c.outcome_side = '{{ side }}'
        and c.outcome_set is not distinct from closing.outcome_set and c.line_point is not distinct from closing.line_point
        and c.valid_from < told.start_at and coalesce(c.valid_to, 'infinity') > coalesce(opening.opened_at, '-infinity')
) as held on true
{%- endmacro %}

{#-
  A row per game, a complete select. `events`: for `from`; `are_told`, `are_open`: of `games`, whether its lines are told, and
  whether its close may still come; `closing_consensus` and `market_openings`: of the same events.
-#}
{% macro games_with_lines(events, are_told, are_open, closing_consensus, market_openings) -%}
{%- set markets = game_markets() -%}
with games as materialized (
    select e.*
    from {{ events }} as e
    where e.home_team is not null and e.away_team is not null and not e.has_outrights
),

told as materialized (
    select games.event_id, games.start_at, games.status, {{ are_open }} as is_open
    from games
    where {{ are_told }}
),

opened as materialized (
    select opening.*
    from told
    cross join lateral (
        select o.event_id, o.market_key, o.line_point, o.outcome_set, o.outcome_side, o.opening_basis, o.probability, o.first_seen_at,
            o.is_left_censored
        from {{ market_openings }} as o
        where o.event_id = told.event_id and o.market_key in ('{{ markets | join("', '") }}') and o.description is null
        offset 0
    ) as opening
),
{% for market, sides in markets.items() %}
{{ market }}_lines as (
{{ game_lines_of(market, sides, closing_consensus) }}
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
        -- nobody knows of which of the two it is
        and r.problem is distinct from 'one_id_two_games'
)

select
    games.event_id, games.sport_key, games.home_team, games.away_team, games.start_at, games.start_basis, games.start_is_suspect,
    games.status, games.source, same.event_id as same_event_as,
    {% for market, sides in markets.items() -%}
    {{ market }}_lines.opened_at as {{ market }}_opened_at, {{ market }}_lines.opening_basis as {{ market }}_opening_basis,
    {% if market != 'h2h' -%}
    cast({{ market }}_lines.opening_line_point as numeric(8, 3)) as {{ market }}_opening_line_point,
    {% endif -%}
    cast({{ market }}_lines.opening_probability as numeric(12, 10)) as {{ market }}_opening_probability_{{ sides[0] }},
    {% if market == 'h2h' -%}
    h2h_lines.closing_outcome_set as h2h_closing_outcome_set,
    {% else -%}
    cast({{ market }}_lines.closing_line_point as numeric(8, 3)) as {{ market }}_closing_line_point,
    {% endif -%}
    {% for side in sides -%}
    cast({{ market }}_lines.probability_{{ side }} as numeric(12, 10)) as {{ market }}_closing_probability_{{ side }},
    cast({{ market }}_lines.price_{{ side }} as numeric(14, 8)) as {{ market }}_closing_price_{{ side }},
    coalesce({{ market }}_lines.books_{{ side }}, '{}') as {{ market }}_closing_books_{{ side }},
    {% endfor -%}
    cast({{ market }}_lines.best_hold as numeric(16, 10)) as {{ market }}_closing_hold,
    {{ market }}_lines.group_count as {{ market }}_closing_group_count,
    coalesce({{ market }}_lines.close_status, 'provisional') as {{ market }}_close_status,
    {% if market != 'h2h' -%}
    cast({{ market }}_lines.line_point_min as numeric(8, 3)) as {{ market }}_line_point_min,
    cast({{ market }}_lines.line_point_max as numeric(8, 3)) as {{ market }}_line_point_max,
    {% endif -%}
    cast({{ market }}_lines.probability_min as numeric(12, 10)) as {{ market }}_probability_{{ sides[0] }}_min,
    cast({{ market }}_lines.probability_max as numeric(12, 10)) as {{ market }}_probability_{{ sides[0] }}_max,
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
{%- endmacro %}
