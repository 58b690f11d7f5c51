import { expect, test } from "vitest";
import { clientOf, networkOf } from "./network.ts";

test.for<[address: string, network: string | undefined]>([
  ["192.0.2.77", "192.0.2.0/24"],
  ["::ffff:192.0.2.77", "192.0.2.0/24"],
  ["2001:DB8:12:34::1", "2001:db8:12::/48"],
  ["2001:db8::1", "2001:db8:0::/48"],
  ["::1", "0:0:0::/48"],
  ["fe80::1%eth0", "fe80:0:0::/48"],
  ["unknown", undefined],
])("the network of %s is %s", ([address, network]) => {
  expect(networkOf(address)).toBe(network);
});

test.for<[address: string, client: string]>([
  ["192.0.2.77", "192.0.2.77"],
  ["::ffff:192.0.2.77", "192.0.2.77"],
  ["2001:DB8:12:34:5::1", "2001:db8:12:34::/64"],
  ["2001:0db8:0012:0034:ffff::", "2001:db8:12:34::/64"],
  ["unknown", "unknown"],
])("attempts from %s count as from %s", ([address, client]) => {
  expect(clientOf(address)).toBe(client);
});
