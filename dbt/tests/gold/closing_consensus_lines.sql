-- What holds of the lines of closing_consensus together.
select event_id, market_key, 'the medians of a line sum to 1' as broken
from {{ ref('closing_consensus') }}
where fair_median is not null
group by event_id, market_key, description, line_point, outcome_set
having abs(sum(fair_median) - 1) > count(*) * 0.0000000001
union all
select event_id, market_key, 'a market has one main line' as broken
from {{ ref('closing_consensus') }}
group by event_id, market_key, description
having count(distinct concat_ws('|', coalesce(cast(line_point as text), ''), outcome_set)) filter (where is_main_line) <> 1
