import { randomInt } from "node:crypto";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
/** 36^20 names: none comes twice. */
const LENGTH = 20;

/** A name that is never reused: `bot-…`, `acct-…` or `halt-…`. */
export function newId(prefix: "bot" | "acct" | "halt"): string {
  const characters = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]);
  return `${prefix}-${characters.join("")}`;
}
