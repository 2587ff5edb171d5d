{#-
  The main line of each book over time: what a book that hangs several lines under one featured key means by it.
  `touched` names the events with the time, `tail_from`, from which the main lines are wanted; what stood just before it, and may
  end with it, is dated a second earlier.
  Featured are h2h, spreads and totals, whole games and parts of them; alternates, props and team totals are not.

  One row per book, market, description and kind of set (cell_key), and time `at` at which its sound sets changed,
  until `until_at` (null: open). probability is the fair one (power) of home or Over, nearness how far q / overround is from a
  half. Where nothing stood bookmaker_key is null.
-#}
{% macro main_lines() -%}
with reaching_sets as materialized (
    select
        touched.tail_from, sets.event_id, sets.sport_key, sets.bookmaker_key, sets.market_key, sets.description,
        sets.line_point, sets.set_no, sets.outcome_set, sets.outcome_names, sets.outcome_sides,
        sets.fair_multiplicative, sets.fair_power, sets.overround, sets.phase_as_known, sets.valid_from, sets.valid_to
    from touched
    cross join lateral {{ reaching_rows(ref('margins'), by='market') }} as sets
    where sets.is_sound and sets.outcome_set in ('two_way', 'three_way')
),

markets as materialized (
    select shown.market_key, rule.family, rule.period, rule.is_point_in_key
    from (select distinct market_key from reaching_sets) as shown
    cross join lateral {{ market_rule('shown.market_key') }} as rule
    where not rule.is_point_in_key and rule.family in ('h2h', 'spreads', 'totals')
),

featured as materialized (
    select sets.*, markets.family, markets.is_point_in_key,
        {{ line_key('sets', before='sets.bookmaker_key', after='sets.outcome_set', point="''") }} as cell_key,
        {{ line_key('sets', after='sets.outcome_set', point="''") }} as market_line,
        sets.outcome_names[side.place] as outcome_name,
        sets.outcome_sides[side.place] as outcome_side,
        sets.fair_power[side.place] as probability,
        sets.fair_multiplicative[side.place] as ratio
    from reaching_sets as sets
    join markets on markets.market_key = sets.market_key
    cross join lateral {{ main_side('sets.outcome_sides', 'markets.family') }} as side
    where side.place is not null and (markets.family = 'h2h' or sets.outcome_set = 'two_way')
),

cell_times as (
    select distinct featured.tail_from, featured.event_id, featured.cell_key, featured.market_line, change.at
    from featured
    cross join lateral (
        values (greatest(featured.valid_from, featured.tail_from - interval '1 second')), (featured.valid_to)
    ) as change (at)
    where change.at is not null
),

main_sets as (
    select distinct on (cell_times.event_id, cell_times.cell_key, cell_times.at)
        cell_times.at, cell_times.tail_from, cell_times.event_id, cell_times.cell_key, cell_times.market_line,
        featured.sport_key, featured.bookmaker_key, featured.market_key, featured.description,
        featured.family, featured.is_point_in_key, featured.outcome_set, featured.outcome_name, featured.outcome_side, featured.line_point,
        featured.probability, featured.ratio, featured.overround, featured.phase_as_known
    from cell_times
    left join featured
        on featured.event_id = cell_times.event_id and featured.cell_key = cell_times.cell_key
        and {{ stands_at('featured', 'cell_times.at') }}
    order by
        cell_times.event_id, cell_times.cell_key, cell_times.at,
        {{ nearest_to_even('featured', 'featured.ratio') }}
)

select main_sets.*,
    lead(main_sets.at) over (partition by main_sets.event_id, main_sets.cell_key order by main_sets.at) as until_at,
    coalesce(profile.operator_group, main_sets.bookmaker_key) as operator_group,
    {{ has_own_prices('profile') }} as has_own_price
from main_sets
{{ with_profile('main_sets.bookmaker_key', 'main_sets.at') }}
{%- endmacro %}

{% macro market_id_of(row) -%}
cast({{ dbt_utils.generate_surrogate_key([row ~ '.event_id', row ~ '.market_key', key_part(row ~ '.description')]) }} as uuid)
{%- endmacro %}

{#- How the main line is found among several that a book hangs under one key: that nearest to even comes first. `ratio` is that of the main side. -#}
{% macro nearest_to_even(row, ratio) -%}
abs({{ ratio }} - 0.5), {{ row }}.overround, abs({{ row }}.line_point), {{ row }}.line_point, {{ row }}.set_no
{%- endmacro %}

{#- The place of home or Over among a set's outcomes, for `cross join lateral`; null where it has none. -#}
{% macro main_side(outcome_sides, family) -%}
(
        select array_position({{ outcome_sides }}, case when {{ family }} = 'totals' then 'over' else 'home' end) as place
        offset 0 -- looked up once, and not for each of its uses
    )
{%- endmacro %}
