-- One statement says who speaks, one appends an intent; what is over stays over; old sessions are removed.

-- Everything after it in the transaction speaks for the bot; gives its user. Null: a pod in that namespace with that service
-- account is not the bot's.
create function speak_for(bot text, of_namespace text, service_account text, paper_account text) returns uuid
language plpgsql as $$
begin
  perform set_config('app.bot_id', bot, true);
  return (select user_id from bots
           where id = bot and namespace = of_namespace and service_account in (account_id, paper_account));
end $$;
revoke execute on function speak_for from public;
grant execute on function speak_for to tradingbots_journal;

-- What a process may do at this moment: both its epoch and the newest one are found by index, however many there were.
create function bot_standing(of_user uuid, of_bot text, of_pod text, of_epoch int)
  returns table (is_known boolean, newest int, newest_is_own boolean, is_leased boolean)
language plpgsql as $$
begin
  return query
  select exists (select from journal_sessions
                  where user_id = of_user and bot_id = of_bot and epoch = of_epoch and pod_uid = of_pod),
         latest.epoch,
         latest.pod_uid = of_pod,
         exists (select from journal_leases
                  where user_id = of_user and bot_id = of_bot and epoch = of_epoch and pod_uid = of_pod
                    and expires_at > clock_timestamp())
    from (select epoch, pod_uid from journal_sessions
           where user_id = of_user and bot_id = of_bot order by epoch desc limit 1) as latest;
end $$;
revoke execute on function bot_standing from public;
grant execute on function bot_standing to tradingbots_journal;

-- Waits for whoever changes the bot's session, lease or closed intents, and only then looks: read committed lets every
-- statement of a function see what was committed before it began. is_taken: the intent is kept, open, and the very one.
-- The first four say who speaks, as in speak_for; no row when it gives none.
create function append_intent(of_bot text, of_namespace text, service_account text, paper_account text,
                              of_pod text, of_epoch int, intent json)
  returns table (is_known boolean, newest int, newest_is_own boolean, is_leased boolean, is_taken boolean)
language plpgsql as $$
declare
  of_user uuid := speak_for(of_bot, of_namespace, service_account, paper_account);
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
  select * into standing from bot_standing(of_user, of_bot, of_pod, of_epoch);
  if standing.is_known and standing.newest = of_epoch and standing.is_leased then
    select * into told from json_to_record(intent) as r(
           "clientOrderId" uuid, attempt int, symbol text, side text, quantity numeric, leverage int,
           "stopLoss" numeric, "takeProfit" numeric, "candleOpenTime" timestamptz(3),
           confidence numeric, at timestamptz(3));
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
  end if;
  return query select standing.is_known, standing.newest, standing.newest_is_own, standing.is_leased,
                      coalesce(is_taken, false);
end $$;
revoke execute on function append_intent from public;
grant execute on function append_intent to tradingbots_journal;

grant delete on journal_sessions to tradingbots_journal;

-- What should have closed them and did not. The tables' owner sees no rows while row-level security is forced.
alter table intents no force row level security;
alter table orders no force row level security;
alter table trades no force row level security;
update intents set is_open = false
 where is_open
   and (exists (select from orders
                 where orders.user_id = intents.user_id and orders.bot_id = intents.bot_id
                   and orders.client_order_id = intents.client_order_id
                   and orders.status in ('refused', 'filled', 'cancelled'))
     or exists (select from trades
                 where trades.user_id = intents.user_id and trades.bot_id = intents.bot_id
                   and trades.id = intents.client_order_id and trades.closed_at is not null));
alter table intents force row level security;
alter table orders force row level security;
alter table trades force row level security;
comment on column intents.is_open is 'Neither a final order record nor a closed trade has said yet how it ended.';
