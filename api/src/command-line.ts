import { z } from "zod";
import { ApiError } from "./errors.ts";

/** What was typed makes no sense: the program shows how it is used, and ends with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * Runs a program that people type: what goes wrong is told in a sentence, without a stack, and ends it with 1. Nothing of a body or
 * file is quoted but what the program's own errors say.
 */
export async function runCommand(usage: string, work: () => Promise<void>): Promise<void> {
  if (process.argv.includes("--help")) return console.log(usage);
  try {
    await work();
  } catch (error) {
    const isUsage = error instanceof UsageError || codeOf(error).startsWith("ERR_PARSE_ARGS");
    const sentence = sentenceOf(error);
    console.error(
      isUsage ? [sentence, usage].filter((part) => part !== "").join("\n\n") : sentence,
    );
    process.exitCode = isUsage ? 2 : 1;
  }
}

function sentenceOf(error: unknown): string {
  if (error instanceof z.ZodError) return z.prettifyError(error);
  if (error instanceof ApiError) return `${error.code}: ${error.message}`;
  // Of a connection that was tried by several addresses the message is empty.
  if (error instanceof Error) return error.message === "" ? codeOf(error) : error.message;
  return "something was thrown that is no error";
}

function codeOf(error: unknown): string {
  const isCoded = typeof error === "object" && error !== null && "code" in error;
  return isCoded && typeof error.code === "string" ? error.code : "";
}
