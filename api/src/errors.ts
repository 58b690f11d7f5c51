/** Every way in which a request can fail, with its HTTP status and title. Codes are stable: clients branch on them. */
export const ERRORS = {
  malformed_json: { status: 400, title: "The body is not valid JSON" },
  bad_request: { status: 400, title: "The request is not understood" },
  unauthenticated: { status: 401, title: "A valid access token is needed" },
  token_expired: { status: 401, title: "The access token has expired" },
  session_ended: { status: 401, title: "The log-in is over" },
  invalid_credentials: { status: 401, title: "E-mail address or password is wrong" },
  mfa_required: { status: 401, title: "A second factor is needed" },
  code_invalid: { status: 401, title: "The code is wrong or was used" },
  passkey_invalid: { status: 401, title: "The passkey's answer is not valid" },
  step_up_required: { status: 403, title: "A fresh proof of who you are is needed" },
  user_disabled: { status: 403, title: "The user cannot log in" },
  second_factor_required: { status: 403, title: "A second factor must be shown" },
  email_unverified: { status: 403, title: "The e-mail address is not confirmed" },
  token_refused: { status: 403, title: "Not for API tokens" },
  scope_missing: { status: 403, title: "The API token lacks a scope" },
  role_missing: { status: 403, title: "Another role is needed" },
  csrf_token_invalid: { status: 403, title: "The request does not come from a page of ours" },
  not_found: { status: 404, title: "There is no such thing here" },
  account_not_found: { status: 404, title: "There is no such exchange account" },
  method_not_allowed: { status: 405, title: "The path does not take this method" },
  request_timeout: { status: 408, title: "The request did not come to its end" },
  email_taken: { status: 409, title: "The e-mail address has an account already" },
  mfa_enrolled: { status: 409, title: "There is an authenticator app already" },
  mail_unavailable: { status: 409, title: "Mails cannot be sent here" },
  passkeys_unavailable: { status: 409, title: "Passkeys are not set up here" },
  account_required: { status: 409, title: "Connect an exchange account first" },
  account_ambiguous: { status: 409, title: "There are several exchange accounts" },
  config_required: { status: 409, title: "The robot has no configuration yet" },
  config_in_progress: { status: 409, title: "The robot is being configured" },
  idempotency_in_progress: { status: 409, title: "The same request is still under way" },
  bot_idle: { status: 409, title: "No pod of the bot runs" },
  bot_not_running: { status: 409, title: "The bot is not Running" },
  requests_pending: { status: 409, title: "Too many requests wait for the bot" },
  approval_missing: { status: 409, title: "Two people are needed" },
  erasure_under_way: { status: 409, title: "The user is being erased" },
  role_held: { status: 409, title: "The user has a role" },
  changed_meanwhile: { status: 412, title: "The object has changed since it was read" },
  body_too_large: { status: 413, title: "The body is too large" },
  unsupported_media_type: { status: 415, title: "The body must be JSON" },
  validation_failed: { status: 422, title: "The request has invalid fields" },
  link_invalid: { status: 422, title: "The link is used, too old, or none of ours" },
  too_many_tokens: { status: 422, title: "There are too many API tokens" },
  too_many_passkeys: { status: 422, title: "There are too many passkeys" },
  weak_password: { status: 422, title: "The password is not acceptable" },
  exchange_unsupported: { status: 422, title: "The exchange is not supported" },
  symbol_unsupported: { status: 422, title: "The symbol cannot be traded here" },
  exchange_mismatch: { status: 422, title: "The account is at another exchange" },
  mode_mismatch: { status: 422, title: "The mode does not fit the account" },
  bots_above_class: { status: 422, title: "Above a limit of the subscription" },
  leverage_above_class: { status: 422, title: "Above a limit of the subscription" },
  position_percent_above_class: { status: 422, title: "Above a limit of the subscription" },
  daily_loss_percent_above_class: { status: 422, title: "Above a limit of the subscription" },
  mode_outside_class: { status: 422, title: "Not part of the subscription" },
  exchange_outside_class: { status: 422, title: "Not part of the subscription" },
  too_many_accounts: { status: 422, title: "There are too many exchange accounts" },
  refused_by_rule: { status: 422, title: "A rule of the platform refuses this" },
  idempotency_key_reused: { status: 422, title: "The key was used for another request" },
  rate_limited: { status: 429, title: "Too many requests" },
  too_many_listeners: { status: 429, title: "Too many connections listen" },
  too_many_attempts: { status: 429, title: "Too many failed attempts" },
  headers_too_large: { status: 431, title: "The headers are too large" },
  internal_error: { status: 500, title: "Something went wrong on our side" },
  login_overloaded: { status: 503, title: "Too many people log in at this moment" },
  balance_pending: { status: 503, title: "No balance has been reported yet" },
  class_unavailable: { status: 503, title: "The subscription's class is not set up" },
  cluster_unavailable: { status: 503, title: "The cluster does not answer" },
  vault_unavailable: { status: 503, title: "The key store does not answer" },
  query_too_slow: { status: 503, title: "The answer takes too long to work out" },
  database_unavailable: { status: 503, title: "The database does not answer" },
  // Journal
  unknown_bot: { status: 403, title: "The token is not a bot's" },
  stale_epoch: { status: 409, title: "A newer process of the bot has taken over" },
  unknown_session: { status: 409, title: "The epoch is not this pod's" },
  lease_held: { status: 409, title: "Another pod of the bot holds the lease" },
  no_lease: { status: 409, title: "The process does not hold the bot's lease" },
  halted: { status: 409, title: "A halt is in force" },
  account_committed: { status: 409, title: "The account's share is taken" },
  intent_closed: { status: 409, title: "The intent is over, or another order's" },
  journal_saturated: { status: 503, title: "The journal is busy" },
} as const satisfies Record<string, { readonly status: number; readonly title: string }>;

export type ErrorCode = keyof typeof ERRORS;

export interface FieldError {
  /** Dotted path in the body, such as `risk.leverage`. */
  readonly path: string;
  readonly message: string;
}

interface ApiErrorOptions extends ErrorOptions {
  readonly retryAfterSeconds?: number;
  /** Where seconds are too coarse: a member of the body. */
  readonly retryAfterMs?: number;
  readonly errors?: readonly FieldError[];
}

/** A failure that the caller is told about: `code` decides the status, `message` is the sentence they read. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ErrorCode;
  readonly retryAfterSeconds: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly errors: readonly FieldError[] | undefined;

  constructor(code: ErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.retryAfterMs = options.retryAfterMs;
    this.errors = options.errors;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}

/** One field is wrong: the same answer that schema validation gives. */
export function invalidField(path: string, message: string): ApiError {
  return new ApiError("validation_failed", `${path}: ${message}`, { errors: [{ path, message }] });
}
