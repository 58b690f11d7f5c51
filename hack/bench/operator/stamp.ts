import type { Member } from "./population.ts";

/**
 * Makes one member's object into another's: the operator and the API server have made the first themselves, so all others are what they
 * would have made. Names and ids of a kind have one length, which keeps lengths inside protobuf true.
 */
export function createStamp(from: Member) {
  const words = wordsOf(from);
  const longestFirst = words.toSorted((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map((word) => RegExp.escape(word)).join("|"), "g");

  return (text: string, to: Member): string => {
    const others = wordsOf(to);
    const other = new Map(words.map((word, at) => [word, others[at] ?? word]));
    return text.replaceAll(pattern, (word) => other.get(word) ?? word);
  };
}

function wordsOf(member: Member): readonly string[] {
  const { namespace, userId, accountName, botName, symbol, exchangeAccountId, uids } = member;
  const names = [namespace, userId, accountName, botName, symbol, exchangeAccountId];
  return [...names, uids.bot, uids.pod, uids.account, uids.serviceAccount];
}

/** Seconds by which a member is older than the template: times that are all the same would compress in ways that real ones do not. */
export function ageSeconds(index: number): number {
  return (index * 37) % (30 * 86_400);
}

const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g;

/** Every whole second in JSON, earlier. */
export function shiftTimes(json: string, bySeconds: number): string {
  return json.replaceAll(TIME, (time) =>
    new Date(Date.parse(time) - bySeconds * 1_000).toISOString().replace(".000Z", "Z"),
  );
}

/** The same in protobuf (bytes as latin1), for times within `span`: a Timestamp begins with its seconds as field 1. */
export function shiftProtobufTimes(
  bytes: string,
  bySeconds: number,
  span: { readonly from: number; readonly to: number },
): string {
  let shifted = bytes;
  for (let second = span.from; second <= span.to; second++) {
    shifted = shifted.replaceAll(timestamp(second), () => timestamp(second - bySeconds));
  }
  return shifted;
}

/** Field 1 as a varint; seconds of this century take five bytes. */
function timestamp(seconds: number): string {
  let rest = seconds;
  let bytes = "\x08";
  while (rest > 0x7f) {
    bytes += String.fromCharCode((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  return bytes + String.fromCharCode(rest);
}
