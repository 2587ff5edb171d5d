{#-
  A free text as a part of a surrogate key. Parts are joined by '-', which names hold too: unescaped, the outcome `X-` at 1
  and the outcome `X` at -1 would have one key.
-#}
{% macro key_part(text) -%}
replace(replace({{ text }}, '~', '~0'), '-', '~1')
{%- endmacro %}

{#- The set_id in margins of a row's line, by the row's alias and the line's point: that of the first set, if a book shows several. -#}
{% macro set_id_of(row, line_point, set_no='1') -%}
cast({{ dbt_utils.generate_surrogate_key([
    row ~ '.event_id', row ~ '.bookmaker_key', row ~ '.market_key', key_part(row ~ '.description'), line_point, set_no
]) }} as uuid)
{%- endmacro %}

{#- Market, description and line point in one, without nulls; `before` and `after` are further parts, `point` another text of the line point. -#}
{% macro line_key(row, before=none, after=none, point=none) -%}
concat_ws(
    '|', {% if before %}{{ before }}, {% endif %}{{ row }}.market_key, coalesce('=' || {{ row }}.description, ''), {{ point or "coalesce(cast(" ~ row ~ ".line_point as text), '')" }}
    {%- if after %}, {{ after }}{% endif %}
)
{%- endmacro %}

{#- The series_id of a book's quote on a row's line and outcome; `rule` names the market rule of the row. -#}
{% macro series_id_on_line(row, bookmaker_key, rule='markets') -%}
cast({{ dbt_utils.generate_surrogate_key([
    row ~ '.event_id', bookmaker_key, row ~ '.market_key', key_part(row ~ '.description'), key_part(row ~ '.outcome_name'),
    "case when not " ~ rule ~ ".is_point_in_key then null when " ~ rule ~ ".family = 'spreads' and " ~ row ~ ".outcome_side = 'away' then -"
    ~ row ~ ".line_point else " ~ row ~ ".line_point end"
]) }} as uuid)
{%- endmacro %}

{#- The id of an outcome on a line: over event, market, description, line_point, outcome_set and outcome, as best_price has it. -#}
{% macro outcome_id_of(event_id, row) -%}
cast({{ dbt_utils.generate_surrogate_key([
    event_id, row ~ '.market_key', key_part(row ~ '.description'), 'cast(' ~ row ~ '.line_point as numeric(8, 3))', row ~ '.outcome_set',
    key_part(row ~ '.outcome_name')
]) }} as uuid)
{%- endmacro %}
