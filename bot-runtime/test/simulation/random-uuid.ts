import type { Random } from "../../../hack/exchange-simulator/random.ts";

/** In the shape of a UUID; the same for the same seed. */
export function randomUuid(random: Random): string {
  const digits = (count: number): string =>
    Array.from({ length: count }, () => Math.floor(random() * 16).toString(16)).join("");
  return [8, 4, 4, 4, 12].map(digits).join("-");
}
