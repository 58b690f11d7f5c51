import { isIPv4, isIPv6 } from "node:net";

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
/** What a household or a site has: enough to see where attempts come from, too little to name a person. */
const IPV6_GROUPS_KEPT = 3;

/** The network of an address: 24 bits of IPv4, 48 of IPv6; undefined for what is no address. */
export function networkOf(address: string): string | undefined {
  const [bare = ""] = address.split("%", 1); // a zone is of this machine only
  const ipv4 = MAPPED_IPV4.exec(bare)?.[1] ?? bare;
  if (isIPv4(ipv4)) return `${ipv4.split(".").slice(0, 3).join(".")}.0/24`;
  if (!isIPv6(bare)) return undefined;
  const [head = "", tail] = bare.split("::", 2);
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = tail === undefined ? 0 : Math.max(0, 8 - groups.length - after.length);
  const zeros = Array.from({ length: gap }, () => "0");
  const kept = [...groups, ...zeros, ...after].slice(0, IPV6_GROUPS_KEPT);
  return `${kept.map((group) => group.toLowerCase()).join(":")}::/48`;
}
