import type { BotConfig, Position, Report } from "@tradingbots/crds";
import type { Balance, HeldPosition } from "../exchange/exchange.ts";
import { type Amount, text } from "../money.ts";
import type { Refusal } from "../risk/gate.ts";
import { storable } from "./records.ts";

export interface ReportFacts {
  readonly config: BotConfig;
  readonly flat: boolean;
  readonly protected: boolean;
  readonly blocked: readonly Refusal[];
  readonly openSymbols: readonly string[];
  readonly openEntries: readonly string[];
  readonly positions: readonly HeldPosition[];
  readonly balance: Balance | undefined;
  readonly dayResult: Amount | undefined;
  readonly lastTradeAt: string | undefined;
  readonly leased: boolean;
  readonly consecutiveErrors: number;
  readonly requests: Report["requests"];
  readonly at: Date;
}

const BLOCKED_MAX = 16;
const POSITIONS_MAX = 8;
const SYMBOLS_MAX = 64;

export function buildReport(facts: ReportFacts): Report {
  const { config, balance, dayResult } = facts;
  return {
    generation: config.generation,
    state: config.state,
    flat: facts.flat,
    protected: facts.protected,
    trading: facts.blocked.length === 0,
    blocked: distinct(facts.blocked).slice(0, BLOCKED_MAX),
    openSymbols: facts.openSymbols.slice(0, SYMBOLS_MAX),
    openEntries: facts.openEntries.slice(0, SYMBOLS_MAX),
    positions: facts.positions.slice(0, POSITIONS_MAX).map(reportedPosition),
    balance: balance
      ? {
          equity: text(balance.equity),
          available: text(balance.available),
          currency: balance.currency,
        }
      : null,
    dayResult: dayResult === undefined ? null : text(dayResult),
    lastTradeAt: facts.lastTradeAt ?? null,
    halts: config.halts.map((halt) => halt.uid),
    leased: facts.leased,
    consecutiveErrors: facts.consecutiveErrors,
    ...(facts.requests === undefined ? {} : { requests: facts.requests }),
    asOf: facts.at.toISOString(),
  };
}

/** What must be told at once when it changes; prices and balances move all the time and wait for the next regular report. */
export function materialPart(report: Report): string {
  const { generation, state, flat, protected: isProtected, trading, lastTradeAt } = report;
  const { halts, leased, consecutiveErrors, openSymbols, openEntries, requests } = report;
  const positions = report.positions.map((position) => ({ ...position, unrealisedPnl: "" }));
  const reasons = report.blocked.map((each) => each.reason);
  return JSON.stringify([
    generation,
    state,
    flat,
    isProtected,
    trading,
    reasons,
    openSymbols,
    openEntries,
    positions,
    lastTradeAt,
    halts,
    leased,
    consecutiveErrors,
    requests,
  ]);
}

function reportedPosition(held: HeldPosition): Position {
  return {
    symbol: held.symbol,
    side: held.side,
    quantity: text(held.quantity),
    entryPrice: text(held.entryPrice),
    unrealisedPnl: text(held.unrealisedPnl),
    stopLoss: held.stopLoss ? text(held.stopLoss) : null,
    takeProfit: held.takeProfit ? text(held.takeProfit) : null,
  };
}

/** Symbols share most reasons: each sentence once. */
function distinct(refusals: readonly Refusal[]) {
  const sentences = new Map(
    refusals.map(({ reason, message }) => [
      `${reason} ${message}`,
      { reason, message: storable(message) },
    ]),
  );
  return [...sentences.values()];
}
