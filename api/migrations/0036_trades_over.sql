-- An older pod that still lives may close what the newer one has given up as dust, or as closed by nobody knows what: executions say more
-- than either. Such a trade may be told of as open again; one that executions have closed may not.
create function is_trade_over(closed_at timestamptz, reason text) returns boolean
language sql immutable as $$ select closed_at is not null and reason is distinct from 'dust' and reason is distinct from 'unknown' $$;
revoke execute on function is_trade_over from public;
grant execute on function is_trade_over to tradingbots_journal;

create or replace function append_records(of_bot text, of_namespace text, service_account text, paper_account text,
                               of_pod text, of_epoch int, facts json)
  returns table (is_known boolean, last_sequence bigint, has_new_report boolean, told_user uuid)
language plpgsql as $$
declare
  of_user uuid := speak_for(of_bot, of_namespace, service_account, paper_account);
  given record;
  kinds text[] := '{}';
  contents json[] := '{}';
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'append_records needs read committed: whoever has waited for a lock must see what its holder wrote';
  end if;
  if of_user is null then
    return;
  end if;
  select * into given from json_to_record(facts) as r(
         orders json, fills json, funding json, trades json, equity json, events json, baselines json,
         report json, "reportSequence" bigint, over uuid[], ended uuid[], highest bigint);

  -- An intent whose answer the bot gave up waiting for is written before it is closed here, or refused after.
  if given.over is not null then
    perform pg_advisory_xact_lock(hashtextextended(of_bot, 1)); -- as lockBot in journal/sessions.ts
  end if;
  is_known := exists (select from journal_sessions
                       where user_id = of_user and bot_id = of_bot and epoch = of_epoch and pod_uid = of_pod);
  if not is_known then
    return next;
    return;
  end if;

  if given.orders is not null then
    insert into orders (user_id, bot_id, epoch, sequence, client_order_id, exchange_order_id, symbol,
                        purpose, side, quantity, status, code, message, at)
    select of_user, of_bot, of_epoch, r.sequence, r."clientOrderId", r."exchangeOrderId", r.symbol,
           r.purpose, r.side, r.quantity, r.status, r.code, r.message, r.at
      from json_to_recordset(given.orders) as r(
           sequence bigint, "clientOrderId" uuid, "exchangeOrderId" text, symbol text, purpose text,
           side text, quantity numeric, status text, code text, message text, at timestamptz)
    on conflict (user_id, bot_id, epoch, sequence) do nothing;
  end if;
  if given.over is not null then
    update intents set is_open = false
     where user_id = of_user and bot_id = of_bot and client_order_id = any(given.over) and is_open;
  end if;
  if given.ended is not null then
    update commitments set settled_at = clock_timestamp()
     where user_id = of_user and client_order_id = any(array(
       select client_order_id from commitments
        where user_id = of_user and bot_id = of_bot and client_order_id = any(given.ended) and settled_at is null
        order by client_order_id for update));
  end if;
  if given.fills is not null then
    insert into fills (user_id, bot_id, epoch, sequence, execution_id, client_order_id, trade_id,
                       symbol, purpose, side, price, quantity, fee, fee_currency, at)
    select of_user, of_bot, of_epoch, r.sequence, r."executionId", r."clientOrderId", r."tradeId",
           r.symbol, r.purpose, r.side, r.price, r.quantity, r.fee, r."feeCurrency", r.at
      from json_to_recordset(given.fills) as r(
           sequence bigint, "executionId" text, "clientOrderId" uuid, "tradeId" uuid, symbol text,
           purpose text, side text, price numeric, quantity numeric, fee numeric,
           "feeCurrency" text, at timestamptz)
     order by r."executionId", r.sequence
    on conflict (user_id, bot_id, execution_id) do nothing;
  end if;
  if given.funding is not null then
    insert into funding (user_id, bot_id, epoch, sequence, execution_id, trade_id, symbol, amount, currency, at)
    select of_user, of_bot, of_epoch, r.sequence, r."executionId", r."tradeId", r.symbol, r.amount, r.currency, r.at
      from json_to_recordset(given.funding) as r(
           sequence bigint, "executionId" text, "tradeId" uuid, symbol text, amount numeric,
           currency text, at timestamptz)
     order by r."executionId", r.sequence
    on conflict (user_id, bot_id, execution_id) do nothing;
  end if;
  if given.trades is not null then
    with changed as (
      insert into trades (user_id, bot_id, epoch, sequence, id, symbol, side, quantity, entry_price,
                          exit_price, pnl, fees, funding, opened_at, closed_at, reason)
      select of_user, of_bot, of_epoch, r.sequence, r.id, r.symbol, r.side, r.quantity, r."entryPrice",
             r."exitPrice", r.pnl, r.fees, r.funding, r."openedAt", r."closedAt", r.reason
        from json_to_recordset(given.trades) as r(
             sequence bigint, id uuid, symbol text, side text, quantity numeric, "entryPrice" numeric,
             "exitPrice" numeric, pnl numeric, fees numeric, funding numeric,
             "openedAt" timestamptz, "closedAt" timestamptz, reason text)
       order by r.id
      on conflict (user_id, bot_id, id) do update set
        epoch = excluded.epoch, sequence = excluded.sequence, quantity = excluded.quantity,
        entry_price = excluded.entry_price, exit_price = excluded.exit_price, pnl = excluded.pnl,
        fees = excluded.fees, funding = excluded.funding, closed_at = excluded.closed_at, reason = excluded.reason
      where (is_trade_over(trades.closed_at, trades.reason), trades.epoch, trades.sequence)
            < (is_trade_over(excluded.closed_at, excluded.reason), excluded.epoch, excluded.sequence)
      returning new.id, new.sequence,
                case when old.id is null and new.closed_at is null then 'trade.opened'
                     when new.closed_at is not null and old.closed_at is null then 'trade.closed' end as kind)
    select coalesce(array_agg(changed.kind order by changed.sequence), '{}'),
           coalesce(array_agg((jsonb_build_object('botId', of_bot) || (trade::jsonb - 'sequence'))::json
                              order by changed.sequence), '{}')
      into kinds, contents
      from changed join json_array_elements(given.trades) trade on (trade ->> 'id')::uuid = changed.id
     where changed.kind is not null;
  end if;
  if given.equity is not null then
    insert into equity (user_id, bot_id, epoch, sequence, equity, available, currency, at)
    select of_user, of_bot, of_epoch, r.sequence, r.equity, r.available, r.currency, r.at
      from json_to_recordset(given.equity) as r(
           sequence bigint, equity numeric, available numeric, currency text, at timestamptz)
    on conflict (user_id, bot_id, at, epoch, sequence) do nothing;
  end if;
  if given.events is not null then
    insert into events (user_id, bot_id, epoch, sequence, kind, message, at)
    select of_user, of_bot, of_epoch, r.sequence, r.kind, r.message, r.at
      from json_to_recordset(given.events) as r(sequence bigint, kind text, message text, at timestamptz)
    on conflict (user_id, bot_id, at, epoch, sequence) do nothing;
  end if;
  if given.baselines is not null then
    insert into day_baselines (user_id, bot_id, day, equity, starts_from, at)
    select of_user, of_bot, r.day, r.equity, r."startsFrom", r.at
      from json_to_recordset(given.baselines) as r(
           sequence bigint, day date, equity numeric, "startsFrom" numeric, at timestamptz)
     order by r.day, r.sequence
    on conflict (user_id, bot_id, day) do nothing;
  end if;
  has_new_report := false;
  if given.report is not null then
    with saved as (
      insert into reports (user_id, bot_id, namespace, epoch, sequence, pod_uid, report)
      values (of_user, of_bot, of_namespace, of_epoch, given."reportSequence", of_pod, given.report)
      on conflict (user_id, bot_id) do update set
        namespace = excluded.namespace, epoch = excluded.epoch, sequence = excluded.sequence,
        pod_uid = excluded.pod_uid, report = excluded.report, received_at = excluded.received_at
      where (reports.epoch, reports.sequence) < (excluded.epoch, excluded.sequence)
      returning old.report as before),
         news as (
      select now.kind, now.content
        from saved, told_of_report(given.report::jsonb) now
       where saved.before is null
          or now.content is distinct from (select was.content from told_of_report(saved.before::jsonb) was
                                            where was.kind = now.kind))
    select exists (select from saved), kinds || coalesce(array_agg(news.kind), '{}'),
           contents || coalesce(array_agg((jsonb_build_object('botId', of_bot) || news.content)::json), '{}')
      into has_new_report, kinds, contents
      from news;
  end if;
  update journal_sessions set last_sequence = greatest(journal_sessions.last_sequence, given.highest)
   where user_id = of_user and bot_id = of_bot and epoch = of_epoch
  returning journal_sessions.last_sequence into last_sequence;
  if cardinality(kinds) > 0 then
    perform tell_user(of_user, of_bot, kinds, contents);
    told_user := of_user;
  end if;
  return next;
end $$;
