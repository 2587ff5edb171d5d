-- A quote that became stale, or fresh again, touches its line for the tables that leave such quotes out, and for no other.
alter table ops.touched_lines add column is_of_price boolean not null default true;
comment on column ops.touched_lines.is_of_price is 'Whether a row of price_history changed on it; else only how fresh a quote of it is.';
comment on table ops.touched_lines is
    'Lines of touched events that are not looked at whole, on which the run changed a row of price_history or of stale_quotes.';
