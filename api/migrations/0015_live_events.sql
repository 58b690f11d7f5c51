-- What a user is told as it happens, in an order that can be resumed. Ids count from 1 for each user, without gaps: whoever writes
-- holds the user's row of live_heads until the end of the transaction, so no id can be seen before a smaller one.

create table live_heads (
  user_id uuid primary key,
  last_id bigint not null
);
comment on column live_heads.last_id is 'Of the user''s newest event.';

create table live_events (
  user_id uuid not null,
  id      bigint not null,
  bot_id  text not null,
  kind    text not null check (kind in ('trade.opened', 'trade.closed', 'position', 'state', 'halts')),
  data    json not null,
  at      timestamptz(3) not null default clock_timestamp(),
  primary key (user_id, id)
);
comment on table live_events is 'The last thousand or so of each user; what is older is in the tables that it came from.';

alter table live_heads enable row level security;
alter table live_heads force row level security;
grant select, insert, update on live_heads to tradingbots_journal;
create policy live_heads_of_bot on live_heads to tradingbots_journal
  using (user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), ''))))
  with check (user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), ''))));
-- One process reads for all who listen to it: it sees the users that its transaction names and no others.
grant select on live_heads to tradingbots_api;
create policy live_heads_listening on live_heads for select to tradingbots_api
  using (user_id = any (string_to_array((select current_setting('app.user_ids', true)), ',')::uuid[]));

alter table live_events enable row level security;
alter table live_events force row level security;
grant select, insert, delete on live_events to tradingbots_journal;
create policy live_events_of_user on live_events to tradingbots_journal
  using (user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), ''))))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );
grant select on live_events to tradingbots_api;
create policy live_events_listening on live_events for select to tradingbots_api
  using (user_id = any (string_to_array((select current_setting('app.user_ids', true)), ',')::uuid[]));

-- Tells a user of some things in their order. The last lock that a transaction takes: after it there is nothing to wait for.
create function tell_user(of_user uuid, of_bot text, kinds text[], contents json[]) returns void
language plpgsql as $$
declare
  head bigint;
  told int := cardinality(kinds);
begin
  insert into live_heads (user_id, last_id) values (of_user, told)
  on conflict (user_id) do update set last_id = live_heads.last_id + told
  returning last_id into head;
  insert into live_events (user_id, id, bot_id, kind, data)
  select of_user, head - told + number, of_bot, kind, content
    from unnest(kinds, contents) with ordinality as news (kind, content, number);
  if head / 100 > (head - told) / 100 then -- now and then, so that few transactions pay for it
    delete from live_events where user_id = of_user and id <= head - 1000;
  end if;
end $$;
revoke execute on function tell_user from public;
grant execute on function tell_user to tradingbots_journal;
