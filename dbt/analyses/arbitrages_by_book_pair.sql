-- Longest clean arbitrages of the last week before the newest answer, by pair of books: how many, how long, how much at best.
select
    arbitrage.books_at_best[1] as one_book,
    arbitrage.books_at_best[2] as other_book,
    count(*) as arbitrages,
    max(arbitrage.seen_for_seconds) as longest_seconds,
    round(avg(arbitrage.seen_for_seconds), 0) as mean_seconds,
    round(max(arbitrage.margin_best), 4) as best_margin
from {{ ref('arbitrages_clean') }} as arbitrage
where cardinality(arbitrage.books_at_best) = 2
    and arbitrage.last_seen_at >= (select max(coverage.captured_at) from {{ ref('coverage') }} as coverage) - interval '7 days'
group by arbitrage.books_at_best[1], arbitrage.books_at_best[2]
order by longest_seconds desc, arbitrages desc, one_book, other_book
