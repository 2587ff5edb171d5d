{% macro market_rule(market_key) -%}
(
    select rules.family, rules.period, rules.is_point_in_key, rules.price_side
    from {{ ref('market_rules') }} as rules
    where rules.market_key = {{ market_key }}
        or (rules.is_prefix and starts_with({{ market_key }}, coalesce(rules.market_key, '')))
    order by
        coalesce(rules.market_key = {{ market_key }} and not rules.is_prefix, false) desc,
        length(coalesce(rules.market_key, '')) desc
    limit 1
)
{%- endmacro %}

{#- What a seed of rules says of a sport, for `cross join lateral`: the row of the longest prefix of its key. Macros that run before the
    models name the seed themselves. -#}
{% macro sport_rule(sport_key, columns, seed=none) -%}
(
    select {{ columns_of('rules', columns) }} from {{ seed or ref('sport_rules') }} as rules
    where starts_with({{ sport_key }}, coalesce(rules.sport_prefix, ''))
    order by length(coalesce(rules.sport_prefix, '')) desc limit 1
)
{%- endmacro %}

{% macro rules_of_markets(rows, columns) -%}
select shown.market_key, {{ columns_of('rule', columns) }}
from (select distinct market_key from {{ rows }}) as shown
cross join lateral {{ market_rule('shown.market_key') }} as rule
{%- endmacro %}

{#- Whether a row's market is an outright's; rules of outrights name whole keys, and no prefix. -#}
{% macro is_outright(row) -%}
{{ row }}.market_key = any (array(select rules.market_key from {{ ref('market_rules') }} as rules where rules.family = 'outrights'))
{%- endmacro %}
