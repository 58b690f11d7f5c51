-- A session is one device that is logged in. Its refresh token is a split token: the id finds the row, a proof that stays shows that
-- it was ours once, and a secret that changes with every use shows that it is the newest. Hashes of both are kept.

create table sessions (
  user_id       uuid not null references users (id),
  id            uuid not null unique,
  proof_hash    bytea not null check (length(proof_hash) = 32),
  refresh_hash  bytea not null check (length(refresh_hash) = 32),
  previous_hash bytea check (length(previous_hash) = 32),
  rotated_at    timestamptz(3) not null default now(),
  created_at    timestamptz(3) not null default now(),
  ended_at      timestamptz(3),
  end_reason    text check (end_reason in ('logout', 'reuse', 'password', 'crowded')),
  address       inet not null,
  user_agent    text not null check (length(user_agent) <= 256),
  primary key (user_id, id),
  check ((ended_at is null) = (end_reason is null))
);
comment on column sessions.proof_hash is 'SHA-256 of what every token of the session has in common.';
comment on column sessions.refresh_hash is 'SHA-256 of the newest token''s secret.';
comment on column sessions.previous_hash is 'Of the secret before: it serves once more when the answer with its successor was lost.';
comment on column sessions.end_reason is 'crowded: the user had too many, and this was the one unused for longest.';
create index sessions_ended on sessions (ended_at) where ended_at is not null;
create index sessions_alive on sessions (user_id, rotated_at desc) where ended_at is null;

-- Whoever could bring an ended session back could undo a log-out.
create function keep_session_ended() returns trigger language plpgsql as $$
begin
  raise exception 'an ended session stays ended';
end $$;
create trigger sessions_end_once before update on sessions
  for each row when (old.ended_at is not null) execute function keep_session_ended();

alter table sessions enable row level security;
alter table sessions force row level security;

-- Whoever is logged in sees their devices and ends them.
grant select (user_id, id, rotated_at, created_at, ended_at, address, user_agent) on sessions to tradingbots_api;
grant update (ended_at, end_reason) on sessions to tradingbots_api;
create policy sessions_own on sessions to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid) and ended_at is not null);

-- A refresh token names its session before anybody knows whose it is, and every process asks which sessions have ended: the role that
-- logs people in may look at all. What it changes is bound to the user that it names itself, which is a guard against slips of ours.
grant select (user_id, id, proof_hash, refresh_hash, previous_hash, rotated_at, created_at, ended_at) on sessions
  to tradingbots_auth;
grant insert (user_id, id, proof_hash, refresh_hash, address, user_agent) on sessions to tradingbots_auth;
grant update (refresh_hash, previous_hash, rotated_at, ended_at, end_reason) on sessions to tradingbots_auth;
grant delete on sessions to tradingbots_auth;
create policy sessions_look_up on sessions for select to tradingbots_auth using (true);
create policy sessions_begin on sessions for insert to tradingbots_auth
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy sessions_change on sessions for update to tradingbots_auth
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy sessions_forget on sessions for delete to tradingbots_auth
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

-- Tokens carry the tier; a change of it reaches every process by this time.
alter table users add column tier_changed_at timestamptz(3);
create index users_tier_changed on users (tier_changed_at) where tier_changed_at is not null;
create function note_tier_change() returns trigger language plpgsql as $$
begin
  new.tier_changed_at := clock_timestamp();
  return new;
end $$;
create trigger users_tier_change before update of tier on users
  for each row when (old.tier is distinct from new.tier) execute function note_tier_change();
grant select (tier_changed_at) on users to tradingbots_auth;

grant update (password_hash) on users to tradingbots_auth;
create policy users_change_password on users for update to tradingbots_auth
  using (id = (select nullif(current_setting('app.user_id', true), '')::uuid));
