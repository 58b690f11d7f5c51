-- What a paper bot held is in its process alone. When the bot is gone for good nobody is left to tell the end of its trades: a sweep does.

grant select (user_id, bot_id, id, opened_at, closed_at, fees, funding), update (closed_at, pnl, reason)
  on trades to tradingbots_worker;
create policy trades_open_work on trades for select to tradingbots_worker using (closed_at is null);
create policy trades_end on trades for update to tradingbots_worker
  using (closed_at is null and user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
