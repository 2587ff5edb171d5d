-- Reliability of book X, here FanDuel, one hour before the start: of what it held for some 30 %, how much came, beside the consensus.
select
    bins.sport_key,
    bins.market_key,
    bins.bookmaker_key,
    bins.bin,
    bins.n_events,
    round(bins.mean_probability, 3) as mean_probability,
    round(bins.hit_rate, 3) as hit_rate,
    round(bins.hit_rate_low, 3) as hit_rate_low,
    round(bins.hit_rate_high, 3) as hit_rate_high,
    -- games of one day correlate, so that rather too few bins look calibrated
    bins.mean_probability between bins.hit_rate_low and bins.hit_rate_high as looks_calibrated,
    bins.publishable
from {{ ref('calibration_bins') }} as bins
where bins.bookmaker_key in ('fanduel', 'consensus')
    and bins.method = 'power'
    and bins.horizon_hours = 1
    and bins.outcome_set = 'two_way'
order by bins.sport_key, bins.market_key, bins.bin, bins.bookmaker_key
