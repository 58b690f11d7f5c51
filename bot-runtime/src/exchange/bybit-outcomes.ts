import type { ExchangeFault, Outcome } from "./exchange.ts";

/**
 * What an answer of Bybit says about the request that it answers. The table is the only way to `refused`: whatever is not in
 * it (codes, transport errors, timeouts, bare HTTP errors such as 403, 429 and 5xx, truncated or empty answers) is `unknown`
 * for orders, and settled by asking.
 *
 * Sources: [E] https://bybit-exchange.github.io/docs/v5/error, read in November 2026 · [C] code and comment in ccxt 4.5.84,
 * js/src/bybit.js, where [E] has it no more or struck out.
 */
interface Row {
  readonly code: string;
  readonly meaning: string;
  readonly outcome: "refused" | "unknown" | "accepted";
  readonly fault: ExchangeFault["fault"] | undefined;
  readonly source: "E" | "C";
}

type Kind = Pick<Row, "outcome" | "source"> & Partial<Pick<Row, "fault">>;

/** Rows of one kind: code and what Bybit says that it means. */
function rows(kind: Kind, meanings: Readonly<Record<string, string>>): readonly Row[] {
  return Object.entries(meanings).map(([code, meaning]) => ({
    code,
    meaning,
    fault: undefined,
    ...kind,
  }));
}

