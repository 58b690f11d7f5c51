-- Statistics go by when trades were closed.
create index trades_by_close on trades (user_id, closed_at) where closed_at is not null;
