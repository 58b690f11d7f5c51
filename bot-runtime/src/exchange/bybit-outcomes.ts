import type { ExchangeFault, Outcome } from "./exchange.ts";

/**
 * What an answer of Bybit says about the request that it answers. The table is the only way to `refused`: whatever is not in
 * it (codes, transport errors, timeouts, truncated or empty answers) is `unknown` for orders, and settled by asking.
 *
 * Sources: [E] https://bybit-exchange.github.io/docs/v5/error · [C] code and comment in ccxt 4.5.84, js/src/bybit.js.
 */
interface Row {
  readonly code: string;
  readonly meaning: string;
  readonly outcome: "refused" | "unknown" | "accepted";
  readonly fault?: ExchangeFault["fault"];
  readonly source: "E" | "C";
}

export const BYBIT_OUTCOMES: readonly Row[] = [
  // Before the order reaches the engine: nothing has happened.
  { code: "10001", meaning: "request parameter error", outcome: "refused", source: "E" },
  {
    code: "10002",
    meaning: "outside the receive window",
    outcome: "refused",
    fault: "Unavailable",
    source: "E",
  },
  {
    code: "10003",
    meaning: "API key is invalid",
    outcome: "refused",
    fault: "InvalidKey",
    source: "E",
  },
  {
    code: "10004",
    meaning: "signature is invalid",
    outcome: "refused",
    fault: "InvalidKey",
    source: "E",
  },
  {
    code: "10005",
    meaning: "permission denied",
    outcome: "refused",
    fault: "PermissionDenied",
    source: "E",
  },
  { code: "10006", meaning: "rate limit", outcome: "refused", fault: "Unavailable", source: "E" },
  {
    code: "10007",
    meaning: "authentication failed",
    outcome: "refused",
    fault: "InvalidKey",
    source: "E",
  },
  {
    code: "10008",
    meaning: "account banned",
    outcome: "refused",
    fault: "PermissionDenied",
    source: "E",
  },
  {
    code: "10009",
    meaning: "address banned",
    outcome: "refused",
    fault: "PermissionDenied",
    source: "E",
  },
  {
    code: "10010",
    meaning: "address does not match the key",
    outcome: "refused",
    fault: "PermissionDenied",
    source: "E",
  },
  { code: "10017", meaning: "no such path", outcome: "refused", source: "E" },
  {
    code: "10018",
    meaning: "rate limit of the address",
    outcome: "refused",
    fault: "Unavailable",
    source: "E",
  },
  {
    code: "10024",
    meaning: "compliance rules",
    outcome: "refused",
    fault: "PermissionDenied",
    source: "E",
  },
  {
    code: "10027",
    meaning: "trading banned",
    outcome: "refused",
    fault: "PermissionDenied",
    source: "E",
  },
  {
    code: "10028",
    meaning: "unified account only",
    outcome: "refused",
    fault: "PermissionDenied",
    source: "E",
  },
  {
    code: "10029",
    meaning: "symbol not in the key's list",
    outcome: "refused",
    fault: "PermissionDenied",
    source: "E",
  },
  {
    code: "33004",
    meaning: "API key has expired",
    outcome: "refused",
    fault: "InvalidKey",
    source: "E",
  },
  // The engine's own refusals.
  { code: "110001", meaning: "order does not exist", outcome: "refused", source: "C" },
  { code: "110003", meaning: "price out of range", outcome: "refused", source: "C" },
  { code: "110004", meaning: "wallet balance insufficient", outcome: "refused", source: "C" },
  { code: "110006", meaning: "margin not affordable", outcome: "refused", source: "C" },
  { code: "110007", meaning: "available balance insufficient", outcome: "refused", source: "C" },
  { code: "110008", meaning: "order finished or cancelled", outcome: "refused", source: "C" },
  { code: "110009", meaning: "too many conditional orders", outcome: "refused", source: "C" },
  { code: "110010", meaning: "order already cancelled", outcome: "refused", source: "C" },
  { code: "110011", meaning: "would liquidate at once", outcome: "refused", source: "C" },
  { code: "110012", meaning: "available balance insufficient", outcome: "refused", source: "C" },
  { code: "110013", meaning: "leverage above the risk limit", outcome: "refused", source: "C" },
  { code: "110014", meaning: "balance insufficient for margin", outcome: "refused", source: "C" },
  { code: "110016", meaning: "quantity above the risk limit", outcome: "refused", source: "C" },
  { code: "110017", meaning: "reduce-only rule not satisfied", outcome: "refused", source: "C" },
  { code: "110020", meaning: "too many active orders", outcome: "refused", source: "C" },
  { code: "110021", meaning: "open interest exceeded", outcome: "refused", source: "C" },
  { code: "110023", meaning: "contract allows reduction only", outcome: "refused", source: "C" },
  { code: "110040", meaning: "would force a liquidation", outcome: "refused", source: "C" },
  { code: "110042", meaning: "pre-delivery: reduction only", outcome: "refused", source: "C" },
  { code: "110044", meaning: "available margin insufficient", outcome: "refused", source: "C" },
  { code: "110045", meaning: "wallet balance insufficient", outcome: "refused", source: "C" },
  { code: "110051", meaning: "balance below the lowest price", outcome: "refused", source: "C" },
  {
    code: "110052",
    meaning: "balance insufficient for the price",
    outcome: "refused",
    source: "C",
  },
  {
    code: "110053",
    meaning: "balance insufficient for the price",
    outcome: "refused",
    source: "C",
  },
  { code: "110066", meaning: "no trading at this time", outcome: "refused", source: "C" },
  { code: "110092", meaning: "trigger must rise", outcome: "refused", source: "C" },
  { code: "110093", meaning: "trigger must fall", outcome: "refused", source: "C" },
  { code: "110094", meaning: "below the minimum value", outcome: "refused", source: "C" },
  // Nothing to change: the wish is already fact.
  { code: "34040", meaning: "not modified", outcome: "accepted", source: "E" },
  { code: "110043", meaning: "leverage not modified", outcome: "accepted", source: "C" },
  // Look it up. A duplicate means that the order (or another under its id) is there already.
  { code: "110072", meaning: "orderLinkId is duplicate", outcome: "unknown", source: "C" },
  { code: "110030", meaning: "orderId is duplicate", outcome: "unknown", source: "C" },
  { code: "10014", meaning: "duplicate request", outcome: "unknown", source: "E" },
  {
    code: "10000",
    meaning: "server timeout",
    outcome: "unknown",
    fault: "Unavailable",
    source: "E",
  },
  { code: "10016", meaning: "server error", outcome: "unknown", fault: "Unavailable", source: "E" },
];

