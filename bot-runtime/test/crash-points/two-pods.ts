import { setTimeout as sleep } from "node:timers/promises";
import { audit } from "./audit.ts";
import type { Verdict } from "./case.ts";
import { CaseWorld } from "./case-world.ts";
import type { Platform } from "./platform.ts";
import type { Pod } from "./pod.ts";
import { nameRequest } from "./steps.ts";

/** Two pods of one bot, both alive, and a network that is cut somewhere between them and the rest. */
export interface TwoPodsCase {
  /** `two-pods.<cut>.<when>.<start>`: replays it. */
  readonly name: string;
  readonly cut: (typeof CUTS)[number];
  readonly when: (typeof WHENS)[number];
  readonly start: (typeof STARTS)[number];
}

/** What is cut off from what; `first` is the pod that was replaced, `second` the one that replaced it. */
const CUTS = [
  "first-from-journal",
  "first-from-exchange",
  "first-from-both",
  "second-from-journal",
  "second-from-exchange",
] as const;
/** Before a signal, or at the moment when the pod asks the journal for its order. */
const WHENS = ["before-signal", "at-intent"] as const;
/** Both processes at once, or the second while the first one trades. */
const STARTS = ["together", "later"] as const;

export const TWO_PODS_CASES: readonly TwoPodsCase[] = CUTS.flatMap((cut) =>
  WHENS.flatMap((when) =>
    STARTS.map((start) => ({ name: `two-pods.${cut}.${when}.${start}`, cut, when, start })),
  ),
);

const WAIT_MS = 120_000;
const LOOK_EVERY_MS = 200;
/** What a pod sends upon a candle is there within this time, unless the network is cut. */
const CANDLE_EVERY_MS = 1_500;
/** Signals while the network is cut: longer than a lease (15 s) and the pause of a client that heard nothing. */
const CUT_SIGNALS = 12;

/** Trades through the partition and after it. Gives back what is wrong, as sentences, and what was said. */
export async function runTwoPods(platform: Platform, made: TwoPodsCase): Promise<Verdict> {
  const startedMs = performance.now();
  const world = await CaseWorld.create(platform);
  const faults: string[] = [];
  try {
    faults.push(...(await tradeThrough(world, made)));
    // How many signals meet a pod that may trade is up to the cut: one after it at least, and never more than there were.
    const counts = Array.from({ length: world.drops }, (_, index) => index + 1);
    faults.push(...(await audit(world, counts)));
  } catch (error) {
    faults.push(error instanceof Error ? error.message : String(error));
  } finally {
    await world.close();
  }
  const story = world.pods.map(({ identity, process }) => `pod ${identity.uid}\n${process.output}`);
  const tookMs = performance.now() - startedMs;
  return { name: made.name, faults, story: story.join("\n"), tookMs };
}

async function tradeThrough(world: CaseWorld, made: TwoPodsCase): Promise<readonly string[]> {
  const { first, second } = await startBoth(world, made);
  const cut = made.cut.startsWith("first") ? first : second;
  if (made.when === "before-signal") cutOff(cut, made.cut);
  const isCut = made.when === "before-signal" ? () => true : cutAtIntent(cut, made.cut);
  for (let signal = 0; signal < CUT_SIGNALS; signal += 1) await tradeSignal(world);
  // A pod that never comes to ask for an order, because the other one trades, is cut off all the same.
  if (!isCut()) cutOff(cut, made.cut);
  await tradeSignal(world);
  for (const line of [cut.journalLine, cut.exchangeLine]) line.heal();
  const before = entriesOf(world).length;
  await until("one of the two trades again", async () => {
    await tradeSignal(world);
    return entriesOf(world).length > before;
  });
  await until("the journal knows every trade", () => isSettled(world));
  await Promise.all([first, second].map(async ({ process }) => process.end("SIGTERM")));
  return [first, second].flatMap(({ process, identity }) =>
    process.output.includes('"event":"failed"') ? [`pod ${identity.uid} failed`] : [],
  );
}

/** Both pods run, and the journal has heard the second one. */
async function startBoth(world: CaseWorld, { start }: TwoPodsCase) {
  const first = await world.addPod();
  if (start === "later") {
    await first.start();
    await until("the first pod trades", async () => {
      if ((await world.report())?.report.trading === true) return true;
      world.play("quiet");
      return false;
    });
  }
  const second = await world.addPod();
  if (start === "together") await first.start();
  await second.start();
  await until("the journal knows the second pod", async () => {
    return (await world.newestSession())?.podUid === second.identity.uid;
  });
  return { first, second };
}

function cutOff({ journalLine, exchangeLine }: Pod, cut: TwoPodsCase["cut"]): void {
  if (!cut.endsWith("exchange")) journalLine.cut();
  if (!cut.endsWith("journal")) exchangeLine.cut();
}

/** Cuts when the pod sends its first intent: before the journal has it. */
function cutAtIntent(pod: Pod, cut: TwoPodsCase["cut"]): () => boolean {
  let isCut = false;
  pod.journalLine.fault = (request) => {
    if (isCut || nameRequest(request).request !== "journal-intents") return { kind: "pass" };
    isCut = true;
    cutOff(pod, cut);
    return { kind: "pass" };
  };
  return () => isCut;
}

/** A signal to enter; what comes of it is filled, and left by a signal or, should no pod hear that, by the stop. */
async function tradeSignal(world: CaseWorld): Promise<void> {
  calm(world);
  world.play("drop");
  await sleep(CANDLE_EVERY_MS);
  world.playHalf();
  world.playHalf();
  if (world.account.positions.length === 0) return;
  // A second signal while something is held opens nothing.
  calm(world);
  world.play("drop");
  await sleep(CANDLE_EVERY_MS);
  calm(world);
  world.play("rise");
  await sleep(CANDLE_EVERY_MS);
  world.playHalf();
  world.playHalf();
  if (world.account.positions.length > 0) world.play("fall");
}

/** Quiet candles until the index has forgotten what was before. */
function calm(world: CaseWorld): void {
  for (let candle = 0; candle < 6; candle += 1) world.play("quiet");
}

function entriesOf(world: CaseWorld) {
  return world.account.orders.filter(
    ({ orderLinkId, reduceOnly }) => orderLinkId !== "" && !reduceOnly,
  );
}

async function isSettled({ platform, bot, account }: CaseWorld): Promise<boolean> {
  const [row] = await platform.query<{ closed: number; open: number; intents: number }>(
    `select count(closed_at)::int as closed, (count(*) - count(closed_at))::int as open,
            (select count(*)::int from intents where bot_id = $1 and is_open
                and client_order_id not in (select client_order_id from orders
                                             where bot_id = $1 and code = 'NotFound')) as intents
       from trades where bot_id = $1`,
    bot,
  );
  const filled = account.orders.filter(
    ({ orderLinkId, reduceOnly, status }) =>
      orderLinkId !== "" && !reduceOnly && status === "Filled",
  );
  return row?.open === 0 && row.intents === 0 && row.closed === filled.length;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(LOOK_EVERY_MS);
  }
}
