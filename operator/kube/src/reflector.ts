import { setTimeout as sleep } from "node:timers/promises";
import { type BackOff, backOffMs } from "./back-off.ts";
import type { KubeClient, Selection, WatchEvent } from "./client.ts";
import { jsonField } from "./json.ts";
import { isExpired, KubernetesError, retryAfterMs } from "./kubernetes-error.ts";
import { createMirror, type Fill, type Mirror, type MirrorOptions, positionOf } from "./mirror.ts";
import { createSlots } from "./slots.ts";
import { timeSlices } from "./time-slices.ts";

/** Why a watch began again. `closed` is the API server's ordinary way of ending one. */
export type RestartReason = "closed" | "stalled" | "expired" | "refused" | "disconnected";

export interface ReflectorTiming {
  /** The API server sends a bookmark about once a minute: this long without a line, the connection is dead. */
  readonly stallMs: number;
  /** Asked of the API server, times a random number from [1, 2), so that watches do not all end together. */
  readonly watchSeconds: number;
  readonly backOff: BackOff;
}

export interface ReflectorOptions<T, View> extends Selection, MirrorOptions<T, View> {
  readonly client: Pick<KubeClient, "pages" | "watch">;
  /** `stream` asks for the present state as watch events, and falls back to pages where the server refuses that. */
  readonly initial?: "stream" | "pages";
  readonly timing?: Partial<ReflectorTiming>;
  readonly onRestart?: (reason: RestartReason, error: unknown) => void;
  /** Told after each fill, the first or a repeated one: how long the state took to be read, and how many objects there are. */
  readonly onFilled?: (durationMs: number, objects: number) => void;
  readonly random?: () => number;
}

const TIMING: ReflectorTiming = {
  stallMs: 150_000,
  watchSeconds: 1_800, // 128 watches of 64 namespaces that are opened anew cost a request each
  backOff: { initialMs: 200, maxMs: 30_000 },
};
/**
 * A watch that lived this long and was answered was in order: the next trouble counts as the first. Whoever takes connections and says
 * nothing is asked ever more seldom.
 */
const HEALTHY_AFTER_MS = 5_000;
/** Reflectors of this process that read their present state at once: more are not faster, and each holds buffers. */
const fills = createSlots(4);

/**
 * Keeps a store equal to the objects at the API server: fills it, follows it by watch, goes on from the last resource
 * version after any interruption, and fills again only when the server has forgotten that version (410).
 */
export function createReflector<T, View>(options: ReflectorOptions<T, View>) {
  const { backOff } = { ...TIMING, ...options.timing };
  const random = options.random ?? Math.random;
  const stopping = new AbortController();
  const mirror = createMirror(options);
  const source = createSource(options, mirror);
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      const startedAt = performance.now();
      const end = await source.follow(stopping.signal);
      if (stopping.signal.aborted) return;
      const hasLasted = performance.now() - startedAt >= HEALTHY_AFTER_MS;
      failures = hasLasted && end.wasHeard ? 0 : failures + 1;
      options.onRestart?.(end.reason, end.error);
      if (failures > 0) await pause(failures, end.error);
    }
  }

  async function pause(failures: number, error: unknown): Promise<void> {
    const delayMs = retryAfterMs(error) * (1 + random()) + backOffMs(failures, backOff, random);
    await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => {});
  }

  return {
    start: () => void (running ??= run()),
    stop: async () => {
      stopping.abort();
      await running;
    },
    store: mirror.store,
    observe: mirror.observe,
    observeRemoval: mirror.observeRemoval,
    /** Resolves when the store has been filled for the first time. */
    synced: mirror.synced,
    hasSynced: mirror.hasSynced,
    /** The resource version up to which the store knows everything that happened. Never falls. */
    completeAsOf: mirror.completeAsOf,
    /** Milliseconds since the epoch of the last line of the watch, bookmarks included. */
    lastEventAt: source.lastEventAt,
  };
}
export type Reflector<T, View> = ReturnType<typeof createReflector<T, View>>;

interface End {
  readonly reason: RestartReason;
  readonly error?: unknown;
  /** The server has said something, be it that a watch without events is over. */
  readonly wasHeard: boolean;
}

