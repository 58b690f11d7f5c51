import { ticks } from "d3-array";
import type { BacktestInput, BacktestResult } from "./backtest.ts";
import { type CandleTable, isoTime } from "./candle-table.ts";
import type { BacktestTrade } from "./ledger.ts";

const WIDTH = 1_200;
const LEFT = 80;
const RIGHT = 20;
const PLOT_WIDTH = WIDTH - LEFT - RIGHT;
const PRICE_PANEL = { top: 56, height: 374 };
const EQUITY_PANEL = { top: 480, height: 200 };
const HEIGHT = 730;
/** About as many; the lines lie at round values. */
const VALUE_LINES = 5;
const TIME_LABELS = 4;
/** Lines between entry and exit are drawn up to here; more would cover the price. Marks are always drawn. */
const MAX_CONNECTED_TRADES = 300;

const COLOURS = {
  price: "#9aa5b1",
  equity: "#2563eb",
  won: "#15803d",
  lost: "#b91c1c",
  entry: "#1f2937",
  grid: "#e5e7eb",
  text: "#374151",
};

interface Panel {
  readonly top: number;
  readonly height: number;
  readonly low: number;
  readonly high: number;
}

/**
 * An SVG of the price with the trades on it, and below the result of closed trades over time. The price is drawn as the range of
 * each pixel column, so that no high or low is lost however many candles there are.
 */