const rows = new Map(BYBIT_OUTCOMES.map((row) => [row.code, row]));

/** Longest message that travels on: into conditions, records and logs. */
const MESSAGE_MAX = 300;

/** Outcome of a request that threw. */
export function outcomeOfError(error: unknown): Outcome {
  const { code, message } = readError(error);
  const row = rows.get(code);
  if (row?.outcome === "accepted") return { kind: "accepted", exchangeOrderId: undefined };
  if (row?.outcome !== "refused") return { kind: "unknown", code, message };
  // A row with a fault speaks of the key, the clock or the traffic, not of the order.
  return { kind: "refused", code, message, final: row.fault === undefined };
}

/** The same error of a request that only reads, or that must not be confused with an order's outcome. */
export function faultOfError(error: unknown): ExchangeFault {
  const { code, message } = readError(error);
  const row = rows.get(code);
  const fault = row?.fault ?? (row?.outcome === "refused" ? "Refused" : "Unavailable");
  return exchangeFault(fault, { code, message, cause: error });
}

export function exchangeFault(
  fault: ExchangeFault["fault"],
  details: { readonly code: string; readonly message: string; readonly cause?: unknown },
): ExchangeFault {
  const error = new Error(`bybit: ${details.message} (${details.code})`, { cause: details.cause });
  return Object.assign(error, { name: "ExchangeFault" as const, fault, code: details.code });
}

/** ccxt's message is "bybit <body>"; a body without a retCode, and any other error, has its class as code. */
export function readError(error: unknown): { readonly code: string; readonly message: string } {
  if (!(error instanceof Error)) return { code: "Unexpected", message: "not an error object" };
  const body = error.message.slice(error.message.indexOf("{"));
  try {
    const answer: unknown = JSON.parse(body);
    if (typeof answer === "object" && answer !== null && "retCode" in answer) {
      const message = "retMsg" in answer ? String(answer.retMsg) : "";
      return { code: String(answer.retCode), message: message.slice(0, MESSAGE_MAX) };
    }
  } catch {
    // Not JSON: a transport error.
  }
  return {
    code: (error.constructor.name || "Error").slice(0, 64),
    message: error.message.slice(0, MESSAGE_MAX),
  };
}
