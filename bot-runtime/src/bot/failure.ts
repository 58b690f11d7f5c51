import { isExchangeFault } from "../exchange/exchange.ts";
import type { Refusal } from "../risk/gate.ts";
import { messageOf } from "./log.ts";

const MESSAGE_MAX = 300;

/** What the bot's owner reads when something was thrown. */
export function failureOf(error: unknown): Refusal {
  const message = messageOf(error).slice(0, MESSAGE_MAX);
  if (!isExchangeFault(error)) return { reason: "InternalError", message };
  if (error.fault === "Unavailable") return { reason: "ExchangeUnavailable", message };
  // The operator makes it the bot's Ready condition: the user has to act.
  const isKey = error.fault === "InvalidKey" || error.fault === "PermissionDenied";
  return { reason: isKey ? "CredentialsRefused" : error.fault, message };
}
