{{ config(materialized='view') }}
-- Whose prices move as one: of each two operator groups how often their prices of h2h are the same after either moved.
with sets as (
    select m.event_id, m.bookmaker_key, m.valid_from, m.valid_to,
        array_to_string(m.outcome_names, '|') || '=' || array_to_string(m.implied_probabilities, '|') as prices
    from {{ ref('margins') }} as m
    where m.market_key = 'h2h' and m.is_sound and m.set_no = 1
),

-- a phase is no price, and neither is a book that comes back with what it had
told as (
    select sets.*,
        prices is distinct from lag(prices) over (partition by event_id, bookmaker_key order by valid_from) as is_change
    from sets
),

stretches as materialized (
    select event_id, bookmaker_key, valid_from, valid_to, prices,
        count(*) filter (where is_change) over (partition by event_id, bookmaker_key order by valid_from) as price_no
    from told
),

-- who is shown by which answer
captures as materialized (
    select s.exchange_id, s.event_id, s.captured_at, split_part(shown.book_market, '|', 1) as bookmaker_key
    from {{ ref('event_sightings') }} as s
    cross join lateral unnest(s.book_markets) as shown (book_market)
    where s.shows_odds and split_part(shown.book_market, '|', 2) = 'h2h'
),

quoted as (
    select captures.exchange_id, captures.event_id, captures.bookmaker_key, stretches.price_no, stretches.prices,
        coalesce(profile.operator_group, captures.bookmaker_key) as operator_group
    from captures
    join stretches
        on {{ same_in('stretches', 'captures', ['event_id', 'bookmaker_key']) }}
        and {{ stands_at('stretches', 'captures.captured_at') }}
    {{ with_profile('captures.bookmaker_key', 'captures.captured_at') }}
    where {{ has_own_prices('profile') }}
),

answers as (
    select event_id,
        array_agg(bookmaker_key order by bookmaker_key) as books,
        array_agg(operator_group order by bookmaker_key) as groups,
        array_agg(price_no order by bookmaker_key) as price_nos,
        array_agg(prices order by bookmaker_key) as prices
    from quoted group by event_id, exchange_id
),

-- The prices that two books of different desks had in answers in common. Numbers only grow, so that each two are one stretch of time:
-- all but the first of an event begin with the first answer in common after a change.
in_common as (
    select distinct
        answers.event_id, one.bookmaker_key, other.bookmaker_key as other_bookmaker_key,
        one.operator_group, other.operator_group as other_group,
        one.price_no + other.price_no as price_no,
        one.prices = other.prices as is_equal
    from answers
    cross join lateral unnest(answers.books, answers.groups, answers.price_nos, answers.prices)
        as one (bookmaker_key, operator_group, price_no, prices)
    cross join lateral unnest(answers.books, answers.groups, answers.price_nos, answers.prices)
        as other (bookmaker_key, operator_group, price_no, prices)
    where other.operator_group > one.operator_group
),

since as (
    select in_common.*,
        min(price_no) over (partition by event_id, bookmaker_key, other_bookmaker_key) as first_price_no
    from in_common
),

counted as (
    select operator_group, other_group, bookmaker_key, other_bookmaker_key,
        cast(count(*) as integer) as changes,
        cast(count(distinct event_id) as integer) as events,
        cast(count(*) filter (where is_equal) as integer) as equal_changes
    from since
    where price_no > first_price_no
    group by operator_group, other_group, bookmaker_key, other_bookmaker_key
),

judged as (
    select counted.*,
        {{ share_of('equal_changes', 'changes') }} as equal_share,
        changes >= {{ parameter('twins_min_changes') }} and events >= {{ parameter('twins_min_events') }} as is_enough
    from counted
)

-- of groups with several books the two that agree most speak
select distinct on (operator_group, other_group)
    operator_group, other_group, bookmaker_key, other_bookmaker_key, changes, events, equal_changes, equal_share, is_enough,
    is_enough and equal_share >= {{ parameter('twins_min_share') }} as is_candidate
from judged
order by operator_group, other_group, is_enough desc, equal_share desc, changes desc, bookmaker_key, other_bookmaker_key
