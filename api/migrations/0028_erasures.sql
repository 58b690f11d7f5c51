-- Whoever is being erased gets no role: the command that gives roles looks for an open erasure of its user.
create policy personal_data_jobs_see_erasures on personal_data_jobs for select to current_user
  using (kind = 'erasure' and finished_at is null
    and user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

-- What law wants kept gets its pseudonym bot by bot, in pieces that take a second.
grant select (bot_id, epoch, sequence) on orders to tradingbots_worker;
grant select (bot_id, execution_id) on fills, funding to tradingbots_worker;
grant select (bot_id, id) on trades to tradingbots_worker;
