import { expect, test } from "vitest";
import { kindConfig } from "./kind-config.ts";

const ordinary = {
  image: "kindest/node:v1",
  bringsNetwork: false,
  hostPorts: { api: 1, vault: 2, simulator: 3 },
  cgroupVersion: "2",
  isConfined: false,
};
const kubelet = { kind: "KubeletConfiguration", apiVersion: "kubelet.config.k8s.io/v1beta1" };

test.each([
  ["an ordinary machine", {}, kubelet],
  ["cgroup v1", { cgroupVersion: "1" }, { ...kubelet, failCgroupV1: false }],
  [
    "no CAP_SYS_RESOURCE",
    { isConfined: true },
    { ...kubelet, featureGates: { KubeletInUserNamespace: true } },
  ],
])("kubelet's configuration on %s", (_name, difference, expected) => {
  const { kubeadmConfigPatches } = kindConfig({ ...ordinary, ...difference });
  expect(kubeadmConfigPatches.map((patch): unknown => JSON.parse(patch))).toEqual([expected]);
});

test("ports are published on loopback only", () => {
  const [node] = kindConfig(ordinary).nodes;
  expect(node?.extraPortMappings).toHaveLength(3);
  for (const mapping of node?.extraPortMappings ?? []) {
    expect(mapping).toMatchObject({ listenAddress: "127.0.0.1" });
  }
});
