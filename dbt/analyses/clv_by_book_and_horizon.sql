-- Mean closing line value by book and time before the start, with the share of prices whose point did not move.
-- Over all outcomes of a book the mean of clv_ev is about minus its margin: what tells books apart is how much, and what tells
-- bets apart is which outcomes were taken. Where same_point_share is low, the mean is of those that happened not to move.
select
    bookmaker_key,
    horizon,
    count(*) as prices,
    round(avg(case when clv_status = 'same_point' then 1.0 else 0.0 end), 3) as same_point_share,
    count(clv_ev) as prices_with_ev,
    round(avg(clv_ev), 4) as mean_clv_ev,
    round(avg(clv_price), 4) as mean_clv_price,
    -- of two sides one gains what the other loses: their mean is 0, their size is how far the book moved
    round(avg(abs(clv_probability)), 3) as mean_move_in_percentage_points,
    round(avg(abs(clv_points)) filter (where clv_status = 'point_moved'), 2) as mean_points_where_moved
from {{ ref('clv') }}
where is_closing
group by bookmaker_key, horizon
order by bookmaker_key, min(array_position(array['opening', '24h', '6h', '1h', '15min'], horizon))
