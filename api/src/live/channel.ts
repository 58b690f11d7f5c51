/** Postgres' NOTIFY channel: ids of users who have something new to hear, joined by commas. */
export const LIVE_CHANNEL = "live";
