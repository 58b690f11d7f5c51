import type { BotConfig } from "@tradingbots/crds";
import type { ExchangeSimulator } from "../../../hack/exchange-simulator/server.ts";
import { BotProcess } from "../bot-process.ts";
import { FaultProxy } from "../fault-proxy.ts";
import type { Platform, PodIdentity } from "./platform.ts";

interface PodParts {
  readonly platform: Platform;
  readonly exchange: ExchangeSimulator;
  readonly config: BotConfig;
  readonly credentials: { readonly apiKey: string; readonly apiSecret: string };
}

/** A pod: a directory and an identity that outlive its process, and its own lines to exchange and journal. */
export class Pod {
  readonly identity: PodIdentity;
  readonly process: BotProcess;
  /** To the exchange, REST and stream. */
  readonly exchangeLine: FaultProxy;
  readonly journalLine: FaultProxy;
  /** Times that its process was started. */
  starts = 0;
  readonly #endpoint: BotConfig["endpoint"];

  private constructor(
    identity: PodIdentity,
    parts: Pick<Pod, "process" | "exchangeLine" | "journalLine">,
    endpoint: BotConfig["endpoint"],
  ) {
    this.identity = identity;
    this.process = parts.process;
    this.exchangeLine = parts.exchangeLine;
    this.journalLine = parts.journalLine;
    this.#endpoint = endpoint;
  }

  static async create(identity: PodIdentity, parts: PodParts): Promise<Pod> {
    const { platform, exchange, config, credentials } = parts;
    const exchangeLine = new FaultProxy();
    const journalLine = new FaultProxy();
    const restUrl = await exchangeLine.start(exchange.url);
    const journalUrl = await journalLine.start(platform.journalUrl);
    const { pathname } = new URL(exchange.websocketUrl);
    const endpoint = { restUrl, websocketUrl: `${restUrl.replace("http", "ws")}${pathname}` };
    const process = await BotProcess.create({
      config: { ...config, endpoint },
      journalUrl,
      credentials,
      program: platform.program,
      environment: platform.environment,
    });
    return new Pod(identity, { process, exchangeLine, journalLine }, endpoint);
  }

  /** Starts the container, or starts it again. */
  async start(): Promise<void> {
    this.starts += 1;
    await this.process.start(this.identity.uid, this.identity.token);
  }

  async configure(config: BotConfig): Promise<void> {
    await this.process.configure({ ...config, endpoint: this.#endpoint });
  }

  async close(): Promise<void> {
    await this.process.remove();
    await Promise.all([this.exchangeLine.close(), this.journalLine.close()]);
  }
}
