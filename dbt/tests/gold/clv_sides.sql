-- What one side of a two-way set gains the other loses.
select event_id, bookmaker_key, horizon
from {{ ref('clv') }}
where outcome_set = 'two_way' and clv_probability is not null
group by event_id, bookmaker_key, market_key, description, line_point, horizon
having count(*) = 2 and abs(sum(clv_probability)) > 0.0000001
