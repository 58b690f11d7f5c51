import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openApiDocument } from "./document.ts";

/** Writes api/openapi.json; with --check it only compares and fails when the file is out of date. */
const path = join(import.meta.dirname, "..", "..", "openapi.json");
const wanted = `${JSON.stringify(await openApiDocument(), undefined, 2)}\n`;

if (process.argv.includes("--check")) {
  const found = await readFile(path, "utf8").catch(() => "");
  if (found !== wanted) {
    console.error("api/openapi.json is out of date: node api/src/openapi/main.ts");
    process.exitCode = 1;
  }
} else {
  await writeFile(path, wanted);
}
