import { expect, test } from "vitest";
import { billOfMaterials, packageFolder } from "./sbom.ts";

test.each([
  ["a package's file", "node_modules/zod/v4/index.js", "node_modules/zod"],
  ["one in a scope", "node_modules/@b/c/d.js", "node_modules/@b/c"],
  [
    "one inside another",
    "node_modules/a/node_modules/@b/c/d.js",
    "node_modules/a/node_modules/@b/c",
  ],
  ["a workspace's own", "hack/node_modules/a/b.js", "hack/node_modules/a"],
  ["a file of ours", "api/src/main.ts", undefined],
])("the package of %s", (_name, file, folder) => {
  expect(packageFolder(file)).toBe(folder);
});

test("a package is named once, by what scanners look up", async () => {
  const files = [
    "api/src/main.ts",
    "node_modules/@fastify/cookie/a.js",
    "node_modules/@fastify/cookie/b.js",
  ];
  const [cookie, node, ...others] = (await billOfMaterials("api", files)).components;
  expect(cookie).toMatchObject({ type: "library", licenses: [{ expression: "MIT" }] });
  expect(cookie?.purl).toMatch(/^pkg:npm\/%40fastify\/cookie@\d+\.\d+\.\d+$/);
  expect(cookie?.hashes[0]?.content).toMatch(/^[\da-f]{128}$/);
  expect(node?.purl).toBe(`pkg:generic/node@${process.versions.node}`);
  expect(others).toEqual([]);
});

test("a package that the lock file does not know is refused", async () => {
  await expect(billOfMaterials("api", ["node_modules/@tradingbots/kube/a.ts"])).rejects.toThrow(
    "npm ci",
  );
});
