import { z } from "zod";
import { ApiError } from "../errors.ts";
import { createBcryptProcess } from "./bcrypt-process.ts";
import type { IsBreached } from "./breached-passwords.ts";

/** One per core of a small machine; cost 12 takes about 0.25 s of a core. */
const RUNNING_MAX = 2;
/** The last in the queue waits about 4 s; whoever comes then is told to come back. */
const WAITING_MAX = 32;
/** Whoever waits longer is sent away. A job that runs goes on: beside busy cores its process gets a tenth of one. */
const JOB_LIMIT_MS = 15_000;
/** A job that runs for so long hangs, and its process with it. */
const HANGS_AFTER_MS = 60_000;
const RETRY_AFTER_SECONDS = 5;

const PASSWORD_CHARACTERS_MIN = 12;
/** bcrypt ignores whatever follows. */
export const PASSWORD_BYTES_MAX = 72;
/** 22 of salt and 31 of hash, in bcrypt's own base 64. */
const SALT_AND_HASH_CHARACTERS = 53;

/** What people think of first here: guesses begin with it, and lists of breaches are of other places (OWASP ASVS 5 V6.2.11). */
const OBVIOUS =
  /trading|robots?|bots?|crypto|bitcoin|ethereum|bybit|binance|kraken|coinbase|alpaca|password|passphrase/gi;
/** That a password must have besides. */
const OWN_CHARACTERS_MIN = 6;

/** @throws ApiError `weak_password` */
export function assertAcceptable(password: string, isBreached: IsBreached): void {
  if (Array.from(password).length < PASSWORD_CHARACTERS_MIN) {
    throw new ApiError("weak_password", `use at least ${PASSWORD_CHARACTERS_MIN} characters`);
  }
  if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX) {
    throw new ApiError("weak_password", `use at most ${PASSWORD_BYTES_MAX} bytes`);
  }
  if (Array.from(password.replaceAll(OBVIOUS, "")).length < OWN_CHARACTERS_MIN) {
    throw new ApiError("weak_password", "others think of these words first: add some of your own");
  }
  if (isBreached(password)) {
    throw new ApiError("weak_password", "this password is known from breaches: use another one");
  }
}

const Answer = z.object({
  id: z.int(),
  result: z.union([z.string(), z.boolean()]).optional(),
  failure: z.string().optional(),
});

type Work =
  | { readonly type: "hash"; readonly password: string; readonly cost: number }
  | { readonly type: "compare"; readonly password: string; readonly hash: string };

interface Waiting {
  readonly work: Work;
  readonly resolve: (result: string | boolean) => void;
  readonly reject: (error: Error) => void;
  readonly patience: NodeJS.Timeout;
}

interface Running extends Waiting {
  readonly hangs: NodeJS.Timeout;
}

/**
 * Hashes and compares passwords in a child process with a bounded queue. What does not fit the queue, and what a dying
 * child was doing, fails with `login_overloaded`, and so does what takes too long.
 */
export function createPasswords({ cost }: { readonly cost: number }) {
  const waiting: Waiting[] = [];
  const running = new Map<number, Running>();
  const worker = createBcryptProcess({ onMessage: settle, onDeath: failRunning, onStart: pump });
  let lastId = 0;

  function settle(message: unknown): void {
    const { id, result, failure } = Answer.parse(message);
    const job = take(id);
    if (job === undefined) return;
    if (result === undefined) job.reject(new Error(`while ${job.work.type}: ${failure ?? ""}`));
    else job.resolve(result);
    pump();
  }

  function take(id: number): Running | undefined {
    const job = running.get(id);
    clearTimeout(job?.patience);
    clearTimeout(job?.hangs);
    running.delete(id);
    return job;
  }

  function failRunning(): void {
    for (const id of running.keys()) take(id)?.reject(overloaded());
  }

  function pump(): void {
    while (worker.isAlive() && running.size < RUNNING_MAX) {
      const job = waiting.shift();
      if (job === undefined) return;
      const id = ++lastId;
      running.set(id, { ...job, hangs: setTimeout(worker.kill, HANGS_AFTER_MS) });
      worker.send({ id, ...job.work });
    }
  }

  function assertRoom(): void {
    if (waiting.length >= WAITING_MAX) throw overloaded();
  }

  async function run(work: Work): Promise<string | boolean> {
    assertRoom();
    return new Promise((resolve, reject) => {
      const patience = setTimeout(() => {
        const place = waiting.findIndex((each) => each.patience === patience);
        if (place >= 0) waiting.splice(place, 1);
        reject(overloaded());
      }, JOB_LIMIT_MS);
      waiting.push({ work, resolve, reject, patience });
      pump();
    });
  }

  return {
    hash: async (password: string): Promise<string> =>
      z.string().parse(await run({ type: "hash", password, cost })),
    compare: async (password: string, hash: string): Promise<boolean> =>
      z.boolean().parse(await run({ type: "compare", password, hash })),
    /** The form of a hash, of no password that anybody knows: comparing with it takes as long as with a user's. */
    decoy: `$2b$${String(cost).padStart(2, "0")}$${"a".repeat(SALT_AND_HASH_CHARACTERS)}`,
    /** For whoever would ask the database first. @throws ApiError `login_overloaded` when the queue is full */
    assertRoom,
    isAlive: worker.isAlive,
    workerPid: worker.pid,
    close: () => {
      for (const { patience, reject } of waiting.splice(0)) {
        clearTimeout(patience);
        reject(overloaded());
      }
      worker.close();
    },
  };
}
export type Passwords = ReturnType<typeof createPasswords>;

function overloaded(): ApiError {
  return new ApiError("login_overloaded", "try again in a few seconds", {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
