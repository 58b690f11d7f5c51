import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

type Limit = { readonly most: number } | { readonly least: number };

/** One measured figure with what it is to be read beside. */
export interface Figure {
  /** As in the JSON; its unit is its last part. */
  readonly key: string;
  readonly value: number;
  /** The aim; undefined for a figure that only explains another. */
  readonly aim?: Limit;
  /** Of a figure whose aim is not met yet: what it must not become worse than, measured and with room for what machines differ by. */
  readonly bound?: Limit;
  /** What the figure is compared with: measured in the same run, or published and named so. */
  readonly baseline: string;
  /** How it was measured: n, what was left out, spread. */
  readonly how: string;
}

function meetsAim({ aim, value }: Figure): boolean {
  return aim === undefined || isWithin(aim, value);
}

function isWithin(limit: Limit, value: number): boolean {
  return "most" in limit ? value <= limit.most : value >= limit.least;
}

/** One line per figure: `key value aim baseline how`; a missed aim is marked. */
export function figureTable(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.key,
    print(figure.value),
    aimText(figure) + (meetsAim(figure) ? "" : " MISSED"),
    figure.baseline,
    figure.how,
  ]);
  const all = [["figure", "value", "aim", "baseline", "how"], ...rows];
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...all.map((row) => row[column]?.length ?? 0)),
  );
  return all
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "))
    .join("\n");
}

/** The aims that are missed, each in words with the figure that misses it. */
export function missedAims(figures: readonly Figure[]): readonly string[] {
  return figures
    .filter((figure) => !meetsAim(figure))
    .map((figure) => `${figure.key} is ${print(figure.value)} and shall be ${aimText(figure)}`);
}

/** The figures that are worse than they may become, each in words: worse than its bound, or, where there is none, than its aim. */
export function brokenBounds(figures: readonly Figure[]): readonly string[] {
  return figures.flatMap(({ key, value, aim, bound = aim }) =>
    bound === undefined || isWithin(bound, value)
      ? []
      : [`${key} is ${print(value)} and must stay ${limitText(bound)}`],
  );
}

function aimText({ aim }: Figure): string {
  return aim === undefined ? "" : limitText(aim);
}

function limitText(limit: Limit): string {
  return "most" in limit ? `≤ ${limit.most}` : `≥ ${limit.least}`;
}

function print(value: number): string {
  return Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 3 });
}

/** Every key with its number at the top, and all that there is to say of it under `details`. */
export async function writeFigures(path: string, figures: readonly Figure[]): Promise<void> {
  const values = Object.fromEntries(figures.map(({ key, value }) => [key, value]));
  const details = Object.fromEntries(
    figures.map((figure) => {
      const { key, ...rest } = figure;
      return [key, { ...rest, met: meetsAim(figure) }];
    }),
  );
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify({ ...values, details }, null, 2)}\n`);
}
