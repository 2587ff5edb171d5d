{#- The row of market_rules that a market key falls under, for `cross join lateral`: the exact key first, then the longest prefix. -#}
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

{#- Whether a row's market is an outright's; rules of outrights name whole keys, and no prefix. -#}
{% macro is_outright(row) -%}
{{ row }}.market_key = any (array(select rules.market_key from {{ ref('market_rules') }} as rules where rules.family = 'outrights'))
{%- endmacro %}
