import * as z from "zod";
import { Conditions, Exchange, Mode } from "./fields.ts";
import { defineKind, rule, rules } from "./kind.ts";

/** A Kubernetes quantity such as 50m or 96Mi. */
const Quantity = z
  .string()
  .max(16)
  .regex(/^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$/);

const ResourceList = z.object({ cpu: Quantity.optional(), memory: Quantity.optional() });

/** Where the bots of a class reach an exchange instead of its public address: testnets and the simulator. */
const EndpointOverride = z.object({
  exchange: Exchange,
  restUrl: z
    .string()
    .max(255)
    .regex(/^https?:\/\//),
  websocketUrl: z
    .string()
    .max(255)
    .regex(/^wss?:\/\//),
});
export type EndpointOverride = z.infer<typeof EndpointOverride>;

/** The most that a bot of the class may ask for. */
const Ceilings = z.object({
  botsPerUser: z.int().min(0).max(1000).default(3),
  modes: z
    .array(Mode)
    .max(3)
    .default(["paper", "testnet", "live"])
    .meta({ "x-kubernetes-list-type": "set" }),
  exchanges: z
    .array(Exchange)
    .max(5)
    .default(["bybit", "binance", "kraken", "coinbase", "alpaca"])
    .meta({ "x-kubernetes-list-type": "set" }),
  leverage: z.int().min(1).max(100).default(10),
  positionPercent: z.number().min(2).max(10).default(5),
  dailyLossPercent: z.number().min(0.1).max(100).default(5),
});
export type Ceilings = z.infer<typeof Ceilings>;

const Rollout = z.object({
  maxUnavailablePercent: z.int().min(1).max(100).default(10),
  soakSeconds: z.int().min(0).max(86_400).default(60),
  failureBudgetPercent: z.int().min(0).max(100).default(5),
  deferWhilePositionOpen: z.boolean().default(true),
  paused: z.boolean().default(false),
});

const spec = z
  .object({
    image: z.string().min(1).max(255).describe("Image of bot and verify pods."),
    resources: z
      .object({
        requests: ResourceList.prefault({ cpu: "10m", memory: "96Mi" }),
        limits: ResourceList.prefault({ memory: "192Mi" }),
      })
      .prefault({}),
    placement: z
      .object({
        nodeSelector: z.record(z.string(), z.string().max(63)).optional(),
        runtimeClassName: z.string().max(63).optional(),
        priorityClassName: z.string().max(63).optional(),
      })
      .optional(),
    ceilings: Ceilings.prefault({}),
    endpoints: z
      .array(EndpointOverride)
      .max(8)
      .optional()
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["exchange"] }),
    rollout: Rollout.prefault({}),
  })
  .meta(
    rules(
      rule(
        "!has(self.resources.limits.cpu) || has(self.resources.requests.cpu)",
        "resources.limits.cpu needs resources.requests.cpu beside it",
      ),
    ),
  );

const status = z.object({
  observedGeneration: z.int().min(0).optional(),
  conditions: Conditions.optional(),
});

export const BotClass = defineKind({
  kind: "BotClass",
  plural: "botclasses",
  singular: "botclass",
  shortNames: ["bc"],
  scope: "Cluster",
  columns: [
    { name: "Image", type: "string", jsonPath: ".spec.image" },
    { name: "Bots-Per-User", type: "integer", jsonPath: ".spec.ceilings.botsPerUser" },
    { name: "Leverage", type: "integer", jsonPath: ".spec.ceilings.leverage" },
    { name: "Modes", type: "string", jsonPath: ".spec.ceilings.modes" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
  spec,
  status,
});
export type BotClass = z.infer<typeof BotClass.schema>;
