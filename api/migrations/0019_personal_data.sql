-- What the GDPR gives people: all that is theirs as files, and to be forgotten. Both are jobs, because the second waits for positions to
-- be closed. Trades, orders and fills must be kept by law: they go on under a pseudonym that leads to nobody.

create table personal_data_jobs (
  user_id     uuid not null,
  id          uuid not null default gen_random_uuid(),
  kind        text not null check (kind in ('export', 'erasure')),
  status      text not null default 'waiting' check (status in ('waiting', 'running', 'done', 'failed')),
  step        text not null default 'begin',
  detail      text not null default '' check (length(detail) <= 500),
  attempts    int not null default 0,
  created_at  timestamptz(3) not null default now(),
  stepped_at  timestamptz(3) not null default now(),
  finished_at timestamptz(3),
  primary key (user_id, id),
  check ((status in ('done', 'failed')) = (finished_at is not null))
);
comment on table personal_data_jobs is 'Of an erasure this row stays: that it was done, when, and for which random id.';
create unique index personal_data_jobs_one on personal_data_jobs (user_id, kind) where finished_at is null;
create index personal_data_jobs_open on personal_data_jobs (created_at) where finished_at is null;

create table personal_data_parts (
  user_id uuid not null,
  job_id  uuid not null,
  file    text not null check (file ~ '^[a-z-]+\.(json|csv)$'),
  number  int not null,
  content text not null,
  primary key (user_id, job_id, file, number),
  foreign key (user_id, job_id) references personal_data_jobs (user_id, id) on delete cascade
);
comment on table personal_data_parts is 'Files of exports, in pieces that need little memory.';

alter table personal_data_jobs enable row level security;
alter table personal_data_jobs force row level security;
alter table personal_data_parts enable row level security;
alter table personal_data_parts force row level security;
grant select on personal_data_jobs, personal_data_parts to tradingbots_api;
grant insert (user_id, kind) on personal_data_jobs to tradingbots_api;
create policy personal_data_jobs_own on personal_data_jobs to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy personal_data_parts_own on personal_data_parts for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
grant select, delete on personal_data_jobs to tradingbots_worker;
grant update (status, step, detail, attempts, stepped_at, finished_at) on personal_data_jobs to tradingbots_worker;
grant select, insert, delete on personal_data_parts to tradingbots_worker;
create policy personal_data_jobs_work on personal_data_jobs for select to tradingbots_worker using (true);
create policy personal_data_jobs_step on personal_data_jobs for update to tradingbots_worker
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy personal_data_jobs_expire on personal_data_jobs for delete to tradingbots_worker
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy personal_data_parts_fill on personal_data_parts to tradingbots_worker
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

-- An export reads as the user what the API had no other reason to read.
grant select on orders, intents to tradingbots_api;
create policy orders_own on orders for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy intents_own on intents for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

grant select (user_id, name, created_at, last_used_at) on passkeys to tradingbots_api;
create policy passkeys_export on passkeys for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
grant select (user_id, name, scopes, created_at, expires_at, last_used_at, ended_at) on api_tokens to tradingbots_api;
create policy api_tokens_export on api_tokens for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

-- With a user's row goes all that refers to it, whatever table a later version adds.
do $$
declare
  key record;
begin
  for key in
    select conname, conrelid::regclass as of_table, pg_get_constraintdef(oid) as definition
      from pg_constraint
     where contype = 'f' and confdeltype = 'a' and conparentid = 0
       and confrelid in ('users'::regclass, 'accounts'::regclass, 'bots'::regclass)
  loop
    execute format('alter table %s drop constraint %I', key.of_table, key.conname);
    execute format('alter table %s add constraint %I %s on delete cascade', key.of_table, key.conname, key.definition);
  end loop;
end $$;

-- Rows of the journal refer to nothing, so that it stays fast: they are named one by one.
do $$
declare
  forgotten text;
  kept text;
begin
  foreach forgotten in array array['equity', 'events', 'intents', 'day_baselines', 'reports', 'commitments'] loop
    execute format('grant select (user_id), delete on %I to tradingbots_worker', forgotten);
    execute format($policy$create policy %I on %I to tradingbots_worker
      using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))$policy$,
      forgotten || '_forget', forgotten);
  end loop;
  -- What is changed must be seen before and after.
  foreach kept in array array['orders', 'fills', 'trades'] loop
    execute format('grant select (user_id), update (user_id) on %I to tradingbots_worker', kept);
    execute format($policy$create policy %I on %I to tradingbots_worker
      using (user_id in ((select nullif(current_setting('app.user_id', true), '')::uuid),
                         (select nullif(current_setting('app.pseudonym', true), '')::uuid)))
      with check (user_id = (select nullif(current_setting('app.pseudonym', true), '')::uuid))$policy$,
      kept || '_pseudonymise', kept);
  end loop;
end $$;

grant delete on users to tradingbots_worker;
grant update (disabled_at) on users to tradingbots_worker;
create policy users_forget on users for delete to tradingbots_worker
  using (id = (select nullif(current_setting('app.user_id', true), '')::uuid));
grant select (user_id, ended_at) on sessions to tradingbots_worker;
grant update (ended_at, end_reason) on sessions to tradingbots_worker;
create policy sessions_forget_with_user on sessions to tradingbots_worker
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
