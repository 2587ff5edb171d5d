-- Props over books: each player's lines, where the best Over and the best Under are, and what both together cost.
select
    event.home_team,
    event.away_team,
    prices.market_key,
    prices.player,
    prices.line_point,
    round(prices.over_price_decimal, 2) as over_price_decimal,
    prices.over_books,
    round(prices.under_price_decimal, 2) as under_price_decimal,
    prices.under_books,
    round(prices.best_hold, 4) as best_hold
from {{ ref('prop_prices') }} as prices
join {{ ref('events') }} as event on event.event_id = prices.event_id
where prices.over_book_count > 1 and prices.under_book_count > 1
order by prices.best_hold, prices.event_id, prices.market_key, prices.player, prices.line_point, prices.phase_as_known
limit 50
