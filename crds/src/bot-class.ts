import * as z from "zod";
import { Conditions, Exchange, Mode, Timestamp } from "./fields.ts";
import { defineKind, rule, rules } from "./kind.ts";

/** A Kubernetes quantity such as 50m or 96Mi. */
const Quantity = z
  .string()
  .max(16)
  .regex(/^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$/);

const ResourceList = z.object({ cpu: Quantity.optional(), memory: Quantity.optional() });

const Image = z.string().min(1).max(255);

const Placement = z.object({
  nodeSelector: z.record(z.string(), z.string().max(63)).optional(),
  runtimeClassName: z.string().max(63).optional(),
  priorityClassName: z.string().max(63).optional(),
});

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

const Endpoints = z
  .array(EndpointOverride)
  .max(8)
  .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["exchange"] });

/** What a class decides about the pods of its bots; a change of it is rolled out in waves. */
const PodTemplate = z.object({
  image: Image,
  resources: z.object({ requests: ResourceList, limits: ResourceList }),
  placement: Placement.optional(),
  endpoints: Endpoints.optional(),
});
export type PodTemplate = z.infer<typeof PodTemplate>;

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
  maxUnavailablePercent: z
    .int()
    .min(1)
    .max(100)
    .default(10)
    .describe("Share of the class's bots that may be on their way to another pod at a time."),
  soakSeconds: z
    .int()
    .min(0)
    .max(86_400)
    .default(60)
    .describe("How long a wave must run well before the next one begins."),
  failureBudgetPercent: z
    .int()
    .min(0)
    .max(100)
    .default(5)
    .describe(
      "When this share of the bots fails, at least one, the class goes back to its last good image. No wave is greater.",
    ),
  deferWhilePositionOpen: z
    .boolean()
    .default(true)
    .describe(
      "A bot whose turn has come keeps its pod while its position is open, for an hour at most.",
    ),
  paused: z
    .boolean()
    .default(false)
    .describe("No further wave begins. Bots that fail on the new image go back all the same."),
});

/** Slots are the first 32 bits of a hash of a bot's uid: this one lies beyond the last. */
export const SLOTS = 2 ** 32;

/** All that is known about a rollout: an operator that takes over goes on from here. */
const RolloutStatus = z.object({
  stable: PodTemplate.describe(
    "The last template that was rolled out to its end: what fails goes back to it.",
  ),
  target: PodTemplate.optional().describe("The template that is being rolled out or taken back."),
  direction: z.enum(["Forward", "Back"]).optional(),
  reach: z
    .int()
    .min(0)
    .max(SLOTS)
    .optional()
    .describe("Bots whose slot lies below it have the target: the waves move it."),
  wave: z.int().min(0).optional(),
  waveStartedAt: Timestamp.optional(),
  settledAt: Timestamp.optional().describe("When the wave's last bot was done: the soak begins."),
  rejected: z
    .object({ template: PodTemplate, because: z.string().max(512) })
    .optional()
    .describe("The template that failed; as long as the specification asks for it, nothing moves."),
  bots: z.int().min(0).optional().describe("Bots that have a pod or get one."),
  updated: z.int().min(0).optional().describe("Bots that are ready with what they shall have."),
  moving: z.int().min(0).optional().describe("Bots whose next pod is not ready yet."),
  deferred: z.int().min(0).optional().describe("Bots that wait for their position to close."),
  failed: z.int().min(0).optional(),
});
export type RolloutStatus = z.infer<typeof RolloutStatus>;

const spec = z
  .object({
    image: Image.describe("Image of bot and verify pods."),
    resources: z
      .object({
        requests: ResourceList.prefault({ cpu: "10m", memory: "96Mi" }),
        limits: ResourceList.prefault({ memory: "192Mi" }),
      })
      .prefault({}),
    placement: Placement.optional(),
    ceilings: Ceilings.prefault({}),
    endpoints: Endpoints.optional().describe(
      "Addresses of exchanges instead of their public ones. A change comes in waves, to each bot when nothing is open.",
    ),
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
  rollout: RolloutStatus.optional(),
});

export const BotClass = defineKind({
  kind: "BotClass",
  plural: "botclasses",
  singular: "botclass",
  shortNames: ["bc"],
  scope: "Cluster",
  columns: [
    { name: "Image", type: "string", jsonPath: ".spec.image" },
    {
      name: "Rollout",
      type: "string",
      jsonPath: '.status.conditions[?(@.type=="Progressing")].reason',
    },
    { name: "Bots-Per-User", type: "integer", jsonPath: ".spec.ceilings.botsPerUser" },
    { name: "Leverage", type: "integer", jsonPath: ".spec.ceilings.leverage" },
    { name: "Modes", type: "string", jsonPath: ".spec.ceilings.modes" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
    {
      name: "Last-Good",
      type: "string",
      jsonPath: ".status.rollout.stable.image",
      priority: 1,
    },
    // Counted while a rollout is under way, and empty at rest.
    { name: "Of-Bots", type: "integer", jsonPath: ".status.rollout.bots", priority: 1 },
    { name: "Updated", type: "integer", jsonPath: ".status.rollout.updated", priority: 1 },
    { name: "Failed", type: "integer", jsonPath: ".status.rollout.failed", priority: 1 },
    { name: "Deferred", type: "integer", jsonPath: ".status.rollout.deferred", priority: 1 },
    {
      name: "Message",
      type: "string",
      jsonPath: '.status.conditions[?(@.type=="Progressing")].message',
      priority: 1,
    },
  ],
  spec,
  status,
  rules: [
    // Pods may have the images that the status names: whoever writes statuses must not be able to choose one.
    rule(
      "[self.?status.?rollout.?stable.?image, self.?status.?rollout.?target.?image].all(i, !i.hasValue() || i.value() == self.spec.image || i == oldSelf.?status.?rollout.?stable.?image || i == oldSelf.?status.?rollout.?target.?image)",
      "status.rollout names images that the specification asks for, or did when the status was written before",
    ),
  ],
});
export type BotClass = z.infer<typeof BotClass.schema>;
