import { z } from "zod";
import type { Account } from "../account.ts";
import { BybitError, RetCode } from "../bybit-error.ts";
import type { ApiKey, Exchange } from "../exchange.ts";
import type { Instrument } from "../instruments.ts";
import { rulesOf } from "../settings.ts";
import { Decimal } from "../money.ts";

/** Who may call: anybody, a holder of a valid key, or a key that may trade contracts. */
export type Access = "public" | "private" | "trade";

interface PublicCall {
  /** Query parameters of a GET (strings), or the parsed body of a POST. */
  readonly parameters: unknown;
  readonly exchange: Exchange;
}

export interface PrivateCall extends PublicCall {
  readonly key: ApiKey;
}

/** One path of Bybit's REST API; gives back `result`, or throws a BybitError. */
type Endpoint =
  | { readonly access: "public"; readonly answer: (call: PublicCall) => object }
  | { readonly access: Exclude<Access, "public">; readonly answer: (call: PrivateCall) => object };

/** By method and path: "GET /v5/market/time". */
export type Endpoints = Readonly<Record<string, Endpoint>>;

/** The parameters as the schema has them; Bybit's 10001 when they are not. */
export function parse<Schema extends z.ZodType>(
  schema: Schema,
  parameters: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(parameters);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join(".") ?? "";
  throw new BybitError(RetCode.invalidParameter, `params error: ${where} ${issue?.message ?? ""}`);
}

/** A decimal, as the string that Bybit documents or as a number. */
export const DecimalParameter = z
  .union([
    z
      .string()
      .max(40)
      .regex(/^\d+(\.\d+)?$/),
    z.number().nonnegative(),
  ])
  .transform((value) => new Decimal(value));

/** Like DecimalParameter, but "" counts as absent, as on Bybit. */
export const OptionalDecimal = z
  .union([z.literal("").transform(() => undefined), DecimalParameter])
  .optional();

/** Text where "" counts as absent. */
export const OptionalText = z
  .string()
  .max(100)
  .transform((value) => (value === "" ? undefined : value))
  .optional();

export const OptionalMilliseconds = z.coerce.number().int().nonnegative().optional();

export function pageLimit(maximum: number, standard: number) {
  return z.coerce.number().int().min(1).max(maximum).default(standard);
}

/** The simulator has linear perpetuals only. */
export const Linear = z.literal("linear");

/** The rules of a replayed symbol; Bybit's refusal for any other. */
export function replayedInstrument(exchange: Exchange, symbol: string): Instrument {
  if (!exchange.market.has(symbol)) {
    throw new BybitError(RetCode.invalidParameter, "params error: symbol invalid");
  }
  return rulesOf(exchange.settings(), symbol);
}

/** Refuses a positionIdx of the other position mode; hedge mode's own ones are not simulated. */
export function checkPositionIndex(account: Account, positionIdx: number): void {
  if (!account.hedgeMode && positionIdx === 0) return;
  const known = account.hedgeMode && (positionIdx === 1 || positionIdx === 2);
  const message = known
    ? "orders in hedge mode are not simulated"
    : "position idx not match position mode";
  throw new BybitError(RetCode.invalidParameter, message);
}

interface Page<Entry> {
  readonly entries: readonly Entry[];
  readonly nextPageCursor: string;
}

/** One page, newest first. `cursor` is the sequence number of the last entry of the page before, "" for the first page. */
export function pageOf<Entry extends { readonly sequence: number }>(
  all: readonly Entry[],
  { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
): Page<Entry> {
  const before = cursor === undefined ? Infinity : Number(cursor);
  if (Number.isNaN(before))
    throw new BybitError(RetCode.invalidParameter, "params error: cursor invalid");
  const rest = all
    .filter((entry) => entry.sequence < before)
    .toSorted((a, b) => b.sequence - a.sequence);
  const entries = rest.slice(0, limit);
  const last = entries.at(-1);
  return {
    entries,
    nextPageCursor: last !== undefined && rest.length > limit ? `${last.sequence}` : "",
  };
}
