import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient } from "./client.ts";
import { isAlreadyExists, isConflict } from "./kubernetes-error.ts";
import { createReflector } from "./reflector.ts";
import { type Lease, LEASES } from "./resource.ts";

export interface ElectionTiming {
  /** Others take over when the lease has not changed for this long. */
  readonly leaseDurationMs: number;
  /** A leader whose last renewal is older stops writing: shorter than the lease by more than a request's way to the server. */
  readonly renewDeadlineMs: number;
  readonly renewMs: number;
  /** After a renewal or an attempt to acquire that failed. */
  readonly retryMs: number;
}

export interface ElectionOptions {
  /** Must not be guarded by this election, and should share no connections with the writes that it is to allow. */
  readonly client: Pick<KubeClient, "get" | "create" | "patch" | "pages" | "watch" | "guarded">;
  readonly namespace: string;
  readonly name: string;
  /** Differs between any two processes that ever run. */
  readonly identity: string;
  readonly timing?: ElectionTiming;
  readonly onError: (error: unknown) => void;
  /** Told whenever the lease is seen in another state than before, a renewal included. */
  readonly onSeen?: (lease: { readonly holder: string; readonly transitions: number }) => void;
  readonly clocks?: Clocks;
}

/** Milliseconds on the machine's two clocks: one never jumps, but stands still while the machine is suspended; the other is set. */
export interface Clocks {
  readonly monotonic: () => number;
  readonly wall: () => number;
}

const CLOCKS: Clocks = { monotonic: () => performance.now(), wall: () => Date.now() };

const TIMING: ElectionTiming = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  renewMs: 5_000,
  retryMs: 2_000,
};

/** While it lasts this process is the only one that acts. */
export interface Leadership {
  /** Ask directly before each write: true only within the renew deadline, even after the event loop was blocked. */
  readonly holds: () => boolean;
  /** Aborted when leadership is lost or released. */
  readonly signal: AbortSignal;
  /** Stops renewing and frees the lease, so that a standby need not wait for its end. */
  readonly release: () => Promise<void>;
}

/**
 * Waits until this process holds the Lease; at rest a watch is all that it costs. The clocks of two machines need not agree: a holder
 * counts from *before* its renewal was sent, a candidate from *after* it saw the lease change. A candidate believes the monotonic clock,
 * which never goes too fast; a holder believes whichever of its clocks has gone further, because the monotonic one stands still while a
 * machine is suspended. Renewals come from the event loop that does the work, on purpose: a process whose loop is blocked must lose.
 * @throws the signal's reason when it is aborted first.
 */
export async function becomeLeader(
  options: ElectionOptions,
  signal: AbortSignal,
): Promise<Leadership> {
  const { retryMs } = options.timing ?? TIMING;
  const clocks = options.clocks ?? CLOCKS;
  const sight = watchLease(options, clocks.monotonic);
  try {
    await sight.synced(signal);
    for (;;) {
      await sight.untilFree(signal);
      const acquiredAt = moment(clocks);
      try {
        const version = await tryAcquire(leaseStore(options), sight);
        if (version !== undefined) return lead(options, clocks, { acquiredAt, version });
      } catch (error) {
        options.onError(error);
        await sleep(retryMs, undefined, { signal });
      }
    }
  } finally {
    await sight.stop();
  }
}

/** The resource version of the lease when it is ours now. */
async function tryAcquire(lease: LeaseStore, sight: LeaseSight): Promise<string | undefined> {
  try {
    const taken = await lease.take(sight.lease());
    sight.note(taken);
    return versionOf(taken);
  } catch (error) {
    if (!isConflict(error) && !isAlreadyExists(error)) throw error;
    sight.note(await lease.read()); // somebody was faster, or the watch lags behind
    return undefined;
  }
}

