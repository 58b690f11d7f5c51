import { parentPort } from "node:worker_threads";
import { simulate } from "./simulate.ts";
import { installVirtualGlobals } from "./virtual-globals.ts";

/** Seeds of one piece of work; the first that breaks an invariant may end it. */
export interface Order {
  readonly seeds: readonly number[];
  readonly stopAtFirst: boolean;
  readonly verbose: boolean;
}

if (parentPort === null) throw new Error("this is the code of a worker thread");
const port = parentPort;
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
const say = (message: unknown): void => port.postMessage(message);

const tick = setImmediate;
installVirtualGlobals();
let rejection: unknown;
process.on("unhandledRejection", (reason) => (rejection ??= reason));

port.on("message", (order: Order) => work(order));

/** Each seed in a turn of the event loop of its own: promises can be run down only from outside of every promise. */
function work({ seeds, stopAtFirst, verbose }: Order): void {
  const [seed, ...rest] = seeds;
  if (seed === undefined) {
    say("done");
    return;
  }
  const outcome = play(seed, verbose);
  // Rejections that nobody heard are told at the end of this turn.
  tick(() => {
    const unheard = rejection && fault("UnhandledRejection", rejection);
    rejection = undefined;
    const violation = outcome.violation ?? unheard;
    say({ ...outcome, violation });
    const seedsLeft = violation !== undefined && stopAtFirst ? [] : rest;
    work({ seeds: seedsLeft, stopAtFirst, verbose });
  });
}

function play(seed: number, verbose: boolean) {
  try {
    return simulate(seed, verbose ? (line) => say(line) : undefined);
  } catch (error) {
    const pairs = { alive: false, partitioned: false };
    const nothing = { pairs, openingOrders: 0, exits: 0, executions: 0, virtualMs: 0 };
    return { seed, violation: fault("Throws", error), ...nothing };
  }
}

function fault(invariant: string, error: unknown) {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { invariant, message, atMs: 0 };
}
