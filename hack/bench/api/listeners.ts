import { join } from "node:path";
import { z } from "zod";
import { startProgram } from "./server-process.ts";

const Told = z.object({
  latenciesMs: z.array(z.number()),
  gaps: z.int(),
  isListening: z.int(),
});
export type Told = z.infer<typeof Told>;

export interface Listeners {
  readonly open: (more: number) => Promise<Told>;
  /** What was heard since it was last asked. */
  readonly told: () => Promise<Told>;
  readonly stop: () => Promise<void>;
}

interface ListenerSettings {
  readonly port: number;
  /** That they come from: each has ports of its own. */
  readonly address: string;
  readonly tokens: readonly string[];
}

/** A process that listens to one server. */
export async function startListeners(
  settings: ListenerSettings,
  directory: string,
): Promise<Listeners> {
  const log = join(directory, `listener-${settings.port}.log`);
  const { ask, stop } = await startProgram("listener-program.ts", JSON.stringify(settings), log);
  return {
    open: async (more) => Told.parse(await ask({ open: more })),
    told: async () => Told.parse(await ask({})),
    stop,
  };
}

/** Several as one; each opens its share. */
export function allOf(all: readonly Listeners[]): Omit<Listeners, "stop"> {
  return {
    open: async (more) => sumOf(await Promise.all(all.map((one) => one.open(more / all.length)))),
    told: async () => sumOf(await Promise.all(all.map((one) => one.told()))),
  };
}

function sumOf(told: readonly Told[]): Told {
  return {
    latenciesMs: told.flatMap(({ latenciesMs }) => latenciesMs),
    gaps: told.reduce((total, { gaps }) => total + gaps, 0),
    isListening: told.reduce((total, { isListening }) => total + isListening, 0),
  };
}

/** One after the other. Gaps and connections are told as they stand. */
export function together(before: Told, now: Told): Told {
  return { ...now, latenciesMs: [...before.latenciesMs, ...now.latenciesMs] };
}
