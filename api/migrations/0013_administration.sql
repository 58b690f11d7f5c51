-- Who may do what for others, and what such people need: their role, disabled users, subscriptions that end, notices, the second
-- person of a resumption. Roles of people are given by the schema's owner alone: nobody gets one through the API.

alter table users
  add column role text check (role in ('viewer', 'operator', 'admin')),
  add column disabled_at timestamptz(3),
  add column subscription_expires_at timestamptz(3),
  add column bots_settled_at timestamptz(3);
comment on column users.role is 'NULL for everybody who only trades.';
comment on column users.disabled_at is 'Since when the user cannot log in; bots go on.';
comment on column users.subscription_expires_at is 'When the tier falls back to free; NULL: never.';
comment on column users.bots_settled_at is 'The tier_changed_at that the bots follow.';
create index users_subscription_expires on users (subscription_expires_at) where tier <> 'free';

alter table sessions drop constraint sessions_end_reason_check;
alter table sessions add constraint sessions_end_reason_check
  check (end_reason in ('logout', 'reuse', 'password', 'crowded', 'disabled', 'erased'));

grant select (role, disabled_at, subscription_expires_at) on users to tradingbots_api;
grant select (disabled_at) on users to tradingbots_auth;

create table notices (
  user_id    uuid not null references users (id),
  id         uuid not null default gen_random_uuid(),
  kind       text not null check (length(kind) <= 50),
  message    text not null check (length(message) <= 500),
  created_at timestamptz(3) not null default now(),
  primary key (user_id, id)
);
comment on table notices is 'What a user is to know of what was done without them.';
create index notices_by_time on notices (user_id, created_at, id);
alter table notices enable row level security;
alter table notices force row level security;
grant select on notices to tradingbots_api;
create policy notices_own on notices for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
grant insert on notices to tradingbots_worker;
create policy notices_give on notices for insert to tradingbots_worker
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

-- Administrators read who there is and change one user at a time.
grant select (id, email, tier, namespace, created_at, role, disabled_at, subscription_expires_at, tier_changed_at)
  on users to tradingbots_admin;
grant update (tier, disabled_at, subscription_expires_at) on users to tradingbots_admin;
create policy users_administer on users for select to tradingbots_admin using (true);
create policy users_change on users for update to tradingbots_admin
  using (id = (select nullif(current_setting('app.user_id', true), '')::uuid));
grant select on accounts, bots to tradingbots_admin;
create policy accounts_administer on accounts for select to tradingbots_admin using (true);
create policy bots_administer on bots for select to tradingbots_admin using (true);
grant select (user_id, bot_id, received_at) on reports to tradingbots_admin;
create policy reports_administer on reports for select to tradingbots_admin using (true);
grant select (user_id, id, rotated_at, ended_at) on sessions to tradingbots_admin;
grant update (ended_at, end_reason) on sessions to tradingbots_admin;
create policy sessions_count on sessions for select to tradingbots_admin using (true);
create policy sessions_disable on sessions for update to tradingbots_admin
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

create table halt_lifts (
  user_id      uuid not null references users (id),
  id           uuid not null default gen_random_uuid(),
  halt         text not null,
  halt_uid     text not null,
  requested_at timestamptz(3) not null default now(),
  approved_by  uuid references users (id),
  approved_at  timestamptz(3),
  primary key (user_id, id),
  check (approved_by <> user_id),
  check ((approved_by is null) = (approved_at is null))
);
comment on table halt_lifts is 'Wishes to let all bots trade again, and who the second person was.';
comment on column halt_lifts.user_id is 'Who wishes it.';
create index halt_lifts_of_halt on halt_lifts (halt_uid, requested_at);
alter table halt_lifts enable row level security;
alter table halt_lifts force row level security;
grant select on halt_lifts to tradingbots_admin;
grant insert (user_id, halt, halt_uid) on halt_lifts to tradingbots_admin;
grant update (approved_by, approved_at) on halt_lifts to tradingbots_admin;
create policy halt_lifts_read on halt_lifts for select to tradingbots_admin using (true);
create policy halt_lifts_request on halt_lifts for insert to tradingbots_admin
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy halt_lifts_approve on halt_lifts for update to tradingbots_admin
  using (user_id <> (select nullif(current_setting('app.user_id', true), '')::uuid))
  with check (approved_by = (select nullif(current_setting('app.user_id', true), '')::uuid));

-- The command that gives roles runs as the owner, whom forced row-level security binds too: it sees the one user it names.
create policy users_give_role on users to current_user
  using (email = (select nullif(current_setting('app.email', true), '')));
create policy audit_append_owner on audit for insert to current_user with check (true);
