import { setTimeout as sleep } from "node:timers/promises";
import { createExchange } from "../../src/exchange/bybit-ccxt.ts";
import { price } from "../../src/money.ts";
import { CaseWorld, SYMBOL } from "./case-world.ts";
import { startPlatform } from "./platform.ts";
import type { Pod } from "./pod.ts";

/** Milliseconds from the start of a process to: reconciled with the exchange, and the position's stop in its place. */
export interface Recoveries {
  /** The container of the same pod, killed and started again. */
  readonly restarted: readonly number[];
  /** A new pod, with nothing that the one before has left on its disk. */
  readonly replaced: readonly number[];
}

const LOOK_EVERY_MS = 2;
const WAIT_MS = 60_000;

/**
 * Kills a bot with an open position again and again, takes its stop away while it is dead, and measures how long the next
 * process needs until the position is protected and the bot ready. One at a time: nothing else runs beside it.
 */
export async function measureRecoveries(rounds: number): Promise<Recoveries> {
  const platform = await startPlatform();
  const world = await CaseWorld.create(platform);
  try {
    await openPosition(world);
    const removeStop = await stopRemover(world);
    const restarted: number[] = [];
    const replaced: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      await world.pod.process.end("SIGKILL");
      await removeStop();
      restarted.push(await recover(world, world.pod));
      await world.pod.process.end("SIGKILL");
      await removeStop();
      replaced.push(await recover(world, await world.addPod()));
    }
    return { restarted, replaced };
  } finally {
    await world.close();
    await platform.stop();
  }
}

async function openPosition(world: CaseWorld): Promise<void> {
  const pod = await world.addPod();
  await pod.start();
  await until("the bot trades", async () => {
    if ((await world.report())?.report.trading === true) return true;
    world.play("quiet");
    await sleep(500);
    return false;
  });
  world.play("drop");
  await until("the entry is sent", async () => world.account.orders.length > 0);
  world.playHalf();
  await until("the position is reported", async () => {
    return (await world.report())?.report.positions.length === 1;
  });
}

/** The account's owner, past the bot. */
async function stopRemover(world: CaseWorld): Promise<() => Promise<void>> {
  const owner = createExchange({
    key: { reveal: () => world.credentials, scrub: (text) => text },
    testnet: false,
    restUrl: world.exchange.url,
  });
  await owner.prepare([SYMBOL]);
  return async () => {
    await owner.protect(SYMBOL, { stopLoss: price("0"), takeProfit: undefined });
    if (isProtected(world)) throw new Error("the stop could not be removed");
  };
}

const isProtected = ({ account }: CaseWorld): boolean =>
  account.positions.length === 1 && account.positions[0]?.stopLoss !== null;

async function recover(world: CaseWorld, pod: Pod): Promise<number> {
  await pod.start();
  await until("the bot is ready and its position protected", async () => {
    return isProtected(world) && (await pod.process.ready());
  });
  return performance.now() - pod.process.startedMs;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(LOOK_EVERY_MS);
  }
}
