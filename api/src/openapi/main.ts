import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { clientTypes } from "./client-types.ts";
import { openApiDocument } from "./document.ts";

/** Writes api/openapi.json and the client's types; with --check it only compares and fails when one is out of date. */
const api = join(import.meta.dirname, "..", "..");
const document = await openApiDocument();
const wanted: Readonly<Record<string, string>> = {
  "openapi.json": `${JSON.stringify(document, undefined, 2)}\n`,
  "src/client/operations.ts": clientTypes(document),
};

for (const [name, text] of Object.entries(wanted)) {
  const path = join(api, name);
  if (!process.argv.includes("--check")) {
    await writeFile(path, text);
  } else if ((await readFile(path, "utf8").catch(() => "")) !== text) {
    console.error(`api/${name} is out of date: node api/src/openapi/main.ts`);
    process.exitCode = 1;
  }
}
