-- An export tells of an authenticator app, of how log-ins ended and when a passkey was first shown with the password too.

grant select (end_reason) on sessions to tradingbots_api;
grant select (vouched_at) on passkeys to tradingbots_api;
grant select (user_id, totp_confirmed_at) on second_factors to tradingbots_api;
create policy second_factors_export on second_factors for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
