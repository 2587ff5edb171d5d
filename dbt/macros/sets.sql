{#-
  A set is what one book quotes on one line at one time. These expressions judge a set by the columns
  market_key, family, homes, aways, draws, overs, unders, yeses, noes, set_size, outcomes_expected, unpriced,
  lowest_price, overround, line_point, total_min, total_max, is_superseded and has_namesakes.
-#}

{#- Which outcomes the set is made of; sets of different kinds are different products and are never mixed. -#}
{% macro outcome_set() -%}
case
    when family in ('outrights', 'outrights_lay') then 'field'
    when homes + aways + draws = set_size and draws > 0 then 'three_way'
    when homes + aways = set_size or overs + unders = set_size then 'two_way'
    when yeses + noes = set_size then 'yes_no'
    else 'other'
end
{%- endmacro %}

{#- Every name once, every price above 1, as many as the sport's rules expect. A field is complete only against other books. -#}
{% macro set_is_complete() -%}
(
    unpriced = 0
    and case outcome_set
        when 'three_way' then homes = 1 and aways = 1 and draws = 1
        when 'two_way' then set_size = 2 and outcomes_expected = 2
            and ((homes = 1 and aways = 1) or (overs = 1 and unders = 1))
        when 'yes_no' then yeses = 1 and noes = 1
        else false
    end
)
{%- endmacro %}

{% macro set_problem() -%}
case
    when is_superseded then 'superseded'
    when has_namesakes then 'namesakes'
    when outcome_set = 'two_way' and outcomes_expected = 3 then 'unexpected_outcome_set'
    when outcome_set = 'other' then 'unknown_outcomes'
    when unpriced > 0 then 'price_out_of_range'
    when lowest_price <= 1.001 then 'placeholder_price'
    when outcome_set is distinct from 'field' and not is_complete then 'incomplete'
    when family in ('spreads', 'totals', 'team_totals') and line_point is null then 'point_missing'
    when price_side = 'lay' then null
    when outcome_set is distinct from 'field' and overround < {{ parameter('overround_min') }} then 'overround_too_low'
    when outcome_set is distinct from 'field' and overround > {{ parameter('overround_max') }} then 'overround_too_high'
    when family = 'totals' and period = 'full_game' and (line_point < total_min or line_point > total_max) then 'total_out_of_range'
end
{%- endmacro %}

{% macro fair_basis(family, line_point) -%}
case
            when {{ family }} = 'draw_no_bet' or mod({{ line_point }}, 1) = 0 then 'no_push'
            when abs(mod({{ line_point }}, 1)) in (0.25, 0.75) then 'half_stake'
            else 'plain'
        end
{%- endmacro %}

{#- Whose outcome it is, of a row with outcome_name, home_team and away_team. -#}
{% macro outcome_side_of(row) -%}
case
            -- null: an outright names no teams, and its outcomes are runners
            when {{ row }}.outcome_name = {{ row }}.home_team then 'home'
            when {{ row }}.outcome_name = {{ row }}.away_team then 'away'
            when {{ row }}.outcome_name = 'Draw' then 'draw'
            when {{ row }}.outcome_name = 'Over' then 'over'
            when {{ row }}.outcome_name = 'Under' then 'under'
            when {{ row }}.outcome_name = 'Yes' then 'yes'
            when {{ row }}.outcome_name = 'No' then 'no'
            else 'runner'
        end
{%- endmacro %}

{#- The line of an outcome: of spreads the home handicap, else its point; `row` has outcome_side and point. -#}
{% macro line_point_of(family, row) -%}
case
            when {{ family }} in ('h2h', 'h2h_lay') then null
            when {{ family }} <> 'spreads' then {{ row }}.point
            when {{ row }}.outcome_side = 'home' then {{ row }}.point
            when {{ row }}.outcome_side = 'away' then -{{ row }}.point
        end
{%- endmacro %}

{#- How many outcomes a set of a market has, where its sport's h2h has so many. -#}
{% macro outcomes_expected(family, market_key, h2h_outcomes) -%}
case
            when {{ family }} in ('h2h', 'h2h_lay') then case when {{ market_key }} like 'h2h@_3@_way%' escape '@' then 3 else {{ h2h_outcomes }} end
            else 2
        end
{%- endmacro %}