/** What a candidate sees of the lease, and since when. */
function watchLease(options: ElectionOptions, clock: () => number) {
  let seen: { readonly lease: Lease; readonly at: number } | undefined;
  let changed = new AbortController();
  const reflector = createReflector<Lease, Lease>({
    client: options.client,
    resource: LEASES,
    namespace: options.namespace,
    fieldSelector: `metadata.name=${options.name}`,
    project: (lease) => lease,
    handlers: { onUpsert: note, onDelete: () => note(undefined) },
    onRestart: (reason, error) => {
      if (reason !== "closed") options.onError(error);
    },
  });
  reflector.start();

  function note(lease: Lease | undefined): void {
    if (lease === undefined) seen = undefined;
    else if (seen === undefined || versionOf(seen.lease) !== versionOf(lease)) {
      seen = { lease, at: clock() };
      const { holderIdentity, leaseTransitions } = lease.spec ?? {};
      options.onSeen?.({ holder: holderIdentity ?? "", transitions: leaseTransitions ?? 0 });
    }
    changed.abort();
    changed = new AbortController();
  }

  /** How long the lease is still another's, as far as is known. */
  function remainingMs(): number {
    const { holderIdentity, leaseDurationSeconds } = seen?.lease.spec ?? {};
    if (seen === undefined || (holderIdentity ?? "") === "") return 0;
    return seen.at + (leaseDurationSeconds ?? 0) * 1_000 - clock();
  }

  /** Resolves when the lease is not there, was released, or has not changed for as long as it lasts. */
  async function untilFree(signal: AbortSignal): Promise<void> {
    for (let waitMs = remainingMs(); waitMs > 0; waitMs = remainingMs()) {
      const either = AbortSignal.any([signal, changed.signal]);
      await sleep(Math.ceil(waitMs), undefined, { signal: either }).catch(() => {});
      signal.throwIfAborted();
    }
  }

  async function synced(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    await Promise.race([reflector.synced, aborted.promise]).finally(() =>
      signal.removeEventListener("abort", abort),
    );
  }

  return { lease: () => seen?.lease, note, untilFree, synced, stop: reflector.stop };
}
type LeaseSight = ReturnType<typeof watchLease>;

/** One moment on both clocks. */
interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

function moment({ monotonic, wall }: Clocks): Moment {
  return { monotonicMs: monotonic(), wallMs: wall() };
}

/** By the clock that has gone further. */
function elapsedMs(since: Moment, clocks: Clocks): number {
  const { monotonicMs, wallMs } = moment(clocks);
  return Math.max(monotonicMs - since.monotonicMs, wallMs - since.wallMs);
}

function lead(
  options: ElectionOptions,
  clocks: Clocks,
  start: { readonly acquiredAt: Moment; readonly version: string },
): Leadership {
  const { renewDeadlineMs, renewMs, retryMs } = options.timing ?? TIMING;
  let renewedAt = start.acquiredAt;
  let version = start.version;
  /** When the first renewal was sent whose outcome is unknown. */
  let unansweredSince: Moment | undefined;
  const lost = new AbortController();
  const remainingMs = () => renewDeadlineMs - elapsedMs(renewedAt, clocks);
  const holds = () => !lost.signal.aborted && remainingMs() > 0;
  // A renewal that could not be sent in time is not sent at all.
  const client = options.client.guarded({ mayWrite: () => remainingMs() > 0 });
  const lease = leaseStore({ ...options, client });
  const renewing = keepRenewing();

  async function keepRenewing(): Promise<void> {
    for (let pauseMs = renewMs; holds();) {
      const waitMs = Math.max(0, Math.min(pauseMs, remainingMs()));
      await sleep(Math.ceil(waitMs), undefined, { signal: lost.signal }).catch(() => {});
      if (!holds()) break;
      const startedAt = moment(clocks);
      const outcome = await renew(startedAt);
      if (outcome === "taken") break;
      pauseMs =
        outcome === "renewed" ? renewMs : Math.max(0, retryMs - elapsedMs(startedAt, clocks));
    }
    lost.abort();
  }

  /** One attempt is short, so that a connection that died in silence does not use up all the time there is. */
  async function renew(startedAt: Moment): Promise<"renewed" | "failed" | "taken"> {
    const attemptMs = Math.min(retryMs, remainingMs());
    try {
      version = await within(attemptMs, lease.renew(version));
      renewedAt = startedAt;
      unansweredSince = undefined;
      return "renewed";
    } catch (error) {
      options.onError(error);
      if (!isConflict(error)) {
        unansweredSince ??= startedAt;
        return "failed";
      }
    }
    // Somebody has written it: perhaps this process, when the answer to a renewal was lost. Then it was written after it was sent.
    try {
      const current = await within(Math.min(retryMs, remainingMs()), lease.read());
      if (current?.spec?.holderIdentity !== options.identity) return "taken";
      version = versionOf(current);
      renewedAt = unansweredSince ?? renewedAt;
      unansweredSince = undefined;
    } catch (error) {
      options.onError(error);
    }
    return "failed";
  }

  async function release(): Promise<void> {
    const wasHeld = holds();
    lost.abort();
    await renewing;
    if (wasHeld) await freeOwn(options, version).catch(options.onError);
  }

  return { holds, signal: lost.signal, release };
}

