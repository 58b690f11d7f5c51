import type { Fault } from "../fault-proxy.ts";
import type { RequestKind } from "./steps.ts";

/** What a crash can do to the world around the request that it strikes. */
interface Surroundings {
  /** SIGKILL; the same pod starts its container again. */
  readonly kill: () => void;
  /** SIGKILL, and another pod: nothing local survives. */
  readonly deletePod: () => void;
  /** The node is gone: its process freezes, another pod takes over, and much later the process wakes. Resolves then. */
  readonly loseNode: () => Promise<void>;
  /** The journal breaks off every connection for some seconds from the next request on. */
  readonly downJournal: () => void;
}

export interface Crash {
  readonly name: string;
  readonly applies: readonly RequestKind[];
  /** Whether the server takes the request nevertheless. */
  readonly taken: boolean;
  readonly strike: (surroundings: Surroundings) => Fault;
}

const ALL: readonly RequestKind[] = ["read", "change", "append"];
const WRITES: readonly RequestKind[] = ["change", "append"];
const JOURNAL: readonly RequestKind[] = ["append"];
const EXCHANGE: readonly RequestKind[] = ["change"];

const TOO_MANY_REQUESTS = {
  kind: "turn-away",
  status: 429,
  body: JSON.stringify({
    retCode: 10_006,
    retMsg: "Too many visits. Exceeded the API Rate Limit.",
  }),
} as const;

/**
 * Everything that can happen at one request. Which of it applies to which kind of request:
 *
 * - To all: what spoils an answer, ends the process or replaces it.
 * - Not to reads: what differs only by whether the server had taken the request. A read changes nothing there, so dying before
 *   it, or after its answer, is dying at the request before or after it; an answer that is a duplicate is the answer.
 * - To the journal alone: the journal being down around an append. For the exchange the same is a timeout, a reset, a 5xx.
 * - To changes at the exchange alone: the journal dying beside them, so that nobody hears what becomes of an order.
 */
export const CRASHES: readonly Crash[] = [
  {
    name: "kill-before",
    taken: false,
    applies: WRITES,
    strike: ({ kill }) => {
      kill();
      return { kind: "swallow-request" };
    },
  },
  {
    name: "kill-accepted",
    taken: true,
    applies: ALL,
    strike: ({ kill }) => ({ kind: "swallow-answer", accepted: kill }),
  },
  {
    name: "kill-answered",
    taken: true,
    applies: WRITES,
    strike: ({ kill }) => ({ kind: "pass", answered: kill }),
  },
  {
    name: "timeout-before",
    taken: false,
    applies: WRITES,
    strike: () => ({ kind: "swallow-request" }),
  },
  { name: "timeout-after", taken: true, applies: ALL, strike: () => ({ kind: "swallow-answer" }) },
  { name: "5xx-after", taken: true, applies: ALL, strike: () => ({ kind: "status", status: 502 }) },
  { name: "reset-before", taken: false, applies: WRITES, strike: () => ({ kind: "break-before" }) },
  { name: "reset-after", taken: true, applies: ALL, strike: () => ({ kind: "break-after" }) },
  { name: "truncate", taken: true, applies: ALL, strike: () => ({ kind: "truncate" }) },
  { name: "stall", taken: true, applies: ALL, strike: () => ({ kind: "stall" }) },
  { name: "empty", taken: true, applies: WRITES, strike: () => ({ kind: "empty" }) },
  { name: "duplicate", taken: true, applies: WRITES, strike: () => ({ kind: "send-twice" }) },
  { name: "429", taken: false, applies: ALL, strike: () => TOO_MANY_REQUESTS },
  {
    name: "journal-down-before",
    taken: false,
    applies: JOURNAL,
    strike: ({ downJournal }) => {
      downJournal();
      return { kind: "break-before" };
    },
  },
  {
    name: "journal-down-after",
    taken: true,
    applies: JOURNAL,
    strike: ({ downJournal }) => ({ kind: "break-after", accepted: downJournal }),
  },
  {
    name: "journal-down-during",
    taken: true,
    applies: EXCHANGE,
    strike: ({ downJournal }) => {
      downJournal();
      return { kind: "pass" };
    },
  },
  {
    name: "pod-deleted-before",
    taken: false,
    applies: WRITES,
    strike: ({ deletePod }) => {
      deletePod();
      return { kind: "swallow-request" };
    },
  },
  {
    name: "pod-deleted",
    taken: true,
    applies: ALL,
    strike: ({ deletePod }) => ({ kind: "swallow-answer", accepted: deletePod }),
  },
  // The request is under way when the node goes, and arrives when it comes back; or the answer is.
  {
    name: "node-lost-before",
    taken: false,
    applies: WRITES,
    strike: ({ loseNode }) => ({ kind: "hold-request", until: loseNode() }),
  },
  {
    name: "node-lost-accepted",
    taken: true,
    applies: ALL,
    strike: ({ loseNode }) => ({ kind: "hold-answer", until: loseNode() }),
  },
];
