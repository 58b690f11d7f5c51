import { randomUUID } from "node:crypto";
import { API_VERSION } from "@tradingbots/crds";
import { EVENTS, type KubeClient } from "@tradingbots/kube";

interface Regarding {
  readonly kind: "TradingBot" | "ExchangeAccount";
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface Events {
  /** Tells of something that went wrong. Best effort: the condition says the same and stays. */
  warn(regarding: Regarding, reason: string, note: string): void;
}

export interface EventsOptions {
  readonly client: Pick<KubeClient, "create">;
  /** Pod name: who says it. */
  readonly instance: string;
  readonly onError: (error: unknown) => void;
  readonly now: () => Date;
}

/** What the API allows. */
const NOTE_MAX = 1_024;
/** The same words about the same object are not repeated for this long: a state that flaps tells it once. */
const REPEAT_AFTER_MS = 10 * 60_000;
const REMEMBERED_MAX = 10_000;

export function createEvents(options: EventsOptions): Events {
  const told = new Map<string, number>();

  function isRepetition(key: string): boolean {
    const now = options.now().getTime();
    const before = told.get(key);
    if (before !== undefined && now - before < REPEAT_AFTER_MS) return true;
    told.delete(key); // the newest go last, so that the oldest is forgotten first
    told.set(key, now);
    const oldest = told.keys().next().value;
    if (told.size > REMEMBERED_MAX && oldest !== undefined) told.delete(oldest);
    return false;
  }

  function warn(regarding: Regarding, reason: string, note: string): void {
    if (isRepetition(`${regarding.uid} ${reason}`)) return;
    const event = buildEvent(regarding, { reason, note }, options);
    options.client.create(EVENTS, event).catch(options.onError);
  }

  return { warn };
}

function buildEvent(
  regarding: Regarding,
  { reason, note }: { readonly reason: string; readonly note: string },
  { instance, now }: EventsOptions,
) {
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: {
      namespace: regarding.namespace,
      name: `${regarding.name}.${randomUUID().slice(0, 13)}`,
    },
    eventTime: now().toISOString().replace("Z", "000Z"),
    type: "Warning",
    reason,
    action: "Reconcile",
    note: note.slice(0, NOTE_MAX),
    regarding: { apiVersion: API_VERSION, ...regarding },
    reportingController: "tradingbots.dev/operator",
    reportingInstance: instance,
  };
}