/** The version is not the last one when the answer to a renewal was lost. */
async function freeOwn(options: ElectionOptions, version: string): Promise<void> {
  const lease = leaseStore(options);
  try {
    await lease.free(version);
  } catch (error) {
    if (!isConflict(error)) throw error;
    const current = await lease.read();
    const isOwn = current?.spec?.holderIdentity === options.identity;
    if (isOwn) await lease.free(versionOf(current));
  }
}

/** An answer that comes after the deadline is of no use; waiting for it would only delay the news. */
async function within<T>(deadlineMs: number, answer: Promise<T>): Promise<T> {
  const answered = new AbortController();
  const expiry = sleep(deadlineMs, undefined, { signal: answered.signal }).then(() => {
    throw new Error("the lease could not be renewed in time");
  });
  return Promise.race([answer, expiry]).finally(() => answered.abort());
}

/** The Lease object; every write names the version it changes, so of two writers one fails. */
function leaseStore(options: ElectionOptions) {
  const { client, namespace, name, identity, timing = TIMING } = options;
  const key = { namespace, name };
  const leaseDurationSeconds = Math.ceil(timing.leaseDurationMs / 1_000);
  const held = () => ({
    holderIdentity: identity,
    leaseDurationSeconds,
    renewTime: microTime(new Date()),
  });

  function write(resourceVersion: string, spec: object): Promise<Lease> {
    const body = { metadata: { resourceVersion }, spec };
    return client.patch(LEASES, key, { type: "merge", body });
  }

  /** Takes the lease as it was seen, or makes it. */
  async function take(seen: Lease | undefined): Promise<Lease> {
    const acquireTime = microTime(new Date());
    const leaseTransitions = seen === undefined ? 0 : (seen.spec?.leaseTransitions ?? 0) + 1;
    const spec = { ...held(), acquireTime, leaseTransitions };
    if (seen !== undefined) return write(versionOf(seen), spec);
    const { apiVersion, kind } = LEASES;
    return client.create(LEASES, { apiVersion, kind, metadata: key, spec });
  }

  return {
    read: () => client.get(LEASES, key),
    take,
    renew: async (version: string) => versionOf(await write(version, held())),
    free: (version: string) =>
      write(version, { ...held(), holderIdentity: "", leaseDurationSeconds: 1 }),
  };
}
type LeaseStore = ReturnType<typeof leaseStore>;

function versionOf(lease: Lease): string {
  const version = lease.metadata?.resourceVersion;
  if (version === undefined) throw new Error("a Lease without resourceVersion");
  return version;
}

/** MicroTime has six digits. */
function microTime(time: Date): string {
  return time.toISOString().replace("Z", "000Z");
}
