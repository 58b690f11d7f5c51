/** Of a table with a user: the transaction says whose rows it sees, and so does every statement. */
const OWN = "user_id = nullif(current_setting('app.user_id', true), '')::uuid";

/** What an export holds of the database, by file; secrets and hashes are nobody's to read, the user's neither. */
export const DATASETS: Readonly<Record<string, string>> = {
  profile: `select id, email, email_verified_at, tier, role, namespace, subscription_expires_at, created_at, disabled_at
              from users where id = nullif(current_setting('app.user_id', true), '')::uuid`,
  "log-ins": `select id, created_at, rotated_at as last_used_at, authenticated_at, has_second_factor, ended_at, end_reason,
                    host(address) as address, user_agent
               from sessions where ${OWN} order by created_at`,
  authenticator: `select totp_confirmed_at as confirmed_at from second_factors where ${OWN} and totp_confirmed_at is not null`,
  passkeys: `select name, created_at, vouched_at, last_used_at from passkeys where ${OWN} order by created_at`,
  "api-tokens": `select name, scopes, created_at, expires_at, last_used_at, ended_at
                   from api_tokens where ${OWN} order by created_at`,
  trades: `select id, bot_id, symbol, side, quantity, entry_price, exit_price, pnl, fees, funding, opened_at, closed_at, reason
             from trades where ${OWN} order by opened_at, id`,
  orders: `select client_order_id, bot_id, exchange_order_id, symbol, purpose, side, quantity, status, code, message, at
             from orders where ${OWN} order by at, client_order_id`,
  fills: `select execution_id, client_order_id, bot_id, trade_id, symbol, purpose, side, price, quantity, fee, fee_currency, at
            from fills where ${OWN} order by at, execution_id`,
  funding: `select execution_id, bot_id, trade_id, symbol, amount, currency, at
              from funding where ${OWN} order by at, execution_id`,
  intents: `select client_order_id, bot_id, symbol, side, quantity, leverage, stop_loss, take_profit, confidence, candle_open_time, at
              from intents where ${OWN} order by at, client_order_id`,
  equity: `select bot_id, equity, available, currency, at from equity where ${OWN} order by bot_id, at`,
  events: `select bot_id, kind, message, at from events where ${OWN} order by bot_id, at`,
  requests: `select id, bot_id, action, symbol, side, status, reason, message, order_id, at
               from request_results where ${OWN} order by at, id`,
  notices: `select kind, message, created_at from notices where ${OWN} order by created_at, id`,
  audit: `select at, actor_kind, action, object, outcome, code,
                 case when actor_kind <> 'admin' then network::text end as network, details
            from audit where ${OWN} order by at, id`,
};
