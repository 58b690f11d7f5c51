-- What became of what people asked of their bots. It is told in a statement of its own, after the batch that it came in: batches with
-- results are rare, and one that is sent again changes nothing.

create table request_results (
  user_id  uuid not null,
  bot_id   text not null,
  id       uuid not null,
  action   text not null,
  symbol   text not null,
  side     text,
  status   text not null,
  reason   text,
  message  text not null,
  order_id uuid,
  at       timestamptz(3) not null,
  heard_at timestamptz(3) not null default clock_timestamp(),
  primary key (user_id, bot_id, id)
);
-- A pod that was replaced may refuse what its successor does.
comment on table request_results is 'The first word about the end of a request counts, but that it was done is always believed; until then, that it has begun.';
comment on column request_results.heard_at is 'When the journal first heard of the request.';
create index request_results_by_time on request_results (user_id, bot_id, heard_at desc);

alter table request_results enable row level security;
alter table request_results force row level security;
grant select, insert, update, delete on request_results to tradingbots_journal;
create policy request_results_of_bot on request_results to tradingbots_journal
  using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );
grant select on request_results to tradingbots_api;
create policy request_results_own on request_results for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
grant select (user_id), delete on request_results to tradingbots_worker;
create policy request_results_forget on request_results to tradingbots_worker
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

alter table live_events drop constraint live_events_kind_check;
alter table live_events add constraint live_events_kind_check
  check (kind in ('trade.opened', 'trade.closed', 'position', 'state', 'halts', 'request'));

-- Gives the user, when something is new. Each request is in `results` once. The first four say who speaks, as in speak_for.
create function append_request_results(of_bot text, of_namespace text, service_account text, paper_account text,
                                       of_pod text, of_epoch int, results json) returns uuid
language plpgsql as $$
declare
  of_user uuid := speak_for(of_bot, of_namespace, service_account, paper_account);
  kinds text[];
  contents json[];
begin
  if not exists (select from journal_sessions
                  where user_id = of_user and bot_id = of_bot and epoch = of_epoch and pod_uid = of_pod) then
    return null;
  end if;
  delete from request_results where user_id = of_user and bot_id = of_bot and heard_at < now() - interval '90 days';
  with changed as (
    insert into request_results (user_id, bot_id, id, action, symbol, side, status, reason, message, order_id, at)
    select of_user, of_bot, r.id, r.action, r.symbol, r.side, r.status, r.reason, r.message, r."orderId", r.at
      from json_to_recordset(results) as r(
           id uuid, action text, symbol text, side text, status text, reason text, message text,
           "orderId" uuid, at timestamptz)
     order by r.id
    on conflict (user_id, bot_id, id) do update set
      status = excluded.status, reason = excluded.reason, message = excluded.message,
      order_id = excluded.order_id, at = excluded.at
    where (request_results.status = 'begun' and excluded.status <> 'begun')
      or (request_results.status in ('refused', 'expired') and excluded.status = 'done')
    returning id)
  select array_agg('request'::text), array_agg((jsonb_build_object('botId', of_bot) || result::jsonb)::json order by number)
    into kinds, contents
    from json_array_elements(results) with ordinality as told (result, number)
    join changed on changed.id = (result ->> 'id')::uuid;
  if kinds is null then
    return null;
  end if;
  perform tell_user(of_user, of_bot, kinds, contents);
  return of_user;
end $$;
revoke execute on function append_request_results from public;
grant execute on function append_request_results to tradingbots_journal;
