import type { Patch } from "./bundle.ts";

/** A fault that has cost people money elsewhere, put into a copy of the product to see whether the simulation finds it. */
export interface PlantedBug {
  readonly name: string;
  /** The invariant that has to find it, where another would show something else. */
  readonly by?: string;
  readonly patches: readonly [Patch, ...Patch[]];
}

const src = "bot-runtime/src";

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "an entry is sent without its id",
    patches: [
      {
        module: `${src}/exchange/bybit-orders.ts`,
        text: `    tpslMode: "Full",
    orderLinkId: order.clientOrderId,`,
        replacement: `    tpslMode: "Full",`,
      },
    ],
  },
  {
    name: "an entry of unknown outcome is sent again under a new id",
    patches: [
      {
        module: `${src}/bot/enter-position.ts`,
        text: "  const outcome = await deps.exchange.submitEntry(order);",
        replacement: `  let outcome = await deps.exchange.submitEntry(order);
  if (outcome.kind === "unknown")
    outcome = await deps.exchange.submitEntry({ ...order, clientOrderId: order.clientOrderId.replace(/^../, "ee") });`,
      },
    ],
  },
  {
    name: "the order is sent beside its intent, not after it",
    patches: [
      {
        module: `${src}/bot/enter-position.ts`,
        text: "  const appended = await deps.journal.appendIntent(decision.intent);",
        replacement: `  void deps.journal.appendIntent(decision.intent);
  const appended: string = "appended";`,
      },
    ],
  },
  {
    name: "a timeout counts as a refusal",
    patches: [
      {
        module: `${src}/exchange/bybit-outcomes.ts`,
        text: `  if (row?.outcome !== "refused") return { kind: "unknown", code, message };`,
        replacement: `  if (row === undefined) return { kind: "refused", code, message, final: true };
  if (row.outcome !== "refused") return { kind: "unknown", code, message };`,
      },
    ],
  },
  {
    name: "10000 and 10016 (server error) count as refusals",
    patches: [
      {
        module: `${src}/exchange/bybit-outcomes.ts`,
        text: `  if (row?.outcome !== "refused") return { kind: "unknown", code, message };`,
        replacement: `  if (code === "10000" || code === "10016") return { kind: "refused", code, message, final: true };
  if (row?.outcome !== "refused") return { kind: "unknown", code, message };`,
      },
    ],
  },
  {
    name: "a refusal as duplicate counts as a failed order",
    patches: [
      {
        module: `${src}/exchange/bybit-outcomes.ts`,
        text: `  if (row?.outcome !== "refused") return { kind: "unknown", code, message };`,
        replacement: `  if (code === "110072") return { kind: "refused", code, message, final: true };
  if (row?.outcome !== "refused") return { kind: "unknown", code, message };`,
      },
    ],
  },
  {
    name: "an entry that is not found is at once taken for not placed",
    patches: [
      {
        module: `${src}/bot/settle-entry.ts`,
        text: "  if (waitedMs < SETTLE_WINDOW_MS) return;",
        replacement: "",
      },
      {
        module: `${src}/bot/settle-entry.ts`,
        text: "const LOST_AFTER_MS = 75_000;",
        replacement: "const LOST_AFTER_MS = 0;",
      },
      {
        module: `${src}/bot/settle-entry.ts`,
        text: "sentAgoMs(deps, work) >= HIDDEN_MAX_MS",
        replacement: "sentAgoMs(deps, work) >= 0",
      },
    ],
  },
  {
    name: "an entry that is not shown for 20 s is taken for not placed",
    patches: [
      {
        module: `${src}/bot/settle-entry.ts`,
        text: "const LOST_AFTER_MS = 75_000;",
        replacement: "const LOST_AFTER_MS = 20_000;",
      },
      {
        module: `${src}/bot/settle-entry.ts`,
        text: "sentAgoMs(deps, work) >= HIDDEN_MAX_MS",
        replacement: "sentAgoMs(deps, work) >= 20_000",
      },
    ],
  },
  {
    name: "an entry that nothing speaks for any more is not looked for again",
    patches: [
      {
        module: `${src}/bot/settle-entry.ts`,
        text: "sentAgoMs(deps, work) >= HIDDEN_MAX_MS",
        replacement: "sentAgoMs(deps, work) >= 75_000",
      },
    ],
  },
  {
    name: "a bot is flat although an entry may still be shown",
    patches: [
      {
        module: `${src}/bot/works.ts`,
        text: "    if (this.#settling.length + this.#lost.size > 0) return false;",
        replacement: "    if (this.#settling.length > 0) return false;",
      },
    ],
  },
  {
    name: "a position without a stop waits for its entry to be shown",
    by: "Protected",
    patches: [
      {
        module: `${src}/bot/settle-entry.ts`,
        text: "    if (holds) await placeUnknownStop(deps, work);",
        replacement: "    if (holds && deps.monotonicMs() < 0) await placeUnknownStop(deps, work);",
      },
    ],
  },
  {
    name: "an exit's attempt grows without proof that the one before is over",
    patches: [
      {
        module: `${src}/bot/exit-position.ts`,
        text: '    work.exit = { ...exit, state: "sent" };\n    return;\n  }\n  if (!isAccountedFor',
        replacement:
          "    work.exit = nextAttempt(deps, work, exit.attempt + 1);\n    return;\n  }\n  if (!isAccountedFor",
      },
    ],
  },
  {
    name: "an exit goes out under an id of which fills are known",
    by: "OneExit",
    patches: [
      {
        module: `${src}/bot/exit-position.ts`,
        text: "  if (hasFilled(work, work.exit.id)) {",
        replacement: "  if (work.exit === undefined) {",
      },
    ],
  },
  {
    name: "exits close the whole position, whoever else has a share in it",
    patches: [
      {
        module: `${src}/bot/exit-position.ts`,
        text: "  const own = Decimal.max(Decimal.min(open, held.quantity.minus(mayBeOthers)), 0);",
        replacement: "  const own = held.quantity;",
      },
    ],
  },
  {
    name: "exits are named after the symbol, not after their trade",
    patches: [
      {
        module: `${src}/bot/exit-position.ts`,
        text: '  const identity = { botUid, symbol: work.symbol, timeframe: "", reference: work.entryId };',
        replacement:
          '  const identity = { botUid, symbol: work.symbol, timeframe: "", reference: "" };',
      },
    ],
  },
  {
    name: "the day's loss is not looked at",
    patches: [
      {
        module: `${src}/risk/gate.ts`,
        text: "  baseline.times(dailyLossPercent).div(-100),",
        replacement: "  baseline.times(dailyLossPercent * 1_000).div(-100),",
      },
    ],
  },
  {
    name: "what an entry takes of the account is not told with its intent",
    patches: [
      {
        module: `${src}/bot/enter-position.ts`,
        text: "  const intent = { ...intentOf(order, wish, madeMs), commitment };",
        replacement:
          "  const intent = { ...intentOf(order, wish, madeMs), commitment: commitment && undefined };",
      },
    ],
  },
  {
    name: "nobody notices that the process stood still",
    patches: [
      {
        module: `${src}/bot/bot.ts`,
        text: "      stalledMs: this.#loop.stalledMs,",
        replacement: "      stalledMs: undefined,",
      },
    ],
  },
  {
    name: "a candle's age is counted from its arrival, not from when the exchange sent it",
    patches: [
      {
        module: `${src}/bot/bot.ts`,
        text: "    if (closed) this.#traders.get(symbol)?.candleClosed(candle, this.#sentBy(sentAtMs));",
        replacement:
          "    if (closed) this.#traders.get(symbol)?.candleClosed(candle, this.#deps.clock.monotonicMs());",
      },
    ],
  },
  {
    name: "a candle that closes a position opens one as well",
    by: "ClosesOrOpens",
    patches: [
      {
        module: `${src}/bot/symbol-trader.ts`,
        text: "      if (enter === undefined || this.#hasClosed(proposed)) await this.#openDay();",
        replacement: "      if (enter === undefined) await this.#openDay();",
      },
    ],
  },
  {
    name: "each process draws the id of a requested order anew",
    patches: [
      {
        module: `${src}/bot/requests.ts`,
        text: "    const entryId = requestedEntryId({ botUid, symbol: this.#symbol }, asked.id);",
        replacement: `    const salted: { salt?: number } = this.#deps.requests as object;
    salted.salt ??= this.#deps.monotonicMs();
    const entryId = requestedEntryId({ botUid, symbol: this.#symbol }, asked.id + salted.salt);`,
      },
    ],
  },
  {
    name: "until when a request may be obeyed is not looked at",
    patches: [
      {
        module: `${src}/bot/enter-position.ts`,
        text: "  return Number.isNaN(leftMs) ? -Infinity : leftMs;",
        replacement: "  return Number.isNaN(leftMs) ? -Infinity : 60_000;",
      },
    ],
  },
  {
    name: "a request that a crash interrupted is forgotten",
    patches: [
      {
        module: `${src}/bot/requests.ts`,
        text: "    const { begun } = log;",
        replacement: "    const begun = log.begun.slice(0, 0);",
      },
    ],
  },
  {
    name: "a position that the exchange does not show yet is taken for closed",
    patches: [
      {
        module: `${src}/bot/advance-work.ts`,
        text: "  if (work.account.open.isZero()) return isEnded(deps, work);",
        replacement:
          "  if (work.account.open.isZero() || view.held === undefined) return isEnded(deps, work);",
      },
    ],
  },
  {
    name: "whatever stop is there when the bot holds nothing is taken for a left-over",
    patches: [
      {
        module: `${src}/bot/foreign-holdings.ts`,
        text: "    const isFlat = held === undefined && works.length === 0;",
        replacement: "    const isFlat = works.length === 0;",
      },
      {
        module: `${src}/bot/foreign-holdings.ts`,
        text: "    return isProtection && createdMs < this.#endedMs;",
        replacement: "    return isProtection && createdMs > 0;",
      },
    ],
  },
  {
    name: "a position is adopted because of its time, not its id",
    patches: [
      {
        module: `${src}/bot/reconcile.ts`,
        text: `  const isOwn = ({ clientOrderId }: { readonly clientOrderId: string | undefined }) =>
    own.has(clientOrderId ?? "");`,
        replacement: `  const isOwn = (_: object) => own.size > 0;`,
      },
      {
        module: `${src}/bot/reconcile.ts`,
        text: "  const entryId = filled?.clientOrderId ?? placed?.clientOrderId;",
        replacement: `  const entryId = filled && (filled.clientOrderId ?? "00000000-0000-8000-8000-000000000000");`,
      },
    ],
  },
  {
    name: "nobody asks for the lease: neither gate nor journal",
    patches: [
      {
        module: `${src}/risk/gate.ts`,
        text: "      leaseRemainingMs >= OPENING_LEASE_MS",
        replacement: "      leaseRemainingMs >= 0",
      },
      {
        module: "bot-runtime/test/journal-model.ts",
        text: `    if (this.leaseholder?.epoch !== epoch) return refusal(409, "no_lease");`,
        replacement: "",
      },
    ],
  },
  {
    name: "a lease is counted from its answer instead of its request",
    patches: [
      {
        module: `${src}/journal/lease-keeper.ts`,
        text: "    this.#validUntilMs = sentMs + answer.body.ttlMs;",
        replacement:
          "    this.#validUntilMs = this.#options.clock.monotonicMs() + answer.body.ttlMs;",
      },
    ],
  },
  {
    name: "the exchange takes opening orders for a minute (receive window)",
    patches: [
      {
        module: `${src}/exchange/exchange.ts`,
        text: "export const RECEIVE_WINDOW_MS = 5_000;",
        replacement: "export const RECEIVE_WINDOW_MS = 60_000;",
      },
      {
        module: `${src}/exchange/exchange.ts`,
        text: "export const OPENING_LEASE_MS = RECEIVE_WINDOW_MS + 1_000;",
        replacement: "export const OPENING_LEASE_MS = 6_000;",
      },
    ],
  },
  {
    name: "after a partial fill nobody looks after the stop",
    patches: [
      {
        module: `${src}/bot/protect-position.ts`,
        text: "  if (wanted === undefined || isAt(held, wanted) ||",
        replacement:
          "  if (wanted === undefined || work.account.fills.length > 1 || isAt(held, wanted) ||",
      },
    ],
  },
  {
    name: "stop and target stay where the signal's candle put them",
    by: "StopInPlace",
    patches: [
      {
        module: `${src}/bot/protect-position.ts`,
        text: "  const wanted = isSuccessors(deps, held) ? undefined : wantedLevels(deps, work, held);",
        replacement: `  const isKept = held.stopLoss !== undefined || isSuccessors(deps, held);
  const wanted = isKept ? undefined : wantedLevels(deps, work, held);`,
      },
    ],
  },
  {
    name: "stop and target of a position are reckoned by the settings that it was first seen under",
    by: "StopInPlace",
    patches: [
      {
        module: `${src}/bot/protect-position.ts`,
        text: "  const { risk } = deps.config();",
        replacement: `  const kept: { risk?: ReturnType<typeof deps.config>["risk"] } = work.protection as object;
  const risk = (kept.risk ??= deps.config().risk);`,
      },
    ],
  },
  {
    name: "a position that was taken up from the process before is not looked after",
    patches: [
      {
        module: `${src}/bot/advance-work.ts`,
        text: "  if (work.exitWanted === undefined) await protectPosition(deps, work, held);",
        replacement:
          "  if (work.exitWanted === undefined && !work.adopted) await protectPosition(deps, work, held);",
      },
    ],
  },
  {
    name: "an open position is looked at every 20 s",
    patches: [
      {
        module: `${src}/bot/symbol-trader.ts`,
        text: "const POLL_MS = 250;",
        replacement: "const POLL_MS = 20_000;",
      },
    ],
  },
  {
    name: "a halt that flattens closes nothing",
    patches: [
      {
        module: `${src}/bot/standing-orders.ts`,
        text: '  return isHalted(config, symbol, ["Flatten"]) ? "flatten" : undefined;',
        replacement: "  return undefined;",
      },
    ],
  },
  {
    name: "a halt that cancels orders leaves the rest of an entry open",
    patches: [
      {
        module: `${src}/bot/standing-orders.ts`,
        text: '  return isHalted(config, symbol, ["CancelOrders", "Flatten"]);',
        replacement: '  return isHalted(config, symbol, ["Flatten"]);',
      },
    ],
  },
  {
    name: "a halt that cancels orders takes the stop with it",
    patches: [
      {
        module: `${src}/bot/advance-work.ts`,
        text: "  if (work.exitWanted === undefined) await protectPosition(deps, work, held);",
        replacement: `  const { halts } = deps.config();
  if (halts.some(({ action }) => action === "CancelOrders"))
    await deps.exchange.protect(work.symbol, { stopLoss: ZERO_QUANTITY as never, takeProfit: undefined });
  else if (work.exitWanted === undefined) await protectPosition(deps, work, held);`,
      },
    ],
  },
  {
    name: "traders go by the configuration that they started with",
    patches: [
      {
        module: `${src}/bot/bot.ts`,
        text: `      standing: (symbol) => this.#standing(symbol),`,
        replacement: `      ...((config) => ({ config: () => config, standing: (symbol) => ({ ...this.#standing(symbol), config }) }))(this.#config),`,
      },
      {
        module: `${src}/bot/bot.ts`,
        text: `      record: (body) => this.#record(body),
      config: () => this.#config,
`,
        replacement: `      record: (body) => this.#record(body),
`,
      },
    ],
  },
  {
    name: "a halt that comes while the intent is written is not noticed",
    by: "ObeysOrders",
    patches: [
      {
        module: `${src}/bot/enter-position.ts`,
        text: "  const late = halted ?? outdated(deps, wish) ?? tooLate(deps, decision);",
        replacement: "  const late = outdated(deps, wish) ?? tooLate(deps, decision);",
      },
    ],
  },
  {
    name: "a halt that only the journal knows of is not obeyed",
    patches: [
      {
        module: `${src}/journal/journal-client.ts`,
        text: '    if (answer.code === "halted") return "halted";',
        replacement: '    if (answer.code === "halted") return "appended";',
      },
    ],
  },
  {
    name: "what the exchange closes by force is not read",
    patches: [
      {
        module: `${src}/exchange/bybit-look-ups.ts`,
        text: "    found.push(...list.map(executionView));",
        replacement: `    found.push(...list.filter(({ execType }) => /^(Trade|Funding)$/.test(execType)).map(executionView));`,
      },
    ],
  },
  {
    name: "a bot is flat although the result of a trade is not told yet",
    patches: [
      {
        module: `${src}/bot/works.ts`,
        text: "    if (this.#settling.length + this.#lost.size > 0) return false;",
        replacement: "    if (this.#lost.size > 0) return false;",
      },
    ],
  },
  {
    name: "dust counts for nothing, whatever it is worth",
    patches: [
      {
        module: `${src}/orders/sizing.ts`,
        text: "  return value(entryPrice, held).lt(market.minimumValue);",
        replacement: "  return true;",
      },
    ],
  },
  {
    name: "dust that nobody can close keeps a bot from ending",
    patches: [
      {
        module: `${src}/orders/sizing.ts`,
        text: "  return value(entryPrice, held).lt(market.minimumValue);",
        replacement: "  return false;",
      },
    ],
  },
  {
    name: "dust that is left behind stays an open trade",
    patches: [
      {
        module: `${src}/bot/account-for-fills.ts`,
        text: `  const isGivenUp = isLeftBehind(work) && deps.config().state !== "Running";`,
        replacement: "  const isGivenUp = false;",
      },
    ],
  },
  {
    name: "the fees of exits are forgotten",
    patches: [
      {
        module: `${src}/orders/trade-account.ts`,
        text: "  const valued = fills.map((fill) => feeInQuote(trade.symbol, fill));",
        replacement: `  const valued = fills.map((fill) => fill.purpose === "exit" ? new Decimal(0) : feeInQuote(trade.symbol, fill));`,
      },
    ],
  },
  {
    name: "funding is ignored",
    patches: [
      {
        module: `${src}/exchange/bybit-look-ups.ts`,
        text: "    found.push(...list.map(executionView));",
        replacement: `    found.push(...list.filter((row) => row.execType !== "Funding").map(executionView));`,
      },
    ],
  },
  {
    name: "a trade ends without waiting for funding that is shown late",
    patches: [
      {
        module: `${src}/bot/late-funding.ts`,
        text: "  return closedMs - dueMs + seenForMs < FUNDING_LATE_MS;",
        replacement: "  return closedMs - dueMs + seenForMs < 0;",
      },
    ],
  },
  {
    name: "of an order that fills in parts one fill is recorded",
    patches: [
      {
        module: `${src}/bot/account-for-fills.ts`,
        text: "    if (doubtful.has(fill) || !isNew(fill.execution.executionId)) continue;",
        replacement:
          "    if (!isNew(fill.execution.clientOrderId ?? fill.execution.executionId)) continue;",
      },
    ],
  },
  {
    name: "what was executed before the last answer is never asked for again",
    patches: [
      {
        module: `${src}/bot/account-for-fills.ts`,
        text: "const SHOWN_LATE_MS = 86_400_000;",
        replacement: "const SHOWN_LATE_MS = 0;",
      },
    ],
  },
  {
    name: "a process that takes over does not record what happened before it",
    patches: [
      {
        module: `${src}/bot/account-for-fills.ts`,
        text: "    if (doubtful.has(fill) || !isNew(fill.execution.executionId)) continue;",
        replacement: "    if (!isNew(fill.execution.executionId) || work.adopted) continue;",
      },
    ],
  },
  {
    name: "open intents of the journal are not taken up",
    patches: [
      {
        module: `${src}/bot/reconcile.ts`,
        text: "    ...intents.map((intent) => askedToGo(workFromIntent(intent, taken), session.requests)),",
        replacement: "",
      },
    ],
  },
  {
    name: "records are numbered on when a batch gets no answer, and what was lost is not sent again",
    patches: [
      {
        module: `${src}/journal/journal-client.ts`,
        text: "      await this.#pause(failures);\n      failures += 1;",
        replacement:
          "      this.#buffer.confirm();\n      await this.#pause(failures);\n      failures += 1;",
      },
    ],
  },
  {
    name: "a bot is flat although an entry is under way",
    patches: [
      {
        module: `${src}/bot/enter-position.ts`,
        text: "  works.add(work);\n  const outcome",
        replacement: "  const outcome",
      },
      {
        module: `${src}/bot/enter-position.ts`,
        text: `  if (outcome.kind === "accepted") {
    deps.account.clearErrors();`,
        replacement: `  if (outcome.kind === "accepted") works.add(work);
  if (outcome.kind === "accepted") {
    deps.account.clearErrors();`,
      },
    ],
  },
];
