import { inspect } from "node:util";
import { Credentials } from "@tradingbots/crds";
import { readTextFile } from "../read-text-file.ts";
import type { ExchangeKeyValues } from "./exchange.ts";

const REDACTED = "[exchange key]";

/** A key that cannot be printed: serialised, inspected or concatenated it shows no value. */
export class ExchangeKey implements ExchangeKeyValues {
  readonly #values: Credentials;

  constructor(values: Credentials) {
    this.#values = values;
  }

  /** For the exchange client alone. */
  reveal(): Credentials {
    return this.#values;
  }

  /** `text` without the key's values. */
  readonly scrub = (text: string): string => {
    const values = Object.values(this.#values).filter((value) => typeof value === "string");
    return values.reduce((clean, value) => clean.replaceAll(value, REDACTED), text);
  };

  toJSON(): string {
    return REDACTED;
  }

  toString(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

/** Reads the file that the Vault agent wrote. Its content is in no error. */
export async function readExchangeKey(path: string): Promise<ExchangeKey> {
  const text = await readTextFile(path);
  const parsed = Credentials.safeParse(parseJson(text));
  if (!parsed.success) throw new Error(`${path} holds no exchange key`);
  return new ExchangeKey(parsed.data);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
