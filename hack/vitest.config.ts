import { join } from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: join(import.meta.dirname, ".."),
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["*/src/**/*.test.ts", "operator/kube/src/**/*.test.ts", "hack/**/*.test.ts"],
          exclude: ["**/node_modules/**", "hack/**/test/**", "hack/e2e/**"],
          // bcrypt's worker has the lowest priority: on a busy machine it waits for everybody.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          // Real Postgres, etcd, kube-apiserver and Vault processes on loopback.
          name: "integration",
          // Most of them wait for processes: on two cores one at a time would take twice as long.
          maxWorkers: 2,
          include: [
            "*/test/**/*.test.ts",
            "operator/kube/test/**/*.test.ts",
            "hack/*/test/**/*.test.ts",
          ],
          exclude: ["**/node_modules/**"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
