import { expect, test } from "vitest";
import { connectionOptions } from "./database.ts";

const ssl = (query: string) => connectionOptions({ url: `postgres://u:p@db/bots${query}` }).ssl;

test.each([
  ["", false],
  ["?sslmode=disable", false],
  ["?sslmode=require", { rejectUnauthorized: false }],
  ["?sslmode=verify-full", true],
])("a URL that ends in %s asks for TLS by %j", (query, option) => {
  expect(ssl(query)).toEqual(option);
});

test.each(["verify-ca", "verify_full"])(
  "the mode %s is refused, not taken for one that verifies nothing",
  (mode) => expect(() => ssl(`?sslmode=${mode}`)).toThrow(/use disable, require or verify-full/),
);
