import { setTimeout as sleep } from "node:timers/promises";
import { SLOTS } from "@tradingbots/crds";
import { createReflector, type Pod, PODS } from "@tradingbots/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { conditionOf } from "../src/conditions.ts";
import { BOT_CLASSES, TRADING_BOTS } from "../src/resources.ts";
import { kubectlWait } from "./kubectl.ts";
import { botClass, NAMESPACE, type OperatorUnderTest, type Platform } from "./platform.ts";
import { startOperator, startPlatform } from "./platform.ts";
import { setPodQuota } from "./pod-quota.ts";

/** Rollouts over 200 bots on a real API server. The test plays the kubelet: it marks pods ready or crashing by their image. */

const BOTS = 200;
const BAD = "bot:bad";
/** Twenty seconds on an idle machine; a test run beside a build is not idle. */
const BUSY_MS = 240_000;
const NAMES = Array.from({ length: BOTS }, (_, index) => `bot-${String(index).padStart(3, "0")}`);
/** As bots do that have nothing new to say: whoever says nothing for a minute may hold something. */
const REPORT_EVERY_MS = 20_000;
/** Bots with an open position. */
const OPEN = new Set(NAMES.filter((_, index) => index % 10 === 0));

let platform: Platform;
let under: OperatorUnderTest;
let kubelet: ReturnType<typeof startKubelet>;

beforeAll(async () => {
  platform = await startPlatform();
  await platform.client.create(
    BOT_CLASSES,
    botClass("waves", "bot:1", { ceilings: { botsPerUser: BOTS } }),
  );
  under = await startOperator(platform);
  kubelet = startKubelet();
  await inParallel(NAMES, (name) => platform.createBot({ className: "waves" }, name));
  await until(() => kubelet.readyWith("bot:1") === BOTS);
}, BUSY_MS);
afterAll(async () => {
  await kubelet?.stop();
  await under?.stop();
  await platform?.stop();
});

describe("a bad image", () => {
  test("reaches no more bots than may fail, and goes back by itself", async () => {
    await change({ rollout: { soakSeconds: 1, failureBudgetPercent: 5 } });
    await change({ image: BAD });
    await ended();
    expect(kubelet.everHad(BAD)).toBe(BOTS / 20);
    expect(await conditions()).toEqual({
      Progressing: "False RolledBack",
      Degraded: "True RolloutFailed",
    });
    await until(() => kubelet.readyWith("bot:1") === BOTS);
    const writes = await under.settle();
    expect(await under.settle()).toBe(writes);
    expect((await rollout())?.rejected?.because).toContain("ends again and again");
  });
});

test("another address of the exchange comes in waves, and pauses no more bots at a time", async () => {
  await change({
    image: "bot:1",
    rollout: { soakSeconds: 0, maxUnavailablePercent: 50, failureBudgetPercent: 50 },
  });
  kubelet.forgetWorst();
  kubelet.endPaused(true);
  const address = { restUrl: "http://simulator", websocketUrl: "ws://simulator" };
  await change({ endpoints: [{ exchange: "bybit", ...address }] });
  await ended();
  kubelet.endPaused(false);
  expect(kubelet.worst()).toBeLessThanOrEqual(BOTS / 2);
  const told = await Promise.all(NAMES.map((name) => platform.config(name)));
  for (const config of told) expect(config).toMatchObject({ endpoint: address, state: "Running" });
  await until(() => kubelet.readyWith("bot:1") === BOTS);
});

