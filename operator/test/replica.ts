import { freePorts } from "../../hack/control-plane/free-ports.ts";
import { kubeconfigTo, openClusterLine } from "./cluster-line.ts";
import type { Line, Passed } from "./line.ts";
import { OperatorProcess } from "./operator-process.ts";
import type { Platform } from "./platform.ts";
import { Wire } from "./wire.ts";

/** Out of reach: neither stops an operator. */
const NOWHERE = "http://127.0.0.1:1";

/** One of several operators beside an API server: its process, and its way to the server. */
export class Replica {
  readonly process: OperatorProcess;
  /** Between process and line: can be cut. */
  readonly wire: Wire;
  /** Sees its requests arrive at the API server. */
  readonly line: Line;

  private constructor(parts: Pick<Replica, "process" | "wire" | "line">) {
    this.process = parts.process;
    this.wire = parts.wire;
    this.line = parts.line;
  }

  static async start(podName: string, { kubeconfigPath }: Platform): Promise<Replica> {
    const [port = 0] = await freePorts(1);
    const line = await openClusterLine(kubeconfigPath);
    const wire = await Wire.lay(line.port);
    const process = await OperatorProcess.create({
      podName,
      kubeconfigPath: await kubeconfigTo(`https://127.0.0.1:${wire.port}`, kubeconfigPath),
      vaultUrl: NOWHERE,
      journalUrl: NOWHERE,
      port,
    });
    process.start();
    return new Replica({ process, wire, line });
  }

  async isReady(): Promise<boolean> {
    return (await this.process.ask("/readyz")) === "ok";
  }

  async leads(): Promise<boolean> {
    return /^tradingbots_operator_is_leader 1$/m.test(await this.process.ask("/metrics"));
  }

  /** What it has written, its lease included, since then (ms of this process' monotonic clock). */
  writesSince(sinceMs: number): readonly Passed[] {
    return this.line.passed.filter(({ method, atMs }) => method !== "GET" && atMs >= sinceMs);
  }

  /** Lists and watches that it has begun since then, but of the lease. */
  listsSince(sinceMs: number): readonly Passed[] {
    return this.line.passed.filter(
      ({ method, path, atMs }) =>
        method === "GET" && atMs >= sinceMs && isCollection(path) && !path.includes("/leases"),
    );
  }

  /** The write by which it took the lease last; undefined when it never did. */
  get acquisition(): Passed | undefined {
    return this.line.passed.findLast(
      ({ method, path, body, status }) =>
        method !== "GET" &&
        path.includes("/leases") &&
        body.includes('"acquireTime"') &&
        status !== undefined &&
        status < 300,
    );
  }

  async remove(): Promise<void> {
    await this.process.remove();
    await this.wire.close();
    await this.line.close();
  }
}

const COLLECTIONS =
  /\/(pods|serviceaccounts|tradingbots|exchangeaccounts|botclasses|tradinghalts)$/;

function isCollection(path: string): boolean {
  return COLLECTIONS.test(new URL(path, "http://any").pathname);
}

/** Whether a write is one for bots, not for the lease. */
export function isWork({ path }: Pick<Passed, "path">): boolean {
  return !path.includes("/leases");
}
