-- Where books disagree most: the range of fair probabilities among operator groups, on lines that stand.
select
    event.home_team,
    event.away_team,
    consensus.market_key,
    consensus.line_point,
    consensus.outcome_name,
    consensus.group_count,
    round(consensus.fair_median, 4) as fair_median,
    round(consensus.probability_max - consensus.probability_min, 4) as range
from {{ ref('consensus') }} as consensus
join {{ ref('events') }} as event on event.event_id = consensus.event_id
where consensus.valid_to is null
    and consensus.method = 'power'
    and consensus.group_count >= 3
order by consensus.probability_max - consensus.probability_min desc, consensus.line_id
limit 50
