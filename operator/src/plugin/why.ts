import { type Condition, TradingBot, TradingHalt } from "@tradingbots/crds";
import { z } from "zod";
import { concerns, isInForce } from "../halt/scope.ts";
import { haltView } from "../halt/halt-view.ts";
import type { Kubectl } from "./kubectl.ts";
import { ageOf, table } from "./table.ts";

const Pod = z.object({
  spec: z.object({ nodeName: z.string().optional() }),
  status: z.object({
    phase: z.string().optional(),
    startTime: z.string().optional(),
    containerStatuses: z.array(z.object({ restartCount: z.int() })).default([]),
  }),
});
const Event = z.object({
  reason: z.string(),
  note: z.string().default(""),
  eventTime: z.string().nullable(),
  deprecatedLastTimestamp: z.string().nullish(),
  metadata: z.object({ creationTimestamp: z.string() }),
});
const EVENTS_SHOWN = 8;

interface Story {
  readonly bot: z.infer<typeof TradingBot.schema>;
  readonly pods: readonly z.infer<typeof Pod>[];
  readonly events: readonly z.infer<typeof Event>[];
  readonly halts: readonly z.infer<typeof TradingHalt.schema>[];
}

/** Why a bot is as it is: conditions, pod, halts and Events, the newest last. @throws Error when there is no such bot */
export async function why(kubectl: Kubectl, name: string, now: Date): Promise<string> {
  const named = ["--field-selector", `metadata.name=${name}`];
  const [bot] = await kubectl.list(TradingBot.schema, "tradingbots", "-A", ...named);
  if (bot === undefined) throw new Error(`there is no bot ${name}`);
  const at = ["-n", bot.metadata.namespace ?? ""];
  const regarding = ["--field-selector", `regarding.name=${name}`];
  const [pods, events, halts] = await Promise.all([
    kubectl.list(Pod, "pods", ...at, ...named),
    kubectl.list(Event, "events.events.k8s.io", ...at, ...regarding),
    kubectl.list(TradingHalt.schema, "tradinghalts"),
  ]);
  return tell({ bot, pods, events, halts }, now);
}

function tell({ bot, pods, events, halts }: Story, now: Date): string {
  const { metadata, spec, status = {} } = bot;
  const account = spec.accountName === undefined ? "" : `, account ${spec.accountName}`;
  return [
    `${metadata.namespace}/${metadata.name}: ${spec.mode} on ${spec.exchange}, ${spec.symbols.join(" ")}, class ${spec.className}${account}`,
    `Wanted: ${metadata.deletionTimestamp === undefined ? spec.state : "its end (it is being deleted)"}. Position: ${status.summary?.position ?? "never reported"}.`,
    "",
    table((status.conditions ?? []).toSorted(byTime).map((each) => conditionRow(each, now))),
    ...pods.map((pod) => `\nPod ${pod.status.phase} ${podWords(pod, now)}`),
    ...(pods.length === 0 ? ["\nNo pod."] : []),
    ...haltLines(bot, halts, now),
    ...eventLines(events, now),
  ].join("\n");
}

const byTime = (a: Condition, b: Condition) =>
  Date.parse(a.lastTransitionTime) - Date.parse(b.lastTransitionTime);

function conditionRow(condition: Condition, now: Date): readonly string[] {
  const { type, status, reason, message, lastTransitionTime } = condition;
  return [type, status, reason, ageOf(lastTransitionTime, now), message];
}

function podWords({ spec, status }: z.infer<typeof Pod>, now: Date): string {
  const restarts = status.containerStatuses[0]?.restartCount ?? 0;
  const since = status.startTime === undefined ? "" : ` for ${ageOf(status.startTime, now)}`;
  return `on ${spec.nodeName ?? "no machine yet"}${since}, restarted ${restarts} times`;
}

function haltLines({ metadata, spec }: Story["bot"], halts: Story["halts"], now: Date) {
  return halts
    .map(haltView)
    .filter((halt) => isInForce(halt, now) && concerns(halt, { name: metadata.name, spec }))
    .map((halt) => `\nHalt ${halt.name}: ${halt.spec.action} (${halt.spec.reason})`);
}

const timeOf = ({ eventTime, deprecatedLastTimestamp, metadata }: z.infer<typeof Event>) =>
  eventTime ?? deprecatedLastTimestamp ?? metadata.creationTimestamp;

/** A process that is not listening yet is asked for its health: so it is at every start. */
function isOfStarting({ reason, note }: z.infer<typeof Event>): boolean {
  return reason === "Unhealthy" && note.includes("connection refused");
}

function eventLines(events: Story["events"], now: Date): readonly string[] {
  const newest = events
    .filter((event) => !isOfStarting(event))
    .toSorted((a, b) => Date.parse(timeOf(a)) - Date.parse(timeOf(b)))
    .slice(-EVENTS_SHOWN);
  if (newest.length === 0) return [];
  return [
    "\nEvents",
    table(newest.map((each) => [ageOf(timeOf(each), now), each.reason, each.note])),
  ];
}
