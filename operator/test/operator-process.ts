import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

export interface OperatorPlace {
  readonly podName: string;
  readonly kubeconfigPath: string;
  readonly vaultUrl: string;
  readonly journalUrl: string;
  /** For /metrics and /readyz; absent: a port that nobody asks for. */
  readonly port?: number;
  /** Program instead of the source, e.g. a bundle; with the flags of Node before it. */
  readonly program?: readonly string[];
  /** Besides what a pod has. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** The operator as its pod runs it: one container after the other under one name. */
export class OperatorProcess {
  readonly #place: OperatorPlace;
  readonly #directory: string;
  #child: ChildProcess | undefined;
  #exited: Promise<number | null> = Promise.resolve(null);
  /** What all its processes have said. */
  output = "";
  #saidBefore = 0;

  private constructor(place: OperatorPlace, directory: string) {
    this.#place = place;
    this.#directory = directory;
  }

  static async create(place: OperatorPlace): Promise<OperatorProcess> {
    const directory = await mkdtemp(join(tmpdir(), "operator-"));
    await writeFile(join(directory, "token"), "a token that fakes do not look at");
    return new OperatorProcess(place, directory);
  }

  start(): void {
    const token = join(this.#directory, "token");
    const { kubeconfigPath, podName, vaultUrl, journalUrl, environment, port = 0 } = this.#place;
    this.#saidBefore = this.output.length;
    const child = spawn(process.execPath, [...(this.#place.program ?? [MAIN])], {
      env: {
        ...environment,
        KUBECONFIG: kubeconfigPath,
        POD_NAMESPACE: "default",
        POD_NAME: podName,
        PORT: String(port),
        BUCKETS: "1",
        VAULT_ADDR: vaultUrl,
        VAULT_TOKEN_FILE: token,
        VAULT_AGENT_IMAGE: "vault:1",
        JOURNAL_URL: journalUrl,
        JOURNAL_TOKEN_FILE: token,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const hear = (data: Buffer) => void (this.output += data.toString("utf8"));
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    this.#exited = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
    this.#child = child;
  }

  get running(): boolean {
    return (
      this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
    );
  }

  /** The present process has said this message. */
  hasSaid(message: string): boolean {
    return this.output.slice(this.#saidBefore).includes(`"msg":"${message}"`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Exit code of the present process once it has ended, null after a kill. */
  exited(): Promise<number | null> {
    return this.#exited;
  }

  /** Text of `/metrics` or `/readyz`; empty when there is no answer. */
  async ask(path: string): Promise<string> {
    const limit = AbortSignal.timeout(ASK_LIMIT_MS);
    try {
      const url = `http://127.0.0.1:${this.#place.port ?? 0}${path}`;
      return await (await fetch(url, { signal: limit })).text();
    } catch {
      return "";
    }
  }

  async remove(): Promise<void> {
    this.signal("SIGKILL");
    if (this.running && this.#child !== undefined) await once(this.#child, "exit");
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** A frozen process does not answer. */
const ASK_LIMIT_MS = 2_000;