export const BYBIT_OUTCOMES: readonly Row[] = [
  // Before the order reaches the engine: nothing has happened. About clock and traffic, the same id may be sent again.
  ...rows(
    { outcome: "refused", fault: "Unavailable", source: "E" },
    {
      "-1": "request expired",
      "10002": "outside the receive window",
      "10006": "rate limit",
      "10018": "rate limit of the address",
      "170005": "too many new orders",
      "170222": "too many requests in this time frame",
    },
  ),
  ...rows(
    { outcome: "refused", fault: "InvalidKey", source: "E" },
    {
      "-2015": "API key has expired",
      "10003": "API key is invalid",
      "10004": "signature is invalid",
      "10007": "authentication failed",
      "33004": "API key has expired",
    },
  ),
  ...rows(
    { outcome: "refused", fault: "PermissionDenied", source: "E" },
    {
      "10005": "permission denied",
      "10008": "account banned",
      "10009": "service restricted in this region",
      "10010": "address does not match the key",
      "10024": "compliance rules",
      "10027": "trading banned",
      "10028": "unified account only",
      "10029": "symbol not in the key's list",
      "100028": "not for unified accounts",
      "110067": "unified account is not supported",
      "110068": "leveraged trading is not allowed",
      "110069": "institutional loan customers may not trade",
      "110088": "upgrade to a unified account to trade",
      "110123": "trading terms not agreed to",
      "110124": "cooling-off period",
      "110125": "terms of this contract not agreed to",
      "110132": "product not available in the region",
      "3100197": "banned while the account is upgraded",
    },
  ),
  ...rows(
    { outcome: "refused", fault: "PermissionDenied", source: "C" },
    { "10020": "account is not a unified margin account" },
  ),
  // The engine's own refusals.
  ...rows(
    { outcome: "refused", source: "E" },
    {
      "10001": "request parameter error",
      "10017": "route not found",
      "30133": "symbol not allowed by the institutional loan",
      "30135": "leverage above what the institutional loan allows",
      "30208": "price above the highest buying price",
      "30209": "price below the lowest selling price",
      "30228": "no new positions during delisting",
      "110001": "order does not exist",
      "110003": "price outside the allowable range",
      "110004": "wallet balance insufficient",
      "110005": "position status error",
      "110006": "assets cannot cover the position margin",
      "110007": "available balance insufficient",
      "110008": "order completed or cancelled",
      "110009": "too many stop orders",
      "110010": "order already cancelled",
      "110011": "would liquidate at once",
      "110012": "available balance insufficient",
      "110013": "leverage above the risk limit",
      "110014": "balance insufficient to add margin",
      "110015": "position is in cross margin",
      "110017": "quantity would be truncated to zero: the reduce-only rule",
      "110018": "user id is illegal",
      "110019": "order id is illegal",
      "110020": "more than 500 active orders",
      "110021": "position limit by open interest",
      "110022": "quantity may not be increased",
      "110023": "contract allows reduction only",
      "110024": "position mode cannot be switched with a position",
      "110028": "position mode cannot be switched with open orders",
      "110029": "hedge mode is not supported for the symbol",
      "110031": "no such risk limit",
      "110032": "order is illegal",
      "110033": "no margin without a position",
      "110034": "no net position",
      "110035": "cancellation not completed before liquidation",
      "110036": "leverage fixed by cross margin",
      "110037": "symbol not in the user's list",
      "110038": "leverage fixed by portfolio margin",
      "110039": "maintenance margin rate too high",
      "110040": "would force a liquidation",
      "110041": "position or maker order exists",
      "110042": "pre-delivery: reduction only",
      "110044": "available margin insufficient",
      "110045": "wallet balance insufficient",
      "110046": "would liquidate at once",
      "110047": "margin insufficient for the risk limit",
      "110048": "position value above the risk limit",
      "110049": "tick notes can only be numbers",
      "110050": "invalid coin",
      "110051": "balance below the lowest price",
      "110052": "balance insufficient for the price",
      "110053": "balance insufficient for the limit price",
      "110054": "take profit order exists",
      "110055": "stop loss order exists",
      "110056": "trailing stop exists",
      "110057": "order contains stop or target",
      "110058": "remaining position too small for stop and target",
      "110059": "stop and target of a partially filled order are fixed",
      "110060": "stop and target are fixed in full mode",
      "110061": "more than 20 partial stops or targets",
      "110062": "no such institution",
      "110063": "settlement in progress",
      "110064": "quantity below what is filled",
      "110065": "market maker protection not enabled",
      "110066": "trading is currently not allowed",
      "110070": "leveraged tokens cannot be traded",
      "110074": "contract is not live",
      "110076": "only isolated mode adds margin by itself",
      "110077": "not in portfolio margin",
      "110078": "more margin than can be reduced",
      "110080": "assets are being liquidated for the institutional loan",
      "110085": "risk limit has changed",
      "110086": "leverage above the risk limit's",
      "110087": "leverage above the institutional loan's",
      "110089": "above the highest risk limit",
      "110090": "position may exceed the limit at this leverage",
      "110092": "trigger must rise",
      "110093": "trigger must fall",
      "110094": "below the minimum value",
      "110095": "call auction: no orders",
      "110096": "pre-market does not support portfolio margin",
      "110097": "pre-market needs a unified account",
      "110098": "call auction: only good-till-cancelled",
      "110099": "call auction: no stop or target",
      "110100": "no pre-market in demo trading",
      "110103": "only post-only orders at this stage",
      "110118": "no price for a market order: low liquidity",
      "110120": "price below the limit",
      "110121": "price above the limit",
      "110131": "maintenance margin above what the loan allows",
      "3200403": "isolated margin cannot create the order",
      "3400139": "positions and orders above the risk limit",
    },
  ),
  ...rows(
    { outcome: "refused", source: "C" },
    { "110016": "quantity above the risk limit", "7001": "request parameter of the wrong type" },
  ),
  // Spot. Not asked by the adapter today; an answer that names one is no mystery all the same.
  ...rows(
    { outcome: "refused", source: "E" },
    {
      "170033": "margin balance insufficient",
      "170034": "liability overflow in spot leverage",
      "170105": "parameter empty",
      "170115": "invalid timeInForce",
      "170116": "invalid orderType",
      "170117": "invalid side",
      "170121": "invalid symbol",
      "170124": "amount too large",
      "170130": "parameter not valid",
      "170131": "balance insufficient",
      "170132": "price too high",
      "170133": "price below the minimum",
      "170134": "price has too many decimals",
      "170136": "quantity below the minimum",
      "170137": "quantity has too many decimals",
      "170139": "order has been filled",
      "170140": "value below the minimum",
      "170142": "order has been cancelled",
      "170143": "not in the order book",
      "170145": "order type cannot be cancelled",
      "170148": "amount has too many decimals",
      "170151": "pair is not open yet",
      "170157": "pair not available to the API",
      "170159": "no market orders in the first minutes",
      "170190": "cancellation has been finished",
      "170192": "price above the limit",
      "170193": "buying price above the limit",
      "170194": "selling price below the limit",
      "170213": "order does not exist",
      "170217": "only limit-maker orders",
      "170218": "limit-maker price invalid",
      "170371": "price below the limit",
      "170372": "price above the limit",
    },
  ),
  // Nothing to change: the wish is already fact.
  ...rows(
    { outcome: "accepted", source: "E" },
    {
      "34040": "not modified",
      "110025": "position mode not modified",
      "110026": "margin mode not modified",
      "110027": "margin not modified",
      "110043": "leverage not modified",
    },
  ),
  // Look it up. A duplicate means that the order (or another under its id) is there already.
  ...rows(
    { outcome: "unknown", source: "E" },
    {
      "10014": "duplicate request",
      "40004": "order is being modified",
      "110072": "orderLinkId is duplicate",
      "110079": "order is being processed",
      "170035": "submitted for processing",
      "170141": "client order id is duplicate",
      "170144": "order has been locked",
      "170191": "cannot cancel now",
      "170210": "new order rejected",
      "170212": "cancellation is being processed",
    },
  ),
  ...rows({ outcome: "unknown", source: "C" }, { "110030": "order id is duplicate" }),
  // Bybit does not say how far the request had come.
  ...rows(
    { outcome: "unknown", fault: "Unavailable", source: "E" },
    {
      "429": "high load of the trading service",
      "10000": "server timeout",
      "10016": "server error, or maintenance",
      "170001": "internal error",
      "170007": "timeout of the backend",
      "170032": "network error",
      "170146": "order creation timeout",
      "170147": "order cancellation timeout",
      "170149": "create order failed",
      "170150": "cancel order failed",
      "170234": "system error",
      "3400214": "server error",
    },
  ),
  ...rows({ outcome: "unknown", fault: "Unavailable", source: "C" }, { "5004": "server timeout" }),
  // HTTP, of whatever stands in front of the engine. https://bybit-exchange.github.io/docs/v5/rate-limit
  ...rows(
    { outcome: "unknown", fault: "AddressBanned", source: "E" },
    { "403": "too many requests from this address, or its region is not served" },
  ),
];

