import { setTimeout as sleep } from "node:timers/promises";
import { ANNOTATIONS, BotConfig, type BotTermination, type Report } from "@tradingbots/crds";
import { isConflict, isNotFound, type Pod, PODS } from "@tradingbots/kube";
import type { FakeJournal } from "../fake-journal.ts";
import { follow } from "../follow.ts";
import { NAMESPACE, type Platform, VERIFIED } from "../platform.ts";

/** What the exchange holds for a bot. */
const POSITION: Report["positions"][number] = {
  symbol: "BTC/USDT:USDT",
  side: "long",
  quantity: "1",
  entryPrice: "100",
  unrealisedPnl: "0",
  stopLoss: "95",
  takeProfit: "110",
};

/** A node takes its time: longer than what the operator puts together into one write (0.1 s), so that every run writes the same. */
const STEP_MS = 250;

export interface KubeletOptions {
  readonly platform: Platform;
  readonly journal: FakeJournal;
  /** Whether a bot that may trade opens a position. */
  readonly trades: boolean;
}

/**
 * Node, bots and exchange in one: takes each pod through its life, lets bots obey their configuration and report, and remembers
 * which of them hold a position. A bot that is stopped or retired closes and ends; a paused one reaches its target.
 */
export class FakeKubelet {
  /** Bots that hold a position at the exchange. */
  readonly open = new Set<string>();
  readonly #options: KubeletOptions;
  readonly #latest = new Map<string, Pod>();
  /** Configuration that a pod's bot has taken over, by uid. */
  readonly #obeyed = new Map<string, string>();
  readonly #epochs = new Map<string, number>();
  readonly #following: ReturnType<typeof follow>;
  /** One pod after the other: a node is no faster. */
  #work: Promise<void> = Promise.resolve();
  #failure: Error | undefined;

  constructor(options: KubeletOptions) {
    this.#options = options;
    const { client } = options.platform;
    const selection = { namespace: NAMESPACE };
    this.#following = follow({ client, resource: PODS, selection }, ({ type, object }) => {
      const uid = object.metadata?.uid ?? "";
      if (type === "DELETED") this.#latest.delete(uid);
      else {
        this.#latest.set(uid, object);
        this.#work = this.#work.then(() => this.#attend(uid));
      }
    });
  }

  async stop(): Promise<void> {
    await this.#following.stop();
    this.#latest.clear();
    await this.#work;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #attend(uid: string): Promise<void> {
    if (!this.#latest.has(uid)) return;
    await sleep(STEP_MS);
    const pod = this.#latest.get(uid);
    if (pod === undefined) return;
    try {
      await this.#step(pod);
    } catch (error) {
      // Changed or gone meanwhile: the watch tells.
      if (isNotFound(error) || isConflict(error)) return;
      this.#failure ??= new Error(`the kubelet failed at ${pod.metadata?.name}`, { cause: error });
    }
  }

  async #step(pod: Pod): Promise<void> {
    const { platform } = this.#options;
    const name = pod.metadata?.name ?? "";
    const hasEnded = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    const isDeleting = pod.metadata?.deletionTimestamp !== undefined;
    if (hasEnded && isDeleting) return platform.kill(name);
    if (hasEnded) return;
    if (pod.spec?.nodeName === undefined) {
      await platform.bind(name);
      return;
    }
    if (name.startsWith("verify-")) return this.#end(name, VERIFIED);
    if (isDeleting) return this.#end(name, this.#lastWord(name));
    if (pod.status?.phase !== "Running") return this.#run(pod);
    await this.#obey(pod);
  }

  /** The bot opens its session, reports, and is ready. */
  async #run(pod: Pod): Promise<void> {
    const name = pod.metadata?.name ?? "";
    this.#epochs.set(name, (this.#epochs.get(name) ?? 0) + 1);
    const livesOn = await this.#obey(pod);
    if (livesOn) await this.#options.platform.becomeReady(name);
  }

  /** False when the bot came to its end by that. */
  async #obey(pod: Pod): Promise<boolean> {
    const { name = "", uid = "", annotations } = pod.metadata ?? {};
    const text = annotations?.[ANNOTATIONS.config] ?? "";
    if (this.#obeyed.get(uid) === text) return true;
    this.#obeyed.set(uid, text);
    const { state, generation } = BotConfig.parse(JSON.parse(text));
    if (state !== "Running") this.open.delete(name);
    else if (this.#options.trades) this.open.add(name);
    const isLast = state === "Stopped" || state === "Retired";
    // Its last word is the termination message: the journal may never tell it.
    if (isLast) await this.#end(name, this.#lastWord(name));
    else this.#report(name, uid, { state, generation, trading: state === "Running" });
    return !isLast;
  }

  #report(name: string, podUid: string, said: Partial<Report>): void {
    const isOpen = this.open.has(name);
    const epoch = this.#epochs.get(name) ?? 0;
    this.#options.journal.report(
      { namespace: NAMESPACE, botName: name, podUid, epoch },
      { ...said, flat: !isOpen, positions: isOpen ? [POSITION] : [] },
    );
  }

  #lastWord(name: string): BotTermination {
    return { flat: !this.open.has(name), epoch: this.#epochs.get(name) ?? 0 };
  }

  async #end(name: string, message: object): Promise<void> {
    await this.#options.platform.end(name, "Succeeded", message);
  }
}
