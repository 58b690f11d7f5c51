-- Tokens for scripts: they live for months, may do what their scopes say, and can neither log in nor step up.

create table api_tokens (
  user_id      uuid not null references users (id),
  id           uuid not null unique,
  hash         bytea not null unique check (length(hash) = 32),
  name         text not null check (length(name) <= 64),
  scopes       text[] not null check (scopes <@ '{read,trade,accounts}' and cardinality(scopes) > 0),
  created_at   timestamptz(3) not null default now(),
  expires_at   timestamptz(3) not null,
  last_used_at timestamptz(3),
  ended_at     timestamptz(3),
  primary key (user_id, id)
);
comment on column api_tokens.hash is 'SHA-256 of the token, which holds 32 random bytes.';
comment on column api_tokens.last_used_at is 'To the minute.';
create index api_tokens_ended on api_tokens (ended_at) where ended_at is not null;

-- Whoever could bring a revoked token back could undo its revocation.
create function keep_token_ended() returns trigger language plpgsql as $$
begin
  raise exception 'a revoked token stays revoked';
end $$;
create trigger api_tokens_end_once before update on api_tokens
  for each row when (old.ended_at is not null) execute function keep_token_ended();

alter table api_tokens enable row level security;
alter table api_tokens force row level security;
grant select, insert, delete on api_tokens to tradingbots_auth;
grant update (last_used_at, ended_at) on api_tokens to tradingbots_auth;
-- A token is looked up before anybody knows whose it is, and every process asks which have been revoked.
create policy api_tokens_look_up on api_tokens for select to tradingbots_auth using (true);
create policy api_tokens_make on api_tokens for insert to tradingbots_auth
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy api_tokens_change on api_tokens for update to tradingbots_auth
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy api_tokens_forget on api_tokens for delete to tradingbots_auth
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
