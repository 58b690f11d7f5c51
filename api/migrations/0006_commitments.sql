-- Two entries of one account, of two bots or of two symbols of one, may be sent in the same moment, each by a balance that does
-- not show the other's order yet. So what an entry will take of the account is written down with its intent, and counted until
-- the exchange has it in its balance.

create table commitments (
  user_id         uuid not null,
  account_id      text not null,
  client_order_id uuid not null,
  bot_id          text not null,
  margin          numeric not null,
  appended_at     timestamptz(3) not null default clock_timestamp(),
  settled_at      timestamptz(3),
  primary key (user_id, account_id, client_order_id)
);
comment on table commitments is 'Margin of entries of the last minutes; older ones go with the account''s next.';
comment on column commitments.settled_at is 'The journal heard how the order ended: a balance asked for since then shows it. Accepted is no end: it may fill later.';

alter table commitments enable row level security;
alter table commitments force row level security;
grant select, insert, delete on commitments to tradingbots_journal;
grant update (settled_at) on commitments to tradingbots_journal;
create policy commitments_of_account on commitments to tradingbots_journal
  using (account_id = (select bots.account_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), ''))))
  with check (
    account_id = (select bots.account_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );

-- Whether the entry `of_order` fits beside what others of the account are about to take. Whoever asks for the same account waits
-- until this transaction has ended. `commitment`: the entry's `margin`, what the account had `committed`
-- when its balance was asked for `balanceAgeMs` ago, and the `limit` of both. Without one, or without an account, it fits.
-- An order that has just filled may be counted twice, here and in the balance: that puts an entry off, and never lets one pass.
-- The 2 s are how long an intent may be on its way (DECISION_MAX_AGE_MS of the bot): after that its order is not sent.
-- After 10 minutes an order is in the balance or nowhere (ACCEPTED_WINDOW_MS). A row that a batch of records holds at this moment
-- is removed another time: that batch may wait for a row that is removed here.
create function fits_account(of_user uuid, of_account text, of_order uuid, commitment json) returns boolean
language plpgsql as $$
declare
  told record;
begin
  select * into told from json_to_record(commitment) as r(
         margin numeric, committed numeric, "limit" numeric, "balanceAgeMs" bigint);
  if of_account is null or told.margin is null then
    return true;
  end if;
  perform pg_advisory_xact_lock(hashtextextended(of_account, 2));
  delete from commitments
   where user_id = of_user and account_id = of_account and client_order_id = any(array(
     select client_order_id from commitments
      where user_id = of_user and account_id = of_account
        and appended_at < clock_timestamp() - interval '10 minutes'
        for update skip locked));
  return told.committed + told.margin + (
    select coalesce(sum(margin), 0) from commitments
     where user_id = of_user and account_id = of_account and client_order_id <> of_order
       and appended_at >= clock_timestamp() - interval '10 minutes'
       and (settled_at is null
         or settled_at > clock_timestamp() - (told."balanceAgeMs" + 2000) * interval '1 millisecond')
  ) <= told."limit";
end $$;
revoke execute on function fits_account from public;
grant execute on function fits_account to tradingbots_journal;

-- As before, and: is_free says that the account has room for what the entry takes.
drop function append_intent;
create function append_intent(of_bot text, of_namespace text, service_account text, paper_account text,
                              of_pod text, of_epoch int, intent json)
  returns table (is_known boolean, newest int, newest_is_own boolean, is_leased boolean, is_free boolean,
                 is_taken boolean)
language plpgsql as $$
declare
  of_user uuid := speak_for(of_bot, of_namespace, service_account, paper_account);
  of_account text := (select account_id from bots where id = of_bot);
  standing record;
  told record;
  kept record;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'append_intent needs read committed: an older snapshot does not see the newest epoch';
  end if;
  if of_user is null then
    return;
  end if;
  perform pg_advisory_xact_lock_shared(hashtextextended(of_bot, 1)); -- as lockBot in journal/sessions.ts
  select * into told from json_to_record(intent) as r(
         "clientOrderId" uuid, attempt int, symbol text, side text, quantity numeric, leverage int,
         "stopLoss" numeric, "takeProfit" numeric, "candleOpenTime" timestamptz(3),
         confidence numeric, at timestamptz(3), commitment json);
  -- It may wait for another entry of the account, so it comes before the look at the lease.
  is_free := fits_account(of_user, of_account, told."clientOrderId", told.commitment);
  select * into standing from bot_standing(of_user, of_bot, of_pod, of_epoch);
  if is_free and standing.is_known and standing.newest = of_epoch and standing.is_leased then
    insert into intents (user_id, bot_id, client_order_id, epoch, attempt, symbol, side, quantity,
                         leverage, stop_loss, take_profit, candle_open_time, confidence, at)
    select of_user, of_bot, told."clientOrderId", of_epoch, told.attempt, told.symbol, told.side,
           told.quantity, told.leverage, told."stopLoss", told."takeProfit", told."candleOpenTime",
           told.confidence, told.at
     where not exists (select from orders
                        where user_id = of_user and bot_id = of_bot
                          and client_order_id = told."clientOrderId"
                          and status in ('refused', 'filled', 'cancelled'))
       and not exists (select from trades
                        where user_id = of_user and bot_id = of_bot and id = told."clientOrderId"
                          and closed_at is not null)
    on conflict (user_id, bot_id, client_order_id) do nothing;
    is_taken := found;
    if not found then
      select * into kept from intents
       where user_id = of_user and bot_id = of_bot and client_order_id = told."clientOrderId";
      is_taken := kept.is_open
        and (kept.attempt, kept.symbol, kept.side, kept.quantity, kept.leverage, kept.stop_loss,
             kept.take_profit, kept.candle_open_time, kept.confidence, kept.at)
          = (told.attempt, told.symbol, told.side, told.quantity, told.leverage, told."stopLoss",
             told."takeProfit", told."candleOpenTime", told.confidence, told.at);
    end if;
    if is_taken and of_account is not null and told.commitment is not null then
      insert into commitments (user_id, account_id, client_order_id, bot_id, margin)
      values (of_user, of_account, told."clientOrderId", of_bot, (told.commitment ->> 'margin')::numeric)
      on conflict do nothing;
    end if;
  end if;
  return query select standing.is_known, standing.newest, standing.newest_is_own, standing.is_leased,
                      is_free, coalesce(is_taken, false);
end $$;
revoke execute on function append_intent from public;
grant execute on function append_intent to tradingbots_journal;
