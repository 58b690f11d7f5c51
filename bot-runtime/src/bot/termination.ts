import { writeFileSync } from "node:fs";
import type { BotTermination } from "@tradingbots/crds";

const REASON_MAX = 512;

/** Writes the termination message, the one thing that is known of a pod without the journal. Never throws: the process is ending. */
export function writeTermination(path: string, termination: BotTermination): void {
  const { reason, ...facts } = termination;
  const message = reason === undefined ? facts : { ...facts, reason: reason.slice(0, REASON_MAX) };
  try {
    writeFileSync(path, JSON.stringify(message));
  } catch (error) {
    process.stderr.write(`${path} cannot be written: ${String(error)}\n`);
  }
}
