import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BotConfig, BotTermination } from "@tradingbots/crds";
import { freePorts } from "../../hack/control-plane/free-ports.ts";

const MAIN = fileURLToPath(new URL("../src/bot/main.ts", import.meta.url));

export interface BotProcessOptions {
  readonly config: BotConfig;
  readonly journalUrl: string;
  readonly credentials: { readonly apiKey: string; readonly apiSecret: string };
  /** Program instead of the source, e.g. a bundle; with the flags of Node before it. */
  readonly program?: readonly string[];
}

/** A bot as a process of its own, with the files that a pod would have. */
export class BotProcess {
  readonly #directory: string;
  readonly #options: BotProcessOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<number | null> = Promise.resolve(null);
  #healthPort = 0;
  output = "";

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

  /** Starts it as a container of the pod `podUid`; the journal server takes the uid as its token. */
  async start(podUid: string): Promise<void> {
    await writeFile(join(this.#directory, "token"), podUid);
    [this.#healthPort = 0] = await freePorts(1);
    const child = spawn(process.execPath, [...(this.#options.program ?? [MAIN])], {
      env: {
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

  async exited(): Promise<number | null> {
    return this.#exited;
  }

  async termination(): Promise<BotTermination> {
    const text = await readFile(join(this.#directory, "termination.json"), "utf8");
    return BotTermination.parse(JSON.parse(text));
  }

  /** Candles that the bot has dealt with to the end, orders included; undefined when it does not answer. */
  async candlesDealtWith(): Promise<number | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#healthPort}/metrics`);
      return Number(/^bot_candles_total (\d+)/m.exec(await answer.text())?.[1] ?? 0);
    } catch {
      return undefined;
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
