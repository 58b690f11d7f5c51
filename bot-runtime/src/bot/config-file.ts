import { BotConfig } from "@tradingbots/crds";
import * as z from "zod";
import { readTextFile } from "../read-text-file.ts";
import { type Log, messageOf } from "./log.ts";

/**
 * The kubelet swaps the directory behind a downward-API file, which file watchers miss in several ways; reading 2 kB four
 * times a second costs less than being wrong about a halt.
 */
const POLL_MS = 250;

export async function readConfig(path: string): Promise<BotConfig> {
  return parseConfig(await readTextFile(path), path);
}

function parseConfig(text: string, path: string): BotConfig {
  const parsed = BotConfig.safeParse(JSON.parse(text));
  if (!parsed.success) throw new Error(`${path}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

export interface ConfigWatch {
  readonly path: string;
  /** The configuration in force when the watch begins. */
  readonly config: BotConfig;
  readonly onChange: (config: BotConfig) => void;
  /** Why what is in the file now cannot be read; undefined once it can. A halt may be in it. */
  readonly onUnread: (message: string | undefined) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Calls `onChange` with every configuration that differs from the one before, and `onUnread` when there is none, and when there is again. */
export function watchConfig(watch: ConfigWatch): void {
  const { path, config, onChange, onUnread, log, signal } = watch;
  let last: string | undefined;
  let unread: string | undefined;
  const say = (message: string | undefined): void => {
    if (message === unread) return;
    unread = message;
    if (message !== undefined) log.error("config-not-read", { message });
    onUnread(message);
  };
  let applied = JSON.stringify(config);
  const look = async (): Promise<void> => {
    try {
      const text = await readTextFile(path);
      const read = text === last ? undefined : parseConfig(text, path);
      const content = read === undefined ? applied : JSON.stringify(read);
      if (read !== undefined && content !== applied) onChange(read);
      last = text;
      applied = content;
      say(undefined);
    } catch (error) {
      say(messageOf(error));
    }
  };
  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void look().finally(() => (looking = false));
  }, POLL_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}
