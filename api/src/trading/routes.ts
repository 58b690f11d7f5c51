import { DnsLabel, MarketSymbol, RequestId } from "@tradingbots/crds";
import { randomUUID } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { callerOf } from "../auth/authenticate.ts";
import { scoped } from "../auth/scopes.ts";
import { IdParams } from "../fields.ts";
import { IdempotencyHeaders, once } from "../idempotency.ts";
import { FAILURE } from "../problem.ts";
import { ask, findRequest, type TradingDeps, type Wish } from "./ask.ts";
import { RequestView } from "./view.ts";

const tags = ["trading"];
const OfSymbol = z
  .strictObject({ symbol: MarketSymbol })
  .meta({ examples: [{ symbol: "BTC/USDT:USDT" }] });
const NewOrder = z
  .strictObject({ symbol: MarketSymbol, side: z.enum(["long", "short"]) })
  .meta({ examples: [{ symbol: "BTC/USDT:USDT", side: "long" }] });
const RequestParams = z.object({ id: DnsLabel, requestId: RequestId });

const ANSWERED_LATER =
  "The bot does it within a minute or not at all; the answer is at the path in `Location`, and comes as event `request`.";

const described = (summary: string, more: string) => ({
  tags,
  ...scoped("trade"),
  summary,
  description: `${more} ${ANSWERED_LATER}`,
  params: IdParams,
  headers: IdempotencyHeaders,
  response: { 202: RequestView, ...FAILURE },
});

const SCHEMAS = {
  close: {
    ...described(
      "Close the bot's position of a symbol",
      "Whatever state the bot is in and whatever halt is in force. What others hold of the symbol stays.",
    ),
    body: OfSymbol,
  },
  cancel: {
    ...described(
      "Cancel the bot's entries of a symbol that may still fill",
      "Stops and targets of an open position stay.",
    ),
    body: OfSymbol,
  },
  order: {
    ...described(
      "Open a position",
      "With the bot's size, leverage, stop and target, and through the same checks as a signal; never beside an open position.",
    ),
    body: NewOrder,
  },
  read: {
    tags,
    ...scoped("read"),
    summary: "What became of a request",
    params: RequestParams,
    response: { 200: RequestView, ...FAILURE },
  },
} as const;

/** /api/bots/:id/… for what a person wants done once. */
export function tradingRoutes(deps: TradingDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.post("/:id/positions/close", { schema: SCHEMAS.close }, async (request, reply) => {
      const wish = { botId: request.params.id, action: "ClosePosition", ...request.body } as const;
      return accepted(reply, await askOnce(deps, request, wish));
    });
    app.post("/:id/orders/cancel", { schema: SCHEMAS.cancel }, async (request, reply) => {
      const wish = { botId: request.params.id, action: "CancelOrders", ...request.body } as const;
      return accepted(reply, await askOnce(deps, request, wish));
    });
    app.post("/:id/orders", { schema: SCHEMAS.order }, async (request, reply) => {
      const wish = { botId: request.params.id, action: "Order", ...request.body } as const;
      return accepted(reply, await askOnce(deps, request, wish));
    });
    app.get("/:id/requests/:requestId", { schema: SCHEMAS.read }, (request) => {
      const { id: botId, requestId: id } = request.params;
      return findRequest(deps, callerOf(request), { botId, id });
    });
  };
}

type AskingRequest = FastifyRequest & {
  readonly headers: z.infer<typeof IdempotencyHeaders>;
};

/** The same request under the same key is the same request of the bot, so that a lost answer orders nothing twice. */
async function askOnce(
  deps: TradingDeps,
  request: AskingRequest,
  wish: Omit<Wish, "id">,
): Promise<RequestView> {
  const caller = callerOf(request);
  const intended = {
    userId: caller.userId,
    key: request.headers["idempotency-key"],
    path: `POST /api/bots/${wish.botId}/requests`,
    body: wish,
    newId: randomUUID(),
    answer: RequestView,
  };
  return once(deps.pool, intended, (id) => ask(deps, caller, { ...wish, id }));
}

function accepted(reply: FastifyReply, view: RequestView) {
  return reply
    .code(202)
    .header("location", `/api/bots/${view.botId}/requests/${view.id}`)
    .send(view);
}
