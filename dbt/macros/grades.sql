{#- How bets are settled: what outcome_grades and what builds on it share. -#}

{% macro settlement_rule(sport_key) -%}
{{ sport_rule(sport_key, ['settlement', 'may_have_two_legs'], seed=ref('settlement_rules')) }}
{%- endmacro %}

{% macro override_of(event_id, market) -%}
(
    select o.event_id, o.home_score, o.away_score, o.winner, o.reason
    from {{ ref('result_override') }} as o
    where o.event_id = {{ event_id }}
        and (
            o.market = {{ market }}.market_key
            or (o.market = {{ market }}.family and {{ market }}.period = 'full_game')
            or (
                o.market is null
                and {{ market }}.period = 'full_game'
                and {{ market }}.family not in ('to_qualify', 'team_totals', 'props', 'outrights')
            )
        )
    order by
        o.market = {{ market }}.market_key desc nulls last, o.market is null, o.home_score, o.away_score, o.winner, o.reason
    limit 1
)
{%- endmacro %}

{#-
  What a bet wins, from -1 (lost) to 1 (won), by family, outcome_set, outcome_side, line_point, margin (of the home side over
  the away side, as the outcome has them), total and both_scored.
-#}
{% macro bet_value(row) -%}
case
    when {{ row }}.family in ('h2h', 'draw_no_bet', 'to_qualify') and {{ row }}.outcome_set = 'two_way'
        then sign({{ toward_the_side(row, row ~ '.margin') }})
    when {{ row }}.family = 'h2h' and {{ row }}.outcome_side = 'draw' then case when {{ row }}.margin = 0 then 1 else -1 end
    when {{ row }}.family = 'h2h' then case when {{ toward_the_side(row, row ~ '.margin') }} > 0 then 1 else -1 end
    when {{ row }}.family = 'spreads' then {{ settled_by(toward_the_side(row, row ~ '.margin + ' ~ row ~ '.line_point'), row) }}
    when {{ row }}.family = 'totals' then {{ settled_by(toward_the_side(row, row ~ '.total - ' ~ row ~ '.line_point'), row) }}
    when {{ row }}.family = 'yes_no' then case when ({{ row }}.outcome_side = 'yes') = {{ row }}.both_scored then 1 else -1 end
end
{%- endmacro %}

{% macro toward_the_side(row, difference) -%}
case when {{ row }}.outcome_side in ('home', 'over') then 1 else -1 end * ({{ difference }})
{%- endmacro %}

{% macro settled_by(difference, row) -%}
case
    when mod(abs({{ row }}.line_point), 0.5) = 0.25
        then (sign({{ difference }} - 0.25) + sign({{ difference }} + 0.25)) / 2
    else sign({{ difference }})
end
{%- endmacro %}

{% macro finished_events() -%}
(
    select finished.event_id from {{ ref('results') }} as finished where finished.completed
    union
    select decided.event_id from {{ ref('result_override') }} as decided
)
{%- endmacro %}

{% macro score_columns() -%}
    {{ return(['sport_key', 'home_team', 'away_team', 'captured_at', 'completed', 'home_score_text', 'away_score_text', 'home_score', 'away_score']) }}
{%- endmacro %}

{#- The newest (desc) or the first (asc) final score of a touched event, for `cross join lateral`: completed, with both scores. -#}
{% macro final_score(touched, way) -%}
(
        select {{ columns_of('s', score_columns()) }} from {{ ref('scores') }} as s
        where s.event_id = {{ touched }}.event_id and s.captured_at >= {{ touched }}.seen_from and {{ is_final_score('s') }}
        order by s.captured_at {{ way }}, s.place, s.body_sha256, s.exchange_id limit 1
    )
{%- endmacro %}

{% macro is_final_score(score) -%}
{{ score }}.completed and {{ score }}.home_score_text is not null and {{ score }}.away_score_text is not null
{%- endmacro %}

{#- Since when answers have told of an event's score what the one that counts tells; `unlike`: whether a score, `other`, tells otherwise. -#}
{% macro told_since(counting, unlike) -%}
(
        select min(s.captured_at) from {{ ref('scores') }} as s
        where s.event_id = {{ counting }}.event_id and s.captured_at >= {{ counting }}.seen_from
            and s.captured_at > coalesce((
                select max(other.captured_at) from {{ ref('scores') }} as other
                where other.event_id = {{ counting }}.event_id and {{ unlike }}
                    and other.captured_at >= {{ counting }}.seen_from and other.captured_at < {{ counting }}.captured_at
            ), '-infinity')
    )
{%- endmacro %}