export function plotSvg(input: BacktestInput, result: BacktestResult, title: string): string {
  const { candles } = input;
  const x = (index: number): number => LEFT + ((index + 0.5) / candles.length) * PLOT_WIDTH;
  const columns = priceColumns(candles);
  const price = panel(PRICE_PANEL, [
    ...columns.map(({ low }) => low),
    ...columns.map(({ high }) => high),
  ]);
  const curve = equityCurve(result, candles.length);
  const equity = panel(EQUITY_PANEL, [0, ...curve.map(([, value]) => value)]);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="12" fill="${COLOURS.text}">
<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>
<text x="${LEFT}" y="22" font-size="15">${escaped(title)}</text>
${legend()}
${grid(price)}
<path d="${columns.map(({ low, high }, at) => `M${LEFT + at + 0.5} ${y(price, high)}V${bottomOf(price, low, high)}`).join("")}" stroke="${COLOURS.price}" fill="none"/>
${tradeMarks(result, { x, price })}
${grid(equity)}
<path d="M${LEFT} ${y(equity, 0)}H${WIDTH - RIGHT}" stroke="${COLOURS.text}" stroke-dasharray="4 4"/>
<text x="${LEFT}" y="${EQUITY_PANEL.top - 8}">Result of closed trades</text>
<path d="${steps(curve, x, equity)}" stroke="${COLOURS.equity}" stroke-width="1.5" fill="none"/>
${timeLabels(candles, x)}
</svg>
`;
}

/** Range of each pixel column; candles that share one are merged, a column between two candles shows the one before. */
function priceColumns({ lows, highs, length }: CandleTable) {
  return Array.from({ length: PLOT_WIDTH }, (_, column) => {
    const from = Math.floor((column / PLOT_WIDTH) * length);
    const until = Math.max(from + 1, Math.floor(((column + 1) / PLOT_WIDTH) * length));
    let [low, high] = [Infinity, -Infinity];
    for (let index = from; index < until; index += 1) {
      low = Math.min(low, lows[index] ?? low);
      high = Math.max(high, highs[index] ?? high);
    }
    return { low, high };
  });
}

/** [bar, sum of results from there on]. */
function equityCurve({ trades, places }: BacktestResult, bars: number): [number, number][] {
  const unit = 10 ** places.amount;
  const points: [number, number][] = [[0, 0]];
  let sum = 0n;
  for (const { exitIndex, pnl } of trades) {
    sum += pnl;
    points.push([exitIndex, Number(sum) / unit]);
  }
  points.push([bars - 1, Number(sum) / unit]);
  return points;
}

function panel({ top, height }: { top: number; height: number }, values: readonly number[]): Panel {
  const low = values.reduce((least, each) => Math.min(least, each), Infinity);
  const high = values.reduce((most, each) => Math.max(most, each), -Infinity);
  const margin = (high - low) * 0.05 || Math.abs(high) * 0.01 || 1;
  return { top, height, low: low - margin, high: high + margin };
}

function y({ top, height, low, high }: Panel, value: number): string {
  return (top + ((high - value) / (high - low)) * height).toFixed(1);
}

/** At least one pixel, or a bar without a range would not be seen. */
function bottomOf(area: Panel, low: number, high: number): string {
  return Math.max(Number(y(area, low)), Number(y(area, high)) + 1).toFixed(1);
}

function grid(area: Panel): string {
  const values = ticks(area.low, area.high, VALUE_LINES);
  const step = (values[1] ?? area.high) - (values[0] ?? area.low);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return values
    .map((value) => {
      const at = y(area, value);
      return `<path d="M${LEFT} ${at}H${WIDTH - RIGHT}" stroke="${COLOURS.grid}"/><text x="${LEFT - 8}" y="${at}" text-anchor="end" dominant-baseline="middle">${value.toFixed(digits)}</text>`;
    })
    .join("\n");
}

function tradeMarks(
  { trades, places }: BacktestResult,
  { x, price }: { readonly x: (index: number) => number; readonly price: Panel },
): string {
  const unit = 10 ** places.price;
  const point = (index: number, value: bigint): [string, string] => [
    x(index).toFixed(1),
    y(price, Number(value) / unit),
  ];
  const entry = (trade: BacktestTrade): string => {
    const [atX, atY] = point(trade.entryIndex, trade.entryPrice);
    const tip = trade.side === "long" ? -6 : 6;
    return `M${atX} ${atY}l-4 ${-tip}h8z`;
  };
  const exit = (trade: BacktestTrade): string => {
    const [atX, atY] = point(trade.exitIndex, trade.exitPrice);
    return `M${atX} ${atY}m-3 -3l6 6m0 -6l-6 6`;
  };
  const line = (trade: BacktestTrade): string =>
    `M${point(trade.entryIndex, trade.entryPrice).join(" ")}L${point(trade.exitIndex, trade.exitPrice).join(" ")}`;
  const groups = [
    { colour: COLOURS.won, of: trades.filter(({ pnl }) => pnl > 0n) },
    { colour: COLOURS.lost, of: trades.filter(({ pnl }) => pnl <= 0n) },
  ];
  const connected = trades.length <= MAX_CONNECTED_TRADES;
  return [
    ...groups.map(({ colour, of }) =>
      connected ? `<path d="${of.map(line).join("")}" stroke="${colour}" fill="none"/>` : "",
    ),
    `<path d="${trades.map(entry).join("")}" fill="${COLOURS.entry}"/>`,
    ...groups.map(
      ({ colour, of }) =>
        `<path d="${of.map(exit).join("")}" stroke="${colour}" stroke-width="1.8" fill="none"/>`,
    ),
  ].join("\n");
}

function legend(): string {
  return `<g transform="translate(${WIDTH - 430} 34)"><path d="M0 0l-4 6h8z" fill="${COLOURS.entry}"/><text x="10" y="7">long entry</text><path d="M90 6l-4 -6h8z" fill="${COLOURS.entry}"/><text x="100" y="7">short entry</text><path d="M187 0l6 6m0 -6l-6 6" stroke="${COLOURS.won}" stroke-width="1.8"/><text x="200" y="7">exit with a gain</text><path d="M307 0l6 6m0 -6l-6 6" stroke="${COLOURS.lost}" stroke-width="1.8"/><text x="320" y="7">exit with a loss</text></g>`;
}

/** The result stays until the next trade closes. */
function steps(
  curve: readonly [number, number][],
  x: (index: number) => number,
  area: Panel,
): string {
  return curve
    .map(([index, value], at) =>
      at === 0
        ? `M${x(index).toFixed(1)} ${y(area, value)}`
        : `H${x(index).toFixed(1)}V${y(area, value)}`,
    )
    .join("");
}

function timeLabels({ openTimesMs, length }: CandleTable, x: (index: number) => number): string {
  const labels = Array.from({ length: TIME_LABELS + 1 }, (_, step) => {
    const index = Math.round(((length - 1) * step) / TIME_LABELS);
    const anchor = step === 0 ? "start" : step === TIME_LABELS ? "end" : "middle";
    const text = isoTime(openTimesMs[index] ?? NaN)
      .slice(0, 16)
      .replace("T", " ");
    return `<text x="${x(index).toFixed(1)}" y="${HEIGHT - 22}" text-anchor="${anchor}">${text}</text>`;
  });
  return labels.join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
