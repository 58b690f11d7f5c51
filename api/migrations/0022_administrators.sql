-- Administrators act only in a log-in that has shown a second factor, and the last admin stays one.

alter table sessions add column has_second_factor boolean not null default false;
comment on column sessions.has_second_factor is 'Whether the last proof, of authenticated_at, was more than a password.';
grant insert (has_second_factor), update (has_second_factor) on sessions to tradingbots_auth;
grant select (has_second_factor) on sessions to tradingbots_api, tradingbots_auth;

-- The command that gives roles counts those who are left.
create policy users_see_roles on users for select to current_user using (role is not null);
