import type { Report } from "@tradingbots/crds";

/** What no time mends, only the bot's owner: by its own specification, or at the exchange. */
const LASTING = new Set(["Unsupported", "SymbolNotTraded", "InvalidStrategy", "PositionUnknown"]);

/** Why the bot opens nothing, as far as it will not pass by itself. */
export function lastingBlocks({ blocked }: Report): Report["blocked"] {
  return blocked.filter(({ reason }) => LASTING.has(reason));
}
