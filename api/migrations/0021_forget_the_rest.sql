-- What was told live goes with its user, and so does what refers to the journal's sessions. Funding is kept with the trades.
alter table journal_leases drop constraint journal_leases_user_id_bot_id_epoch_fkey;
alter table journal_leases add constraint journal_leases_user_id_bot_id_epoch_fkey
  foreign key (user_id, bot_id, epoch) references journal_sessions (user_id, bot_id, epoch) on delete cascade;

grant select (user_id), delete on live_events, live_heads to tradingbots_worker;
create policy live_events_forget on live_events to tradingbots_worker
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy live_heads_forget on live_heads to tradingbots_worker
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

grant select (user_id), update (user_id) on funding to tradingbots_worker;
create policy funding_pseudonymise on funding to tradingbots_worker
  using (user_id in ((select nullif(current_setting('app.user_id', true), '')::uuid),
                     (select nullif(current_setting('app.pseudonym', true), '')::uuid)))
  with check (user_id = (select nullif(current_setting('app.pseudonym', true), '')::uuid));
