import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BotConfig, BotTermination } from "@tradingbots/crds";

const MAIN = fileURLToPath(new URL("../src/bot/main.ts", import.meta.url));

/** A frozen process does not answer. */
const METRICS_LIMIT_MS = 2_000;

export interface BotProcessOptions {
  readonly config: BotConfig;
  readonly journalUrl: string;
  readonly credentials: { readonly apiKey: string; readonly apiSecret: string };
  /** Program instead of the source, e.g. a bundle; with the flags of Node before it. */
  readonly program?: readonly string[];
  /** Besides what a pod has. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Below the ports that systems give to outgoing connections (32768 and up): of many bots at once none finds its port taken by
 * a connection of another.
 */
const FIRST_PORT = 12_000;
const PORTS = 18_000;
let portsAsked = (process.pid * 131) % PORTS;

async function unusedPort(): Promise<number> {
  for (let attempt = 0; attempt < PORTS; attempt += 1) {
    portsAsked += 1;
    const port = FIRST_PORT + (portsAsked % PORTS);
    const server = createServer();
    const isFree = await once(server.listen(port), "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
  throw new Error("no port is free");
}

/** A bot as a process of its own, with the files that a pod would have. */
export class BotProcess {
  readonly #directory: string;
  readonly #options: BotProcessOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<number | null> = Promise.resolve(null);
  #healthPort = 0;
  output = "";
  /** When the process was started last; ms of this process' monotonic clock. */
  startedMs = 0;

  private constructor(directory: string, options: BotProcessOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  static async create(options: BotProcessOptions): Promise<BotProcess> {
    const directory = await mkdtemp(join(tmpdir(), "bot-"));
    const bot = new BotProcess(directory, options);
    await bot.configure(options.config);
    await writeFile(join(directory, "credentials.json"), JSON.stringify(options.credentials));
    return bot;
  }

  async configure(config: BotConfig): Promise<void> {
    await writeFile(join(this.#directory, "config.json"), JSON.stringify(config));
  }

  /** Starts it as a container of the pod `podUid`; the journal server of tests takes the uid as its token. */
  async start(podUid: string, token = podUid): Promise<void> {
    await writeFile(join(this.#directory, "token"), token);
    this.#healthPort = await unusedPort();
    this.startedMs = performance.now();
    const child = spawn(process.execPath, [...(this.#options.program ?? [MAIN])], {
      env: {
        ...this.#options.environment,
        JOURNAL_URL: this.#options.journalUrl,
        POD_UID: podUid,
        POD_NAME: this.#options.config.botName,
        POD_NAMESPACE: this.#options.config.namespace,
        HEALTH_PORT: String(this.#healthPort),
        CONFIG_FILE: join(this.#directory, "config.json"),
        CREDENTIALS_FILE: join(this.#directory, "credentials.json"),
        JOURNAL_TOKEN_FILE: join(this.#directory, "token"),
        TERMINATION_FILE: join(this.#directory, "termination.json"),
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.on("data", (data: Buffer) => (this.output += data.toString("utf8")));
    child.stderr.on("data", (data: Buffer) => (this.output += data.toString("utf8")));
    this.#exited = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
    this.#child = child;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get running(): boolean {
    return (
      this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
    );
  }

  /** Sends the signal and waits for the end; gives back the exit code, null after a kill. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child?.kill(signal);
    return this.#exited;
  }

  /** Freezes (SIGSTOP) or wakes (SIGCONT) the process, or sends another signal without waiting. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async exited(): Promise<number | null> {
    return this.#exited;
  }

  async termination(): Promise<BotTermination> {
    const text = await readFile(join(this.#directory, "termination.json"), "utf8");
    return BotTermination.parse(JSON.parse(text));
  }

  /** Candles that the bot has dealt with to the end, orders included; undefined when it does not answer. */
  async candlesDealtWith(): Promise<number | undefined> {
    return this.metric("bot_candles_total");
  }

  /** A counter without labels or a gauge; 0 when it was never counted, undefined when the bot does not answer. */
  async metric(name: string): Promise<number | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#healthPort}/metrics`, {
        signal: AbortSignal.timeout(METRICS_LIMIT_MS),
      });
      return Number(new RegExp(`^${name} (\\S+)`, "m").exec(await answer.text())?.[1] ?? 0);
    } catch {
      return undefined;
    }
  }

  /** The orchestrator's question: has the process looked at the exchange and manages what it found? */
  async ready(): Promise<boolean> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#healthPort}/readyz`, {
        signal: AbortSignal.timeout(METRICS_LIMIT_MS),
      });
      return answer.ok;
    } catch {
      return false;
    }
  }

  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1_024;
  }

  async remove(): Promise<void> {
    if (this.running) await this.end("SIGKILL");
    await rm(this.#directory, { recursive: true, force: true });
  }
}
