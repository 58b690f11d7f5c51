-- Whoever appends to the audit chooses neither an entry's id nor its time, and queues nothing for the chain: an entry of a time that is
-- no date, or an id that has its place already, stopped the chain for everybody. Entries are queued with the owner's rights instead.
-- Processes of the version before append as before: they name neither column, and their entries are queued by the same trigger.

-- No append in between: it would run the old function with the new rights.
lock table audit in share row exclusive mode;

create or replace function audit_await_chain() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into audit_unchained (entry_id) select id from added;
  return null;
end $$;
-- Or a role makes a temporary table of its own, and this its trigger.
revoke execute on function audit_await_chain from public;

revoke insert on audit, audit_unchained from
  tradingbots_api, tradingbots_auth, tradingbots_admin, tradingbots_worker;
grant insert (actor_kind, actor_id, user_id, action, object, outcome, code, network, request_id, details) on audit to
  tradingbots_api, tradingbots_auth, tradingbots_admin, tradingbots_worker;
