{{ config(materialized='view') }}
-- Whom each book means by the names that it gives to players of props and to runners of outrights.
select
    event.event_id, event.sport_key, named.kind, named.bookmaker_key, named.name_as_sent, named.normalised_name,
    named.player, named.match, named.reason, named.candidates
from {{ ref('events') }} as event
cross join lateral (
    with markets as (
        select shown.market_key, case rule.family when 'props' then 'player' else 'runner' end as kind
        from (select distinct h.market_key from {{ ref('price_history') }} as h where h.event_id = event.event_id) as shown
        cross join lateral {{ market_rule('shown.market_key') }} as rule
        where rule.family in ('props', 'outrights')
    ),

    names as (
        select offered.kind, offered.bookmaker_key, offered.name_as_sent, max(coalesce(offered.valid_to, 'infinity')) as shown_until
        from (
            select markets.kind, h.bookmaker_key, h.valid_to,
                case markets.kind when 'player' then h.description else h.outcome_name end as name_as_sent
            from {{ ref('price_history') }} as h
            join markets on markets.market_key = h.market_key
            where h.event_id = event.event_id and h.price_side = 'back'
        ) as offered
        group by offered.kind, offered.bookmaker_key, offered.name_as_sent
    ),

    -- two people of one name in one market, as the book showed them last
    namesakes as (
        select distinct names.kind, {{ normalised_name('names.name_as_sent') }} as normalised_name
        from names
        join markets on markets.kind = names.kind
        join {{ ref('price_history') }} as h
            on h.event_id = event.event_id and h.market_key = markets.market_key and h.bookmaker_key = names.bookmaker_key
            and case markets.kind when 'player' then h.description else h.outcome_name end = names.name_as_sent
        cross join lateral {{ quote_until("coalesce(h.valid_to, 'infinity')", 'event.event_id', 'h.series_id', 'h.line_rank', ['problem']) }} as told
        where h.line_rank > 1 and h.price_side = 'back' and coalesce(h.valid_to, 'infinity') = names.shown_until
            and told.problem = 'namesakes'
    ),

    normalised as (
        select names.*, {{ normalised_name('names.name_as_sent') }} as normalised_name from names
        where names.name_as_sent is not null
    ),

    -- a book that gives two names of one form means two people
    at_books as (
        select kind, normalised_name, bookmaker_key, count(*) as names from normalised
        group by kind, normalised_name, bookmaker_key
    ),

    forms as (
        select kind, normalised_name, count(*) as books, max(names) > 1 as collides from at_books
        group by kind, normalised_name
    ),

    books as (select kind, count(distinct bookmaker_key) as books from normalised group by kind),

    resolved as (
        select normalised.*,
            books.books as books_in_all,
            forms.books as books_of_form,
            alias.player is not null as is_alias,
            namesakes.kind is not null as is_namesake,
            case
                -- no alias parts what the name does not
                when namesakes.kind is not null then null
                when alias.player is not null then {{ normalised_name('alias.player') }}
                when not forms.collides then normalised.normalised_name
            end as player
        from normalised
        join forms on forms.kind = normalised.kind and forms.normalised_name = normalised.normalised_name
        join books on books.kind = normalised.kind
        left join namesakes on {{ same_in('namesakes', 'normalised', ['kind', 'normalised_name']) }}
        left join lateral (
            select known.player from {{ ref('player_alias') }} as known
            where known.sport_key = event.sport_key and known.name = normalised.name_as_sent
                and coalesce(known.event_id, event.event_id) = event.event_id
                and coalesce(known.bookmaker_key, normalised.bookmaker_key) = normalised.bookmaker_key
            order by known.event_id nulls last, known.bookmaker_key nulls last, known.player limit 1
        ) as alias on true
    ),

    -- where a book gives a name that an alias leads to beside the one it leads from, it means two people
    settled as (
        select
            twice.kind, twice.bookmaker_key, twice.name_as_sent, twice.normalised_name, twice.books_in_all, twice.books_of_form,
            twice.is_alias, twice.is_namesake,
            case when twice.names = 1 or not twice.is_alias then twice.player end as player
        from (
            select resolved.*, count(*) over (partition by kind, player, bookmaker_key) as names from resolved
        ) as twice
    ),

    counted as (
        select settled.*,
            settled.player is not null
            -- null: a row has its book
            and min(bookmaker_key) over (partition by kind, player) <> max(bookmaker_key) over (partition by kind, player) as is_joined
        from settled
    )

    select counted.kind, counted.bookmaker_key, counted.name_as_sent, counted.normalised_name, counted.player,
        case
            when counted.is_joined and (counted.is_alias or counted.books_of_form = 1) then 'alias'
            when counted.is_joined then 'exact'
            when counted.player is not null and counted.books_in_all = 1 then 'single_book'
            else 'unmatched'
        end as match,
        case
            when counted.is_namesake then 'namesakes'
            when counted.player is null then 'collision'
            when not counted.is_joined and counted.books_in_all > 1 then 'no_counterpart'
        end as reason,
        case
            when counted.is_joined then '{}'
            else array(
                select distinct other.name_as_sent from normalised as other
                where other.kind = counted.kind and other.bookmaker_key <> counted.bookmaker_key
                    and {{ last_word('other.normalised_name') }} = {{ last_word('counted.normalised_name') }}
                order by other.name_as_sent
            )
        end as candidates
    from counted
) as named
