import { expect, test } from "vitest";
import { pinnedVersion } from "./tools.ts";

const goMod = `module example

require example.com/alone v0.1.0

require (
	go.etcd.io/etcd/api/v3 v3.7.1 // indirect
	go.etcd.io/etcd/server/v3 v3.7.3 // indirect
	k8s.io/kubernetes v1.36.3 // indirect
)

replace (
	k8s.io/api => k8s.io/api v0.36.3
)
`;

test.each([
  ["a module's own package", "go.etcd.io/etcd/server/v3", "v3.7.3"],
  ["a package inside a module", "k8s.io/kubernetes/cmd/kubelet", "v1.36.3"],
  ["a one-line require", "example.com/alone/cmd", "v0.1.0"],
])("the pinned version of %s", (_name, path, version) => {
  expect(pinnedVersion(goMod, path)).toBe(version);
});

test("an unpinned package is an error, and a replacement does not pin", () => {
  expect(() => pinnedVersion(goMod, "k8s.io/api/core/v1")).toThrow("pins no module");
});
