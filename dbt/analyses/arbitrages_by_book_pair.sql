-- Longest clean arbitrages of the last week before the newest answer, by the books that they need: how many, how long, how much at best.
select
    array(select book.bookmaker_key from unnest(arbitrage.books_at_best) as book (bookmaker_key) order by 1) as books,
    count(*) as arbitrages,
    max(arbitrage.seen_for_seconds) as longest_seconds,
    max(arbitrage.margin_best) as best_margin
from {{ ref('arbitrages_clean') }} as arbitrage
where arbitrage.valid_from >= (select max(coverage.captured_at) from {{ ref('coverage') }} as coverage) - interval '7 days'
group by 1
order by longest_seconds desc, books
limit 10
