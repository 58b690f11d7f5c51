import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient } from "./client.ts";
import { isAlreadyExists, isConflict } from "./kubernetes-error.ts";
import { type Lease, LEASES } from "./resource.ts";

export interface ElectionTiming {
  /** Others take over when the lease has not changed for this long. */
  readonly leaseDurationMs: number;
  /** A leader whose last renewal is older stops writing: shorter than the lease by more than a request's way to the server. */
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
}

export interface ElectionOptions {
  /** Must not be guarded by this election. */
  readonly client: Pick<KubeClient, "get" | "create" | "patch">;
  readonly namespace: string;
  readonly name: string;
  /** Differs between any two processes that ever run. */
  readonly identity: string;
  readonly timing?: ElectionTiming;
  readonly onError: (error: unknown) => void;
  /** Milliseconds on a clock that never jumps. */
  readonly clock?: () => number;
}

const TIMING: ElectionTiming = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };

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
 * Waits until this process holds the Lease. Time is measured on this machine's monotonic clock only: a holder counts from
 * *before* its renewal was sent, a candidate from *after* it saw the lease change, so their clocks need not agree.
 * @throws the signal's reason when it is aborted first.
 */
export async function becomeLeader(
  options: ElectionOptions,
  signal: AbortSignal,
): Promise<Leadership> {
  const { retryMs } = options.timing ?? TIMING;
  const clock = options.clock ?? (() => performance.now());
  const lease = leaseStore(options);
  const candidacy = createCandidacy(lease, clock);
  for (;;) {
    signal.throwIfAborted();
    const acquiredAt = clock();
    try {
      const version = await candidacy.tryAcquire();
      if (version !== undefined) return lead({ options, lease, clock }, { acquiredAt, version });
    } catch (error) {
      if (!isConflict(error) && !isAlreadyExists(error)) options.onError(error);
    }
    await sleep(retryMs, undefined, { signal });
  }
}

/** Takes a lease that is free or has not changed for as long as it lasts. */
function createCandidacy(lease: LeaseStore, clock: () => number) {
  let seen: { readonly version: string; readonly at: number } | undefined;

  /** The resource version of the lease when it is ours now. */
  async function tryAcquire(): Promise<string | undefined> {
    const current = await lease.read();
    if (current === undefined) return lease.create();
    const version = versionOf(current);
    if (seen?.version !== version) seen = { version, at: clock() };
    const lastsMs = (current.spec?.leaseDurationSeconds ?? 0) * 1_000;
    const isFree = (current.spec?.holderIdentity ?? "") === "";
    if (!isFree && clock() - seen.at <= lastsMs) return undefined;
    return lease.take(version, (current.spec?.leaseTransitions ?? 0) + 1);
  }

  return { tryAcquire };
}

interface Reign {
  readonly options: ElectionOptions;
  readonly lease: LeaseStore;
  readonly clock: () => number;
}

function lead(
  { options, lease, clock }: Reign,
  start: { readonly acquiredAt: number; readonly version: string },
): Leadership {
  const { renewDeadlineMs, retryMs } = options.timing ?? TIMING;
  let renewedAt = start.acquiredAt;
  let version = start.version;
  const lost = new AbortController();
  const holds = () => !lost.signal.aborted && clock() - renewedAt < renewDeadlineMs;
  const renewing = keepRenewing();

  async function keepRenewing(): Promise<void> {
    while (holds()) {
      await sleep(retryMs, undefined, { signal: lost.signal }).catch(() => {});
      if (!holds()) break;
      const startedAt = clock();
      try {
        const deadlineMs = renewedAt + renewDeadlineMs - startedAt;
        version = await within(deadlineMs, lease.renew(version));
        renewedAt = startedAt;
      } catch (error) {
        options.onError(error);
        if (isConflict(error)) break; // somebody else wrote it: it is not ours any more
      }
    }
    lost.abort();
  }

  async function release(): Promise<void> {
    const wasHeld = holds();
    lost.abort();
    await renewing;
    if (wasHeld) await lease.free(version).catch(options.onError);
  }

  return { holds, signal: lost.signal, release };
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
function leaseStore({ client, namespace, name, identity, timing = TIMING }: ElectionOptions) {
  const key = { namespace, name };
  const leaseDurationSeconds = Math.ceil(timing.leaseDurationMs / 1_000);
  const held = () => ({
    holderIdentity: identity,
    leaseDurationSeconds,
    renewTime: microTime(new Date()),
  });

  async function write(resourceVersion: string, spec: object): Promise<string> {
    const body = { metadata: { resourceVersion }, spec };
    return versionOf(await client.patch(LEASES, key, { type: "merge", body }));
  }

  async function create(): Promise<string> {
    const spec = { ...held(), acquireTime: microTime(new Date()), leaseTransitions: 0 };
    const { apiVersion, kind } = LEASES;
    return versionOf(await client.create(LEASES, { apiVersion, kind, metadata: key, spec }));
  }

  return {
    read: () => client.get(LEASES, key),
    create,
    take: (version: string, leaseTransitions: number) =>
      write(version, { ...held(), acquireTime: microTime(new Date()), leaseTransitions }),
    renew: (version: string) => write(version, held()),
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