const byCode = new Map(BYBIT_OUTCOMES.map((row) => [row.code, row]));

/** Longest message that travels on: into conditions, records and logs. */
const MESSAGE_MAX = 300;

/** Codes of an order whose id another had before. */
const TAKEN_ID: ReadonlySet<string> = new Set(["110072", "170141"]);

/** Outcome of a request that threw. */
export function outcomeOfError(error: unknown): Outcome {
  const outcome = outcomeOf(readError(error));
  const isTaken = outcome.kind === "unknown" && TAKEN_ID.has(outcome.code);
  return isTaken ? { ...outcome, idIsTaken: true } : outcome;
}

function outcomeOf({ code, message }: ReturnType<typeof readError>): Outcome {
  const row = byCode.get(code);
  if (row?.outcome === "accepted") return { kind: "accepted", exchangeOrderId: undefined };
  if (row?.outcome !== "refused") return { kind: "unknown", code, message };
  // A row with a fault speaks of the key, the clock or the traffic, not of the order.
  return { kind: "refused", code, message, final: row.fault === undefined };
}

/** The same error of a request that only reads, or that must not be confused with an order's outcome. */
export function faultOfError(error: unknown): ExchangeFault {
  const { code, message } = readError(error);
  const row = byCode.get(code);
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

/** ccxt's message of a bare HTTP error: "bybit <method> <address> <status> <reason> <body>". */
const BARE_403 = /^bybit \S+ \S+ 403(?:\s|$)/;

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
    code: BARE_403.test(error.message) ? "403" : (error.constructor.name || "Error").slice(0, 64),
    message: error.message.slice(0, MESSAGE_MAX),
  };
}
