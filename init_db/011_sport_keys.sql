-- Which sport an event belongs to is told by all answers that show it, and not by those of a run (silver.event_sport_keys).
alter table ops.touched_events drop column sport_key;
