-- What bots tell every minute grows without end: it lies in a partition for each month (UTC, by the record's own time), and what
-- nobody needs any more goes as whole partitions. The record's time is part of its key: Postgres wants the partition's column in every
-- unique key, and a record that is sent again has the time that it had. So the one index that tells what is known also finds by time.

-- Rows of before stay in their files: the old table becomes the partition of everything up to the end of this month.
do $$
declare
  of_table text;
  old text;
  policy record;
  until timestamptz := (date_trunc('month', now() at time zone 'UTC') + interval '1 month') at time zone 'UTC';
begin
  foreach of_table in array array['equity', 'events'] loop
    old := of_table || '_before_' || to_char(until at time zone 'UTC', 'YYYY_MM');
    execute format('alter table %I rename to %I', of_table, old);
    for policy in select policyname from pg_policies where schemaname = 'public' and tablename = old loop
      execute format('drop policy %I on %I', policy.policyname, old);
    end loop;
    execute format('revoke all on %I from tradingbots_journal, tradingbots_api, tradingbots_worker', old);
    execute format('drop index %I', of_table || '_by_time');
    execute format('alter table %I drop constraint %I', old, of_table || '_pkey');
    execute format('alter table %I add primary key (user_id, bot_id, at, epoch, sequence)', old);
    execute format('create table %I (like %I including comments) partition by range (at)', of_table, old);
    execute format('alter table %I add primary key (user_id, bot_id, at, epoch, sequence)', of_table);
    -- For what no month has: records of a clock that is far ahead, or that come after their month has gone.
    execute format('create table %I (like %I including all)', of_table || '_astray', of_table);
    -- The tables' owner sees no rows while row-level security is forced.
    execute format('alter table %I no force row level security', old);
    execute format('with ahead as (delete from %I where at >= %L returning *) insert into %I select * from ahead',
                   old, until, of_table || '_astray');
    execute format('alter table %I force row level security', old);
    execute format('alter table %I attach partition %I default', of_table, of_table || '_astray');
    execute format('alter table %I attach partition %I for values from (minvalue) to (%L)', of_table, old, until);
    execute format('alter table %I enable row level security', of_table);
    execute format('alter table %I force row level security', of_table);
    execute format('grant select, insert on %I to tradingbots_journal', of_table);
    execute format('grant select on %I to tradingbots_api', of_table);
    execute format('grant select (user_id), delete on %I to tradingbots_worker', of_table);
    execute format($policy$create policy %I on %I to tradingbots_journal
      using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
      with check (
        bot_id = (select nullif(current_setting('app.bot_id', true), ''))
        and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
      )$policy$, of_table || '_of_bot', of_table);
    execute format($policy$create policy %I on %I for select to tradingbots_api
      using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))$policy$, of_table || '_own', of_table);
    execute format($policy$create policy %I on %I to tradingbots_worker
      using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))$policy$, of_table || '_forget', of_table);
    -- A partition has neither policies nor grants: rows are reached through their table alone. The owner tidies up what is astray.
    execute format('alter table %I enable row level security', of_table || '_astray');
    execute format('alter table %I force row level security', of_table || '_astray');
    execute format('create policy %I on %I to current_user using (true)', of_table || '_tidy', of_table || '_astray');
  end loop;
end $$;

-- The end of the last month that has a partition.
create function months_end(of_table text) returns timestamptz
language sql stable set search_path = public, pg_temp set datestyle = 'ISO, YMD' as $$
  select max(substring(pg_get_expr(c.relpartbound, c.oid) from $re$TO \('([^']+)'\)$re$)::timestamptz)
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
   where i.inhparent = of_table::regclass
$$;

-- Makes the partition of one month. Its lock on the table lets reading and writing go on; rows that were astray move in.
create function make_month(of_table text, begins timestamptz) returns text
language plpgsql set search_path = public, pg_temp as $$
declare
  made text := of_table || '_' || to_char(begins at time zone 'UTC', 'YYYY_MM');
  ends timestamptz := (begins at time zone 'UTC' + interval '1 month') at time zone 'UTC';
begin
  execute format('create table %I (like %I including all)', made, of_table);
  execute format('with found as (delete from %I where at >= %L and at < %L returning *) insert into %I select * from found',
                 of_table || '_astray', begins, ends, made);
  execute format('alter table %I enable row level security', made);
  execute format('alter table %I force row level security', made);
  execute format('alter table %I attach partition %I for values from (%L) to (%L)', of_table, made, begins, ends);
  return made;
end $$;
revoke execute on function make_month from public;

-- Makes the months to come, `ahead` of them behind this one, and drops those that ended more than `kept` months ago. It runs with the
-- owner's rights, which no role of the service has; therefore it knows two tables, and nothing younger than three months goes. A lock
-- that is not to be had within two seconds is had another time: who waits for it holds others up. One process at a time; the next
-- finds all done and learns the same.
create function keep_months(of_table text, ahead int, kept int)
  returns table (made text[], dropped text[], astray bigint, ends timestamptz)
language plpgsql security definer
set search_path = public, pg_temp set datestyle = 'ISO, YMD' set lock_timeout = '2s' as $$
declare
  this_month timestamp := date_trunc('month', now() at time zone 'UTC');
  first_kept timestamptz := (this_month - kept * interval '1 month') at time zone 'UTC';
  old text;
begin
  if of_table is null or of_table not in ('equity', 'events') or ahead not between 1 and 24 or kept not between 3 and 1200 then
    raise exception 'keep_months: % ahead and % kept of % is not for it to do', ahead, kept, of_table;
  end if;
  perform pg_advisory_xact_lock(7201969); -- any number that nothing else locks
  made := '{}';
  dropped := '{}';
  ends := months_end(of_table);
  while ends <= (this_month + ahead * interval '1 month') at time zone 'UTC' loop
    made := made || make_month(of_table, ends);
    ends := months_end(of_table);
  end loop;
  for old in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = of_table::regclass
       and substring(pg_get_expr(c.relpartbound, c.oid) from $re$TO \('([^']+)'\)$re$)::timestamptz <= first_kept
     order by c.relname
  loop
    execute format('drop table %I', old);
    dropped := dropped || old;
  end loop;
  execute format('delete from %I where ctid = any(array(select ctid from %I where at < %L limit 10000))',
                 of_table || '_astray', of_table || '_astray', first_kept);
  execute format('select count(*) from %I', of_table || '_astray') into astray;
  return next;
end $$;
revoke execute on function keep_months from public;
grant execute on function keep_months to tradingbots_worker;

do $$
begin
  perform keep_months(of_table, 2, 1200) from unnest(array['equity', 'events']) of_table;
end $$;

-- Sessions of bots that are gone for good: nobody will ask for their epochs again.
grant select (user_id, bot_id, epoch), delete on journal_sessions to tradingbots_worker;
create policy journal_sessions_work on journal_sessions for select to tradingbots_worker using (true);
create policy journal_sessions_forget on journal_sessions for delete to tradingbots_worker
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

-- As before, but for the keys of equity and events.
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
      where (trades.epoch, trades.sequence) < (excluded.epoch, excluded.sequence)
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
