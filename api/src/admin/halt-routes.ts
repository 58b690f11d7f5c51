import { DnsLabel, HaltAction, type TradingHalt } from "@tradingbots/crds";
import type { FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { newId } from "../id.ts";
import { listOf } from "../page.ts";
import { FAILURE } from "../problem.ts";
import { administratorOf, forRole } from "./administrator.ts";
import {
  type Actor,
  approveLift,
  createHalt,
  type HaltDeps,
  liftHalt,
  requireHalt,
} from "./halts.ts";

const tags = ["admin"];
const HaltParams = z.object({ id: DnsLabel });

const Scope = z.strictObject({
  type: z.enum(["all", "user", "bot", "exchange", "symbol"]),
  value: z.string().min(1).max(64).optional().describe("Absent for all."),
});

const NewHalt = z
  .strictObject({
    scope: Scope,
    action: HaltAction,
    reason: z.string().trim().min(1).max(256),
    expiresAt: z.iso.datetime().optional().describe("For BlockEntries only."),
  })
  .meta({
    examples: [
      {
        scope: { type: "symbol", value: "BTC/USDT:USDT" },
        action: "BlockEntries",
        reason: "prices of the exchange are wrong",
        expiresAt: "2026-01-01T18:00:00.000Z",
      },
    ],
  });

const HALT_EXAMPLE = {
  id: "halt-7r2t5y8u1i4o6p9a3s0d",
  scope: { type: "symbol", value: "BTC/USDT:USDT" },
  action: "BlockEntries",
  reason: "prices of the exchange are wrong",
  expiresAt: "2026-01-01T18:00:00.000Z",
  lifted: false,
  matched: 120,
  acknowledged: 120,
  finished: 120,
  laggards: [],
  createdAt: "2026-01-01T12:00:00Z",
};
const HaltView = z
  .object({
    id: z.string(),
    scope: z.object({ type: z.string(), value: z.string().nullable() }),
    action: HaltAction,
    reason: z.string(),
    expiresAt: z.string().nullable(),
    lifted: z.boolean(),
    matched: z.int().nullable().describe("Bots that it concerns; null: not counted yet."),
    acknowledged: z.int().nullable(),
    finished: z.int().nullable(),
    laggards: z.array(z.string()),
    createdAt: z.string(),
  })
  .meta({ id: "Halt", examples: [HALT_EXAMPLE] });

const Lifting = z
  .object({
    halt: HaltView,
    approvableUntil: z.iso
      .datetime()
      .nullable()
      .describe("Not lifted yet: until then somebody else can approve."),
  })
  .meta({ examples: [{ halt: { ...HALT_EXAMPLE, lifted: true }, approvableUntil: null }] });

const SCHEMAS = {
  list: {
    ...forRole("viewer"),
    tags,
    summary: "All halts, the newest first",
    response: { 200: listOf(HaltView), ...FAILURE },
  },
  read: {
    ...forRole("viewer"),
    tags,
    summary: "One halt",
    params: HaltParams,
    response: { 200: HaltView, ...FAILURE },
  },
  create: {
    ...forRole("operator"),
    tags,
    summary: "Stop bots: of all, of a user, of an exchange…",
    body: NewHalt,
    response: { 201: HaltView, ...FAILURE },
  },
  lift: {
    ...forRole("operator"),
    tags,
    summary:
      "Let bots trade again; for the scopes all and exchange it asks another operator to approve",
    params: HaltParams,
    response: { 200: Lifting, 202: Lifting, ...FAILURE },
  },
  approve: {
    ...forRole("operator"),
    tags,
    summary: "Approve what another operator asked for in the last 15 minutes",
    params: HaltParams,
    response: { 200: HaltView, ...FAILURE },
  },
} as const;

/** /api/admin/halts: the kill switch for those who have no kubectl. */
export function adminHaltRoutes(deps: HaltDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.get("", { schema: SCHEMAS.list }, async () => {
      const halts = await deps.kube.halts.list();
      return { items: halts.map(haltView).toSorted(byAge) };
    });

    app.get("/:id", { schema: SCHEMAS.read }, async ({ params }) =>
      haltView(await requireHalt(deps, params.id)),
    );

    app.post("", { schema: SCHEMAS.create }, async (request, reply) => {
      const { expiresAt, ...wanted } = request.body;
      const halt = await createHalt(deps, actorOf(request), {
        ...wanted,
        name: newId("halt"),
        ...(expiresAt === undefined ? {} : { expiresAt }),
      });
      return reply.code(201).send(haltView(halt));
    });

    app.post("/:id/lift", { schema: SCHEMAS.lift }, async (request, reply) => {
      const { halt, approvableUntil } = await liftHalt(deps, actorOf(request), request.params.id);
      const view = {
        halt: haltView(halt),
        approvableUntil: approvableUntil?.toISOString() ?? null,
      };
      return reply.code(approvableUntil === undefined ? 200 : 202).send(view);
    });

    app.post("/:id/approve", { schema: SCHEMAS.approve }, async (request) =>
      haltView(await approveLift(deps, actorOf(request), request.params.id)),
    );
  };
}

function actorOf(request: FastifyRequest): Actor {
  return { ...administratorOf(request), address: request.ip, requestId: request.id };
}

function byAge(a: z.infer<typeof HaltView>, b: z.infer<typeof HaltView>): number {
  return b.createdAt.localeCompare(a.createdAt) || a.id.localeCompare(b.id);
}

function haltView({ metadata, spec, status }: TradingHalt): z.infer<typeof HaltView> {
  return {
    id: metadata.name,
    scope: { type: spec.scope.type, value: spec.scope.value ?? null },
    action: spec.action,
    reason: spec.reason,
    expiresAt: spec.expiresAt ?? null,
    lifted: spec.lifted,
    matched: status?.matched ?? null,
    acknowledged: status?.acknowledged ?? null,
    finished: status?.finished ?? null,
    laggards: status?.laggards ?? [],
    createdAt: metadata.creationTimestamp,
  };
}
