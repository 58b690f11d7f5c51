import { expect, test } from "vitest";
import { boundingSetHolds, distributions, whyNoEngine, type Machine } from "./machine.ts";

const debianRoot: Machine = {
  platform: "linux",
  uid: 0,
  distributions: ["debian"],
  hasSysResource: true,
};

test("Debian as root can have an engine", () => {
  expect(whyNoEngine(debianRoot)).toBeUndefined();
});

test.each<[string, Partial<Machine>, RegExp]>([
  ["Debian as somebody else", { uid: 1000 }, /needs root/],
  ["another distribution", { distributions: ["fedora"] }, /on Debian only/],
  [
    "a Mac",
    { platform: "darwin", uid: 501, distributions: [] },
    /^No Docker engine answers\. Start/,
  ],
])("%s cannot, and is told why", (_name, difference, reason) => {
  expect(whyNoEngine({ ...debianRoot, ...difference })).toMatch(reason);
});

test("derived distributions count as what they are like", () => {
  expect(distributions('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n')).toEqual(["ubuntu", "debian"]);
  expect(distributions('ID="rocky"\nID_LIKE="rhel centos fedora"\n')).toContain("fedora");
});

test.each([
  ["CapBnd:\t000001fffeffffff", false],
  ["CapBnd:\t000001ffffffffff", true],
  ["no such line (not Linux)", true],
])("CAP_SYS_RESOURCE in %j: %s", (status, holds) => {
  expect(boundingSetHolds(status, 24n)).toBe(holds);
});
