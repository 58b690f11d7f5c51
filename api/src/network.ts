import { isIPv4, isIPv6 } from "node:net";

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
/** What a household or a site has: enough to see where attempts come from, too little to name a person. */
const GROUPS_OF_A_SITE = 3;
/** What one device has: it can take any address below. */
const GROUPS_OF_A_DEVICE = 4;

/** The network of an address: 24 bits of IPv4, 48 of IPv6; undefined for what is no address. */
export function networkOf(address: string): string | undefined {
  const ipv4 = ipv4Of(address);
  if (ipv4 !== undefined) return `${ipv4.split(".").slice(0, 3).join(".")}.0/24`;
  const groups = groupsOf(address)?.slice(0, GROUPS_OF_A_SITE);
  return groups === undefined ? undefined : `${groups.join(":")}::/48`;
}

/** Whose attempts count together: an IPv4 address, 64 bits of IPv6, and what is no address as it is. */
export function clientOf(address: string): string {
  const groups = groupsOf(address)?.slice(0, GROUPS_OF_A_DEVICE);
  return ipv4Of(address) ?? (groups === undefined ? address : `${groups.join(":")}::/64`);
}

function ipv4Of(address: string): string | undefined {
  const ipv4 = MAPPED_IPV4.exec(address)?.[1] ?? address;
  return isIPv4(ipv4) ? ipv4 : undefined;
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): readonly string[] | undefined {
  const [bare = ""] = address.split("%", 1); // a zone is of this machine only
  if (!isIPv6(bare)) return undefined;
  const [head = "", tail] = bare.split("::", 2);
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = tail === undefined ? 0 : Math.max(0, 8 - groups.length - after.length);
  const zeros = Array.from({ length: gap }, () => "0");
  return [...groups, ...zeros, ...after].map((group) => Number.parseInt(group, 16).toString(16));
}
