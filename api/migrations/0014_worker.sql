-- What no request does: subscriptions that end, and creations that were never finished. One process at a time works here, across
-- users; what it changes is bound to the user whom it names.

alter table accounts add column made_at timestamptz(3);
alter table bots add column made_at timestamptz(3);
comment on column accounts.made_at is 'The custom resource was seen to be there, or to need cleaning up no more.';
comment on column bots.made_at is 'The custom resource was seen to be there.';
create index accounts_unseen on accounts (created_at) where made_at is null and gone_at is null;
create index bots_unseen on bots (created_at) where made_at is null and gone_at is null;

grant select (id, email, tier, namespace, created_at, role, disabled_at, subscription_expires_at, tier_changed_at, bots_settled_at)
  on users to tradingbots_worker;
grant update (tier, bots_settled_at) on users to tradingbots_worker;
create policy users_work on users for select to tradingbots_worker using (true);
create policy users_settle on users for update to tradingbots_worker
  using (id = (select nullif(current_setting('app.user_id', true), '')::uuid));

grant select on accounts, bots to tradingbots_worker;
grant update (retired_at, gone_at, made_at) on accounts, bots to tradingbots_worker;
create policy accounts_work on accounts for select to tradingbots_worker using (true);
create policy accounts_settle on accounts for update to tradingbots_worker
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy bots_work on bots for select to tradingbots_worker using (true);
create policy bots_settle on bots for update to tradingbots_worker
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
