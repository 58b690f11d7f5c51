-- Whoever is being erased is not let in again: enabling a user looks for an open erasure.
grant select (user_id, kind, finished_at) on personal_data_jobs to tradingbots_admin;
create policy personal_data_jobs_administer on personal_data_jobs for select to tradingbots_admin
  using (kind = 'erasure' and finished_at is null
    and user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