describe("a good image", { timeout: BUSY_MS }, () => {
  test("comes in waves, also past the end of an operator, and to open positions last", async () => {
    kubelet.open(OPEN);
    const quarters = { soakSeconds: 1, maxUnavailablePercent: 25, failureBudgetPercent: 25 };
    await change({ rollout: quarters });
    kubelet.forgetWorst();
    await change({ image: "bot:2" });
    await until(async () => ((await rollout())?.wave ?? 0) >= 2);
    await under.stop();
    const { reach = 0 } = (await rollout()) ?? {};
    expect(reach).toBeLessThan(SLOTS);
    under = await startOperator(platform);
    kubelet.reportAll();

    await until(() => kubelet.readyWith("bot:2") === BOTS - OPEN.size);
    await until(async () => (await rollout())?.deferred === OPEN.size);
    await until(async () => (await conditions())["Progressing"] === "True Soaking");
    expect(kubelet.readyWith("bot:1")).toBe(OPEN.size);
    kubelet.open(new Set());
    await ended();
    expect(kubelet.readyWith("bot:2")).toBe(BOTS);
    expect(kubelet.worst()).toBeLessThanOrEqual(BOTS / 4);
    expect(kubelet.worst()).toBeGreaterThan(1);
    expect(await conditions()).toEqual({
      Progressing: "False Complete",
      Degraded: "False AsWanted",
    });
    expect(Object.keys((await rollout()) ?? {})).toEqual(["stable"]);
    expect((await rollout())?.stable.image).toBe("bot:2");
  });

  test("is not blamed for what the cluster refuses whatever the image", async () => {
    kubelet.forgetWorst();
    await setPodQuota(platform, "0");
    await change({ rollout: { soakSeconds: 0 }, image: "bot:3" });
    await until(() => kubelet.worst() > 1);
    await until(async () => (await refused()) === kubelet.worst());
    await under.settle();
    await setPodQuota(platform, "1000");
    await inParallel(NAMES, touch); // else each would be offered again at its own time
    await ended();
    expect(kubelet.worst()).toBeLessThanOrEqual(BOTS / 4);
    expect(await conditions()).toEqual({
      Progressing: "False Complete",
      Degraded: "False AsWanted",
    });
    expect(kubelet.readyWith("bot:3")).toBe(BOTS);
  });

  test("comes in waves also with a class that was deleted and made anew", async () => {
    const spec = { ...(await classNow())?.spec, image: "bot:4" };
    kubelet.forgetWorst();
    await platform.client.remove(BOT_CLASSES, { name: "waves" });
    await platform.client.create(BOT_CLASSES, botClass("waves", "bot:4", spec));
    await ended();
    expect(kubelet.readyWith("bot:4")).toBe(BOTS);
    expect(kubelet.worst()).toBeLessThanOrEqual(BOTS / 4);
  });

  test("waits while the class is paused", async () => {
    await change({ rollout: { paused: true }, image: "bot:5" });
    await until(async () => (await conditions())["Progressing"] === "Unknown Paused");
    await under.settle();
    expect(kubelet.everHad("bot:5")).toBe(0);
    await change({ image: "bot:4" });
    await ended();
  });
});

const classNow = () => platform.client.get(BOT_CLASSES, { name: "waves" });

async function rollout() {
  return (await classNow())?.status?.rollout;
}

/** How many bots say that the cluster refuses their pod. */
async function refused(): Promise<number> {
  const bots = await platform.client.list(TRADING_BOTS, { namespace: NAMESPACE });
  return bots.filter(
    ({ status }) => conditionOf(status?.conditions, "Ready")?.reason === "PodRefused",
  ).length;
}

async function conditions(): Promise<Record<string, string>> {
  const found = await platform.client.get(BOT_CLASSES, { name: "waves" });
  const list = found?.status?.conditions ?? [];
  return Object.fromEntries(list.map(({ type, status, reason }) => [type, `${status} ${reason}`]));
}

const touch = (name: string) =>
  platform.client.patch(
    TRADING_BOTS,
    { namespace: NAMESPACE, name },
    { type: "merge", body: { metadata: { annotations: { touched: "yes" } } } },
  );

async function change(spec: object): Promise<void> {
  await platform.patch(BOT_CLASSES, "waves", spec);
}

