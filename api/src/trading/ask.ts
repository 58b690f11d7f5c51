import { type BotRequest, REQUESTS_MAX, type TradingBot } from "@tradingbots/crds";
import type { Caller } from "../auth/user.ts";
import { findBot } from "../bots/change-bot.ts";
import { asTenant, type Database } from "../database.ts";
import { ApiError, invalidField } from "../errors.ts";
import type { Kube } from "../kube.ts";
import { findResults, openSymbols } from "./request-store.ts";
import { type RequestView, requestView } from "./view.ts";

export interface TradingDeps {
  readonly pool: Database;
  readonly kube: Kube;
  /** Wall clock, ms. */
  readonly now: () => number;
}

/** Time for the change to reach the bot, and for the order to reach the exchange; whoever asked is still looking. */
const VALID_FOR_MS = 60_000;
/** As when a bot is patched. */
const ATTEMPTS_MAX = 5;

/** What somebody wants of a bot. `id` is new, or of an earlier attempt of the same HTTP request. */
export type Wish = Omit<BotRequest, "notAfter"> & { readonly botId: string };

/**
 * Puts a request into the bot's specification, in place of those that are answered or of the past. Other requests stay, whoever wrote
 * them.
 * @throws ApiError `not_found`; `validation_failed` for a symbol that the bot has nothing to do with; `bot_idle` without a pod,
 * `bot_not_running` for an order, `requests_pending` when as many as fit are not answered yet
 */
export async function ask(deps: TradingDeps, caller: Caller, wish: Wish): Promise<RequestView> {
  const { botId, ...wanted } = wish;
  for (let attempt = 1; ; attempt++) {
    const bot = await findBot(deps, caller, botId);
    const { requests = [] } = bot.spec;
    const earlier = requests.find(({ id }) => id === wanted.id);
    if (earlier !== undefined) return viewOf(botId, earlier);
    // One that was answered and put away is not asked for again.
    const { userId } = caller;
    const [result] = await asTenant(deps.pool, { userId }, (database) =>
      findResults(database, { userId, botId }, [wanted.id]),
    );
    const answered = requestView({ botId, asked: undefined, result });
    if (answered !== undefined) return answered;
    await assertObeys(deps, caller, { bot, wish });
    const request = { ...wanted, notAfter: notAfter(deps.now()) };
    const waiting = await unanswered(deps, caller, bot);
    if (waiting.length >= REQUESTS_MAX) throw pending();
    const { namespace, name, resourceVersion } = bot.metadata;
    const change = { metadata: { resourceVersion }, spec: { requests: [...waiting, request] } };
    try {
      await deps.kube.bots.patch({ namespace, name }, change);
      return viewOf(botId, request);
    } catch (error) {
      const isStale = error instanceof ApiError && error.code === "changed_meanwhile";
      if (!isStale || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

/** @throws ApiError `not_found`, also when it was put away before the bot had answered it */
export async function findRequest(
  deps: TradingDeps,
  caller: Caller,
  { botId, id }: { readonly botId: string; readonly id: string },
): Promise<RequestView> {
  const bot = await findBot(deps, caller, botId);
  const { userId } = caller;
  const [result] = await asTenant(deps.pool, { userId }, (database) =>
    findResults(database, { userId, botId }, [id]),
  );
  const asked = bot.spec.requests?.find((request) => request.id === id);
  const view = requestView({ botId, asked, result });
  if (view === undefined) throw new ApiError("not_found", `bot ${botId} knows no request ${id}`);
  return view;
}

function viewOf(botId: string, asked: BotRequest): RequestView {
  const view = requestView({ botId, asked, result: undefined });
  if (view === undefined) throw new Error("a request has no view");
  return view;
}

async function assertObeys(
  deps: TradingDeps,
  { userId }: Caller,
  { bot, wish }: { readonly bot: TradingBot; readonly wish: Wish },
): Promise<void> {
  const { spec, status } = bot;
  const { action, symbol, botId } = wish;
  if (!spec.symbols.includes(symbol)) {
    // One that left the settings is still managed to its exit.
    const open = await asTenant(deps.pool, { userId }, (database) =>
      openSymbols(database, { userId, botId }),
    );
    if (action === "Order" || !open.includes(symbol))
      throw invalidField("symbol", `the bot does not trade ${symbol}`);
  }
  if (action === "Order" && spec.state !== "Running") {
    throw new ApiError("bot_not_running", `the bot is ${spec.state}: start it first`);
  }
  if (status?.podName === undefined) {
    const idle =
      "no pod of the bot runs, so nobody would obey; a bot that is not Running has none once nothing is open";
    throw new ApiError("bot_idle", idle);
  }
}

/** Those that the bot may still be at: not past, and without an end that it has told. */
async function unanswered(
  deps: TradingDeps,
  { userId }: Caller,
  { metadata, spec: { requests = [] } }: TradingBot,
): Promise<readonly BotRequest[]> {
  const current = requests.filter((request) => Date.parse(request.notAfter) > deps.now());
  if (current.length === 0) return [];
  const ids = current.map(({ id }) => id);
  const results = await asTenant(deps.pool, { userId }, (database) =>
    findResults(database, { userId, botId: metadata.name }, ids),
  );
  const ended = new Set(results.filter(({ status }) => status !== "begun").map(({ id }) => id));
  return current.filter(({ id }) => !ended.has(id));
}

function notAfter(nowMs: number): string {
  return new Date(nowMs + VALID_FOR_MS).toISOString();
}

function pending(): ApiError {
  const message = `${REQUESTS_MAX} requests wait for the bot: ask again when one of them is answered or over`;
  return new ApiError("requests_pending", message, { retryAfterSeconds: VALID_FOR_MS / 1_000 });
}
