import { expect, test } from "vitest";
import { containerSpec, imageName } from "./node-image.ts";

test.each([
  ["images.example.org/kube-proxy:v1.36.3", "kube-proxy"],
  ["images.example.org/coredns/coredns:v1.14.2", "coredns"],
  ["images.example.org/pause:3.10", "pause"],
])("%s is an image of %s", (reference, name) => {
  expect(imageName(reference)).toBe(name);
});

test("containers start without raised limits and with kind's hook", () => {
  const spec = containerSpec(
    JSON.stringify({
      ociVersion: "1.0",
      process: { cwd: "/", rlimits: [{ type: "RLIMIT_NOFILE" }] },
    }),
  );
  expect(JSON.parse(spec)).toEqual({
    ociVersion: "1.0",
    process: { cwd: "/" },
    hooks: { createContainer: [{ path: "/kind/bin/mount-product-files.sh" }] },
  });
});
