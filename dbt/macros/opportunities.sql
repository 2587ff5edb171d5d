{#-
  What arbitrages and middles share. Both look for legs, one book's price on each outcome, whose probabilities sum to little;
  both are stored as intervals. An opportunity is told by event_id and opportunity_key; `times_key` names, beside event_id, what
  a change may bear on.
-#}

{#-
  The touched events. `scope_from` is the beginning of an event's tail. What an opportunity's best was before the tail is not stored
  where the best lies in the tail: then the event is looked at again from that opportunity's beginning on. In order there is none.
-#}
{% macro touched_from_their_best(by) -%}
with touched_now as materialized ({{ touched(by) }})

select
    touched.event_id, touched.is_whole, touched.tail_from as scope_from,
    -- least takes no account of a null
    least(touched.tail_from, again.begun_at) as tail_from
from touched_now as touched
left join lateral (
    select min(standing.valid_from) as begun_at from {{ reaching_rows(this, by=by) }} as standing
    where standing.best_at >= touched.tail_from
) as again on true
{%- endmacro %}

{% macro net_probability(q) -%}
case
    when profile.price_kind = 'back_net' and profile.commission > 0
        then cast(round({{ q }}, 40) / ({{ q }} + (1 - {{ q }}) * (1 - profile.commission)) as numeric(12, 10))
    else {{ q }}
end
{%- endmacro %}

{#-
  From `offers`, what each book offers for each leg of what may be an opportunity, and `markets`: per opportunity and time the legs with the lowest sum that are not all of one operator group, where that sum (`total` of `legs`
  legs) is that of one. Of equal ones the first in the order of their books' keys, leg by leg. `edge` is what is best at its highest.
-#}
{% macro best_legs(is_one, edge) -%}
-- two groups a leg are enough to find the best that are not all of one
with best_of_group as (
    select distinct on (event_id, at, opportunity_key, leg_no, operator_group) offers.* from offers
    order by event_id, at, opportunity_key, leg_no, operator_group, net_probability, bookmaker_key
),

ranked as materialized (
    select best_of_group.*,
        row_number() over (
            partition by event_id, at, opportunity_key, leg_no order by net_probability, bookmaker_key
        ) as place_among_groups
    from best_of_group
),

firsts as (select * from ranked where place_among_groups <= 2),

combined as (
    select
        one.event_id, one.at, one.opportunity_key,
        one.bookmaker_key as book_1, two.bookmaker_key as book_2, three.bookmaker_key as book_3,
        case when three.leg_no is null then 2 else 3 end as legs,
        one.net_probability + two.net_probability + coalesce(three.net_probability, 0) as total
    from (select * from firsts where leg_no = 1) as one
    join (select * from firsts where leg_no = 2) as two
        on {{ same_in('two', 'one', ['event_id', 'at', 'opportunity_key']) }}
    left join (select * from firsts where leg_no = 3) as three
        on {{ same_in('three', 'one', ['event_id', 'at', 'opportunity_key']) }}
    -- null: without a third leg the first two decide
    where one.operator_group <> two.operator_group or one.operator_group <> three.operator_group
),

chosen as (
    select distinct on (event_id, at, opportunity_key) combined.* from combined where {{ is_one }}
    order by event_id, at, opportunity_key, total, book_1, book_2, book_3
),

legs as materialized (
    select ranked.*, chosen.total
    from chosen
    join ranked
        on {{ same_in('ranked', 'chosen', ['event_id', 'at', 'opportunity_key']) }}
        and ranked.bookmaker_key = case ranked.leg_no when 1 then chosen.book_1 when 2 then chosen.book_2 else chosen.book_3 end
),

-- a leg's quote: its price, and when it was read
spoken as (
    select legs.*, series.series_id, priced.line_rank, priced.price_net
    from legs
    join markets on markets.market_key = legs.market_key
    cross join lateral (select {{ series_id_on_line('legs', 'legs.bookmaker_key') }} as series_id) as series
    cross join lateral (
        select h.line_rank,
            cast(case when legs.is_net then 1 + (h.price_decimal - 1) * (1 - legs.commission) else h.price_decimal end as numeric(14, 8))
                as price_net
        from {{ ref('price_history') }} as h
        where h.series_id = series.series_id and {{ stands_at('h', 'legs.at') }}
            and h.line_point is not distinct from legs.line_point
            -- null: a leg has a price
            and h.implied_probability = legs.implied_probability
        order by h.line_rank limit 1
    ) as priced
),

told as (
    select spoken.*,
        -- a book that does not say when it read its price: the age is not known
        case when quote.last_update is not null then {{ seconds_between('quote.quote_at', 'spoken.at') }} end as age
    from spoken
    cross join lateral {{ quote_then('spoken', ['quote_at', 'last_update']) }} as quote
),

-- how far a leg is from the others: a group's lowest margin is what it is compared with
voices as (
    select distinct on (offers.event_id, offers.at, offers.opportunity_key, offers.leg_no, offers.operator_group)
        offers.event_id, offers.at, offers.opportunity_key, offers.leg_no, offers.operator_group, offers.ratio
    from chosen
    join offers on {{ same_in('offers', 'chosen', ['event_id', 'at', 'opportunity_key']) }}
    order by
        offers.event_id, offers.at, offers.opportunity_key, offers.leg_no, offers.operator_group,
        offers.overround, offers.bookmaker_key
),

others as (
    select legs.event_id, legs.at, legs.opportunity_key, legs.leg_no,
        count(*) as groups,
        {{ median_of('array_agg(voices.ratio order by voices.ratio)') }} as median
    from legs
    join voices
        on {{ same_in('voices', 'legs', ['event_id', 'at', 'opportunity_key', 'leg_no']) }}
        and voices.operator_group <> legs.operator_group
    group by legs.event_id, legs.at, legs.opportunity_key, legs.leg_no
),

judged as (
    select told.*,
        coalesce(
            others.groups >= {{ parameter('outlier_min_groups') }}
            and abs(told.ratio - others.median) > {{ outlier_limit('told.phase_as_known') }},
            false
        ) as is_outlier
    from told
    left join others on {{ same_in('others', 'told', ['event_id', 'at', 'opportunity_key', 'leg_no']) }}
)

select
    event_id, at, opportunity_key,
    {{ same_of(['times_key', 'market_key', 'description', 'outcome_set']) }},
    -- in_play, where any of them is
    min(phase_as_known) as phase,
    {{ edge }} as edge,
    array_agg(line_point order by leg_no) as line_points,
    array_agg(outcome_name order by leg_no) as outcome_names,
    array_agg(outcome_side order by leg_no) as outcome_sides,
    array_agg(bookmaker_key order by leg_no) as books,
    array_agg(price_net order by leg_no) as prices,
    array_agg(age order by leg_no) as ages,
    array_agg(cast(round(net_probability, 40) / total as numeric(12, 10)) order by leg_no) as stake_shares,
    coalesce(array_agg(bookmaker_key order by leg_no) filter (where is_outlier), '{}') as outliers
from judged group by event_id, at, opportunity_key
{%- endmacro %}

{#-
  From `keyed` (the best legs with their key `id`), `reaching_in` (stored rows with theirs and their times_key) and `times` (with
  times_key): one row per opportunity and stretch of one phase in which it stands, with its legs as it began and at its best.
-#}
{% macro opportunity_intervals(id, identity, edge_at_open, edge_best) -%}
{%- set told = ['books', 'prices', 'ages', 'stake_shares', 'outliers'] -%}
with known as (
    select {{ id }}, event_id, times_key from keyed
    union
    select {{ id }}, event_id, times_key from reaching_in
),

timeline as (
    select
        known.{{ id }}, times.at, keyed.{{ id }} is not null as stands, keyed.phase,
        keyed.edge as edge_at_open, keyed.edge as edge_best, times.at as best_at,
        {% for column in told %}keyed.{{ column }} as {{ column }}_at_open, keyed.{{ column }} as {{ column }}_at_best, {% endfor %}
        {% for column in identity %}keyed.{{ column }}{{ ", " if not loop.last }}{% endfor %}
    from known
    join times on {{ same_in('times', 'known', ['event_id', 'times_key']) }}
    left join keyed on keyed.{{ id }} = known.{{ id }} and keyed.at = times.at
    union all
    select
        {{ id }}, valid_from, true, phase,
        {{ edge_at_open }}, {{ edge_best }}, best_at,
        {% for column in told %}{{ column }}_at_open, {{ column }}_at_best, {% endfor %}
        {{ identity | join(', ') }}
    from reaching_in
),

compared as (
    select timeline.*,
        stands <> coalesce(lag(stands) over one_opportunity, false)
        or (stands and phase is distinct from lag(phase) over one_opportunity) as is_change
    from timeline
    window one_opportunity as (partition by {{ id }} order by at)
),

numbered as (
    select compared.*,
        count(*) filter (where is_change) over (
            partition by {{ id }} order by at rows between unbounded preceding and current row
        ) as stretch_no
    from compared
),

stretches as (
    select numbered.*, lead(at) over (partition by {{ id }} order by at) as valid_to from numbered where is_change
),

bests as (
    select distinct on ({{ id }}, stretch_no) numbered.* from numbered where stands
    order by {{ id }}, stretch_no, edge_best desc, best_at
)

select
    stretches.{{ id }}, {% for column in identity %}stretches.{{ column }}, {% endfor %}stretches.phase,
    stretches.at as valid_from, stretches.valid_to, stretches.edge_at_open, bests.edge_best, bests.best_at,
    {% for column in told %}stretches.{{ column }}_at_open, bests.{{ column }}_at_best, {% endfor %}
    ages.max_leg_age_seconds, ages.leg_age_spread_seconds
from stretches
join bests on bests.{{ id }} = stretches.{{ id }} and bests.stretch_no = stretches.stretch_no
join touched on touched.event_id = stretches.event_id
-- as it began and at its best, whichever is worse; null where an age is not known
cross join lateral (
    select
        case when count(leg.age) = count(*) then max(leg.age) end as max_leg_age_seconds,
        case
            when count(leg.age) = count(*)
                then greatest(
                    max(leg.age) filter (where leg.at_open) - min(leg.age) filter (where leg.at_open),
                    max(leg.age) filter (where not leg.at_open) - min(leg.age) filter (where not leg.at_open)
                )
        end as leg_age_spread_seconds
    from (
        select open_leg.age, true as at_open from unnest(stretches.ages_at_open) as open_leg (age)
        union all
        select best_leg.age, false as at_open from unnest(bests.ages_at_best) as best_leg (age)
    ) as leg
) as ages
where stretches.stands and (stretches.valid_to is null or stretches.valid_to >= touched.scope_from)
{%- endmacro %}

{#- What is told of the legs of an opportunity, as it began and at its best: the last columns of both tables, of `intervals`. -#}
{% macro opportunity_legs() -%}
{%- set legs = ['books', 'prices', 'stake_shares', 'ages', 'outliers'] -%}
intervals.best_at, intervals.max_leg_age_seconds, intervals.leg_age_spread_seconds,
    {% for column in legs %}intervals.{{ column }}_at_open, {% endfor %}
    {% for column in legs %}intervals.{{ column }}_at_best{{ ", " if not loop.last }}{% endfor %}
{%- endmacro %}

{% macro opportunity_quality() -%}
case
    when intervals.edge_best > {{ parameter('implausible_margin') }} then 'implausible'
    when intervals.outliers_at_open <> '{}' or intervals.outliers_at_best <> '{}' then 'outlier'
    when intervals.max_leg_age_seconds is null
        or intervals.max_leg_age_seconds > {{ parameter('stale_leg_seconds') }}
        or intervals.leg_age_spread_seconds > {{ parameter('stale_spread_seconds') }} then 'stale'
    when intervals.phase = 'in_play' then 'in_play'
    else 'clean'
end
{%- endmacro %}

{% macro seen_standing(row, only_if) -%}
(
        select cast(count(distinct s.moment_at) as integer) as captures, max(s.captured_at) as last_seen_at
        from {{ ref('event_sightings') }} as s
        where {{ only_if }} and s.event_id = {{ row }}.event_id and s.captured_at >= {{ row }}.valid_from
            and (s.captured_at < {{ row }}.valid_to or {{ row }}.valid_to is null)
            and s.book_markets && array(
                select book.bookmaker_key || '|' || {{ row }}.market_key
                from unnest({{ row }}.books_at_open || {{ row }}.books_at_best) as book (bookmaker_key)
            )
    )
{%- endmacro %}
