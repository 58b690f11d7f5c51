import { fork } from "node:child_process";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { once } from "node:events";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { createTokens } from "../../../api/src/auth/tokens.ts";
import { nodeFlags } from "../../images/bot-node-flags.ts";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const { issue } = await createTokens([privateKey], Date.now);

/** An access token of a log-in that never ends. */
export function accessToken(userId: string): Promise<string> {
  return issue({ userId, email: "a@example.com", tier: "enterprise", sessionId: randomUUID() });
}

export interface ServerOptions {
  readonly apiUrl: string;
  readonly authUrl: string;
  /** Where the API listened before. */
  readonly apiPort?: number;
  /** Which of the twin routes is made first. */
  readonly first?: "open" | "secured";
}

/** What a process weighs after a collection. */
const Weight = z.object({
  residentBytes: z.int(),
  youngBytes: z
    .int()
    .describe("Resident, of V8's young generation: it grows with work, and not with what is held."),
  heldBytes: z.int().describe("In use in V8's heap."),
});
export type Weight = z.infer<typeof Weight>;
const Ports = z.object({ bare: z.int(), routes: z.int(), api: z.int() });

/** Runs `server-program.ts`; its log is written to a file, as a container's runtime does. */
export async function startServer(
  { apiUrl, authUrl, apiPort = 0, first = "open" }: ServerOptions,
  logPath: string,
) {
  const settings = JSON.stringify({ apiUrl, authUrl, apiPort, first, privateKey: pem });
  const ports = await startProgram("server-program.ts", settings, logPath);
  return {
    pid: ports.pid,
    ...Ports.parse(ports.told),
    weight: () => weightOf(ports),
    stop: ports.stop,
  };
}

/** Of a program that answers any message with its weight after a collection of garbage. */
export async function weightOf({
  ask,
}: {
  readonly ask: (message: object) => Promise<unknown>;
}): Promise<Weight> {
  return Weight.parse(await ask({}));
}

/** Forks a program beside this file and waits for its first word. */
export async function startProgram(file: string, settings: string, logPath: string) {
  const settingsPath = `${logPath}.json`; // thousands of tokens are too long for a command line
  await writeFile(settingsPath, settings);
  const log = await open(logPath, "w");
  const child = fork(join(import.meta.dirname, file), [settingsPath], {
    stdio: ["ignore", log.fd, "inherit", "ipc"],
    env: { ...process.env, NODE_ENV: "production" },
    execArgv: ["--expose-gc", ...nodeFlags("api")],
  });
  await log.close();
  const heard = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const onExit = (code: number | null, signal: string | null) =>
        reject(new Error(`${file} ended (${code ?? signal}) before it said anything`));
      child.once("exit", onExit);
      child.once("message", (message) => {
        child.off("exit", onExit);
        resolve(message);
      });
    });
  const told = await heard();
  return {
    pid: child.pid ?? 0,
    told,
    /** Sends a message and waits for the next one that comes. */
    ask: async (message: object): Promise<unknown> => {
      const answered = heard();
      child.send(message);
      return answered;
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}