/** As an SRE waits: begun right after the change, so that the condition of the last rollout must not satisfy it. */
async function ended(): Promise<void> {
  const end = { object: "botclass/waves", condition: "Progressing=false", timeout: "90s" };
  await kubectlWait(platform, end);
}

async function until(probe: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await probe())) {
    if (Date.now() > deadline) throw new Error(`not yet after a minute: ${String(probe)}`);
    await sleep(50);
  }
}

async function inParallel(names: readonly string[], act: (name: string) => Promise<unknown>) {
  const left = [...names];
  const worker = async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) await act(name);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

/** Every pod becomes ready and reports, or crashes, as soon as it is there. */
function startKubelet() {
  const ready = new Map<string, string>();
  const had = new Map<string, Set<string>>();
  const uids = new Map<string, string>();
  let open: ReadonlySet<string> = new Set();
  let worst = 0;
  let endsPaused = false;

  const noteWorst = () => void (worst = Math.max(worst, BOTS - ready.size));
  const report = (name: string) => {
    const uid = uids.get(name);
    if (uid !== undefined) under.report(name, uid, { flat: !open.has(name) });
  };
  async function run(pod: Pod): Promise<void> {
    const { name = "", uid = "" } = pod.metadata ?? {};
    const image = pod.spec?.containers[0]?.image ?? "";
    had.set(image, (had.get(image) ?? new Set()).add(name));
    if (image === BAD) return void (await platform.setStatus(name, CRASHING));
    uids.set(name, uid);
    report(name);
    ready.set(name, image); // before the operator can see it: the answer may come long after the next wave has begun
    await platform.becomeReady(name).catch((error: unknown) => {
      ready.delete(name);
      throw error;
    });
  }
  /** Nothing is open, and nothing shall be opened. */
  async function end({ metadata }: Pod): Promise<void> {
    const name = metadata?.name ?? "";
    ready.delete(name);
    noteWorst();
    await platform.end(name, "Succeeded", { flat: true, epoch: 1 });
  }
  const reflector = createReflector<Pod, Pod>({
    client: platform.client,
    resource: PODS,
    namespace: NAMESPACE,
    project: (pod) => pod,
    onRestart: () => {},
    handlers: {
      onUpsert: (pod, previous) => {
        if (previous === undefined) void run(pod).catch(() => {}); // it may be gone again
        else if (endsPaused && isToldToPause(pod) && !isToldToPause(previous))
          void end(pod).catch(() => {});
      },
      onDelete: ({ metadata }) => {
        ready.delete(metadata?.name ?? "");
        noteWorst();
      },
    },
  });
  reflector.start();
  const reportAll = () => {
    for (const name of uids.keys()) report(name);
  };
  const reporting = setInterval(reportAll, REPORT_EVERY_MS);
  return {
    stop: async () => {
      clearInterval(reporting);
      await reflector.stop();
    },
    readyWith: (image: string) => [...ready.values()].filter((each) => each === image).length,
    /** How many bots have ever had a pod with the image. */
    everHad: (image: string) => had.get(image)?.size ?? 0,
    /** The most bots that were without a ready pod at one time. */
    worst: () => worst,
    forgetWorst: () => void (worst = 0),
    /** Whether bots that are told to open nothing end, as flat ones do; those whose class is gone for a moment are told so too. */
    endPaused: (on: boolean) => void (endsPaused = on),
    open: (names: ReadonlySet<string>) => {
      open = names;
      reportAll();
    },
    reportAll,
  };
}

function isToldToPause({ metadata }: Pod): boolean {
  return metadata?.annotations?.["tradingbots.dev/config"]?.includes('"state":"Paused"') ?? false;
}

const CRASHING = {
  phase: "Running",
  conditions: [{ type: "Ready", status: "False" }],
  containerStatuses: [
    {
      name: "bot",
      image: BAD,
      imageID: "",
      ready: false,
      restartCount: 3,
      state: { waiting: { reason: "CrashLoopBackOff" } },
      lastState: { terminated: { exitCode: 1 } },
    },
  ],
};