/** One connection after the other to the API server's side; each ends with a reason and never throws. */
function createSource<T, View>(options: ReflectorOptions<T, View>, mirror: Mirror<T, View>) {
  const timing = { ...TIMING, ...options.timing };
  const random = options.random ?? Math.random;
  let initial = options.initial ?? "stream";
  let lastEventAt: number | undefined;

  async function follow(stopping: AbortSignal): Promise<End> {
    const filling =
      mirror.version() === undefined ? await turnToFill(stopping, options.onFilled) : undefined;
    const connection = new AbortController();
    const watchdog = setTimeout(() => connection.abort(), timing.stallMs);
    const signal = AbortSignal.any([connection.signal, stopping]);
    let wasHeard = false;
    const heard = () => {
      wasHeard = true;
      watchdog.refresh();
      lastEventAt = Date.now();
    };
    try {
      if (filling !== undefined && initial === "pages") {
        await fillFromPages(options, mirror, { signal, heard });
        filling.end(mirror.store.size());
      }
      await watch({ signal, heard, filling });
      return { reason: "closed", wasHeard: true };
    } catch (error) {
      const reason = connection.signal.aborted ? "stalled" : reasonOf(error);
      return { reason, error, wasHeard };
    } finally {
      clearTimeout(watchdog);
      connection.abort();
      filling?.giveUp();
    }
  }

  function reasonOf(error: unknown): RestartReason {
    if (isExpired(error)) {
      mirror.forgetVersion();
      return "expired";
    }
    if (!(error instanceof KubernetesError)) return "disconnected";
    const streamRefused = error.status === 422 || error.status === 400;
    if (streamRefused && mirror.version() === undefined) initial = "pages";
    return "refused";
  }

  async function watch({ signal, heard, filling }: Connection): Promise<void> {
    const from = mirror.version();
    let fill: Fill | undefined = from === undefined ? mirror.startFill() : undefined;
    const events = options.client.watch(options.resource, {
      ...options,
      ...(from === undefined ? { sendInitialEvents: true } : { resourceVersion: from }),
      timeoutSeconds: Math.round(timing.watchSeconds * (1 + random())),
      signal,
    });
    for await (const event of events) {
      heard();
      if (fill === undefined) takeOver(mirror, event);
      else if (endsInitialEvents(event)) {
        await fill.finish(positionOf(event.object).resourceVersion);
        fill = undefined;
        filling?.end(mirror.store.size());
      } else takeInto(fill, event);
      if (timeSlices.isOver()) await timeSlices.next();
    }
  }

  return { follow, lastEventAt: () => lastEventAt };
}

async function fillFromPages<T, View>(
  options: ReflectorOptions<T, View>,
  mirror: Mirror<T, View>,
  { signal, heard }: Connection,
): Promise<void> {
  const fill = mirror.startFill();
  let version = "0";
  for await (const page of options.client.pages(options.resource, { ...options, signal })) {
    for (const item of page.items) {
      if (timeSlices.isOver()) await timeSlices.next();
      fill.add(item);
    }
    version = page.resourceVersion;
    heard();
  }
  await fill.finish(version);
}

/** One of the few places of those who read their present state. */
interface Filling {
  readonly end: (objects: number) => void;
  readonly giveUp: () => void;
}

/** Waits for a place; undefined when the reflector is stopped first. */
async function turnToFill(
  stopping: AbortSignal,
  onFilled?: (durationMs: number, objects: number) => void,
): Promise<Filling | undefined> {
  try {
    await fills.acquire(stopping);
  } catch {
    return undefined;
  }
  const startedAt = performance.now();
  let isOver = false;
  const giveUp = () => {
    if (!isOver) fills.release();
    isOver = true;
  };
  const end = (objects: number) => {
    giveUp();
    onFilled?.(performance.now() - startedAt, objects);
  };
  return { end, giveUp };
}

interface Connection {
  readonly signal: AbortSignal;
  readonly heard: () => void;
  readonly filling?: Filling | undefined;
}

function takeOver<T, View>(mirror: Mirror<T, View>, { type, object }: WatchEvent): void {
  if (type === "DELETED") mirror.remove(object);
  else if (type !== "BOOKMARK") mirror.upsert(object, "watch");
  mirror.advance(positionOf(object).resourceVersion);
}

function takeInto(fill: Fill, { type, object }: WatchEvent): void {
  if (type === "DELETED") fill.remove(object);
  else if (type !== "BOOKMARK") fill.add(object);
}

function endsInitialEvents({ type, object }: WatchEvent): boolean {
  const annotations = jsonField(jsonField(object, "metadata"), "annotations");
  return type === "BOOKMARK" && jsonField(annotations, "k8s.io/initial-events-end") === "true";
}
