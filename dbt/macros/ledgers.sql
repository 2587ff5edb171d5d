{#- What bets and predictions share: which capture counts, which line they are on, and what is known of it. -#}

{#- The newest capture of each entry, a complete select: by time, then the smallest place, then the smallest hash. -#}
{% macro latest_entries(captures, id, columns) -%}
select distinct on (e.ledger, e.{{ id }})
    e.ledger, e.{{ id }}, e.captured_at,
    min(e.captured_at) over (partition by e.ledger, e.{{ id }}) as first_captured_at,
    {{ columns_of('e', columns) }}
from {{ captures }} as e
order by e.ledger, e.{{ id }}, e.captured_at desc, e.place, e.body_sha256, e.exchange_id
{%- endmacro %}

{#-
  The entries of a ledger on the line that they are about, a complete select: what the event is, where one of that id is known, the
  market's rule, outcome_side, line_point and outcome_set, by the sport's rules, where no book is there to tell.
-#}
{% macro entries_on_lines(entries) -%}
with named as (
    select entry.*,
        event.event_id is not null as is_known_event,
        coalesce(event.sport_key, entry.sport_key) as sport_key_known,
        event.home_team, event.away_team, event.start_at, event.start_is_suspect, event.start_basis, event.status as event_status,
        rule.family, rule.is_point_in_key,
        {{ outcomes_expected('rule.family', 'entry.market_key', 'sport.h2h_outcomes') }} as outcomes_expected
    from {{ entries }} as entry
    left join {{ ref('events') }} as event on event.event_id = entry.event_id
    cross join lateral {{ market_rule('entry.market_key') }} as rule
    cross join lateral {{ sport_rule('coalesce(event.sport_key, entry.sport_key)', ['h2h_outcomes']) }} as sport
),

sided as (
    select named.*, {{ outcome_side_of('named') }} as outcome_side from named
)

select sided.*,
    cast({{ line_point_of('sided.family', 'sided') }} as numeric(8, 3)) as line_point,
    case
        when sided.family = 'outrights' then 'field'
        when sided.outcome_side in ('yes', 'no') then 'yes_no'
        when sided.outcomes_expected = 3 or sided.outcome_side = 'draw' then 'three_way'
        else 'two_way'
    end as outcome_set_expected
from sided
{%- endmacro %}

{#- Whether the start of an entry's event is reached, for `cross join lateral`: by an answer about it, as there is no clock. -#}
{% macro start_reached(entry) -%}
(
        select coalesce(bool_or(newest.captured_at >= {{ entry }}.start_at), false) and not {{ entry }}.start_is_suspect as is_reached
        from (select {{ entry }}.event_id, {{ entry }}.sport_key_known as sport_key) as event
        cross join lateral (select near.captured_at from {{ newest_answers('event') }} as near) as newest
    )
{%- endmacro %}

{#- What is said of the close of an entry without one. -#}
{% macro no_close_status(entry) -%}
case
        when {{ entry }}.event_status = 'gone_early' then 'unplayed'
        when {{ entry }}.is_reached or not {{ entry }}.is_known_event then 'none'
        else 'provisional'
    end
{%- endmacro %}

{#-
  The last answer that covered a bet's book and market in its event, in the time before the bet that still tells what stood then, for
  `left join lateral`. What it shows it covers, whatever was asked.
-#}
{% macro covered_before(bet) -%}
(
        select asked.captured_at
        from (
            select known.sport_key, known.valid_from, coalesce(known.valid_to, 'infinity') as valid_to
            from {{ ref('event_sport_keys') }} as known
            where known.event_id = {{ bet }}.event_id and known.valid_from <= {{ bet }}.placed_at
        ) as known
        cross join (values (''), ({{ bet }}.event_id)) as scopes (event_id)
        cross join lateral (
            select c.captured_at
            from {{ ref('coverage') }} as c
            left join {{ ref('event_sightings') }} as s
                on s.exchange_id = c.exchange_id and s.event_id = {{ bet }}.event_id and s.captured_at = c.captured_at
            where c.sport_key = known.sport_key and c.event_id = scopes.event_id
                and c.captured_at > {{ bet }}.placed_at - {{ parameter_interval('bet_covered_seconds') }}
                and c.captured_at <= {{ bet }}.placed_at
                and c.captured_at >= known.valid_from and c.captured_at < known.valid_to
                and {{ tells_of_market('c', bet ~ '.event_id', bet ~ '.bookmaker_key', bet ~ '.market_key') }}
                and (
                    coalesce({{ bet }}.bookmaker_key || '|' || {{ bet }}.market_key = any (s.book_markets), false)
                    or (
                        {{ bet }}.market_key = any (c.markets) and {{ bet }}.bookmaker_key = any (c.books)
                        and (s.exchange_id is not null or {{ in_commence_window('c', bet ~ '.event_id') }})
                    )
                )
            order by c.captured_at desc limit 1
        ) as asked
        order by asked.captured_at desc limit 1
    )
{%- endmacro %}

{#- How the outcome of an entry's line was settled, for `left join lateral`; nothing where no book ever quoted it. -#}
{% macro grade_of(entry) -%}
(
        select g.grade, g.won_share, g.refunded_share, g.grade_reason
        from {{ ref('outcome_grades') }} as g
        where g.event_id = {{ entry }}.event_id and {{ same_line('g', entry) }}
    )
{%- endmacro %}

{#- What the market held an entry's outcome for at the close, for `left join lateral`. -#}
{% macro consensus_close_of(entry) -%}
(
        select k.fair_median, k.fair_basis, k.close_status
        from {{ ref('closing_consensus') }} as k
        where k.event_id = {{ entry }}.event_id and k.is_closing and {{ same_line('k', entry) }}
    )
{%- endmacro %}

{#- Whether two rows are about one outcome on one line, of one set. -#}
{% macro same_line(one, other) -%}
{{ same_in(one, other, ['market_key', 'outcome_set', 'outcome_name']) }}
            and {{ one }}.description is not distinct from {{ other }}.description
            and {{ one }}.line_point is not distinct from {{ other }}.line_point
{%- endmacro %}

{#- The series that a bet is of, by a row of entries_on_lines. -#}
{% macro series_id_of_bet(bet) -%}
cast({{ dbt_utils.generate_surrogate_key([
    bet ~ '.event_id', bet ~ '.bookmaker_key', bet ~ '.market_key', key_part(bet ~ '.description'), key_part(bet ~ '.outcome_name'),
    'case when ' ~ bet ~ '.is_point_in_key then ' ~ bet ~ '.point end'
]) }} as uuid)
{%- endmacro %}

{#- Whether the bet's price stood at its book when it was placed, and why: two columns. -#}
{% macro was_there(bet) -%}
{%- set unknown = 'not ' ~ bet ~ '.is_known_event or ' ~ bet ~ '.covered_at is null' -%}
{%- set is_quoted = bet ~ '.shown_price_decimal is not null' -%}
{%- set is_at_point = bet ~ '.shown_point is not distinct from ' ~ bet ~ '.point' -%}
case
        when {{ unknown }} then 'unknown'
        when {{ is_quoted }} and {{ is_at_point }} and ({{ bet }}.is_shown_price or {{ bet }}.shown_price_decimal > {{ bet }}.price_decimal)
            then 'yes'
        else 'no'
    end as was_there,
    case
        when not {{ bet }}.is_known_event then 'unknown_event'
        when {{ unknown }} then 'not_covered'
        when not {{ is_quoted }} then 'not_quoted'
        when not {{ is_at_point }} then 'other_point'
        when {{ bet }}.is_shown_price then 'same_price'
        when {{ bet }}.shown_price_decimal > {{ bet }}.price_decimal then 'better_price'
        else 'worse_price'
    end as was_there_reason
{%- endmacro %}
