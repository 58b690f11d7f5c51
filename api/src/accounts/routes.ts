import { Credentials, DnsLabel, Exchange } from "@tradingbots/crds";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { callerOf } from "../auth/authenticate.ts";
import { assertConfirmed } from "../auth/confirmed-address.ts";
import { scoped } from "../auth/scopes.ts";
import type { RequireStepUp } from "../auth/step-up.ts";
import type { Caller } from "../auth/user.ts";
import { findUser } from "../auth/user-store.ts";
import { assertRunnable } from "../bots/runnable.ts";
import { mapLimited } from "../concurrency.ts";
import { asTenant } from "../database.ts";
import { ApiError } from "../errors.ts";
import { DisplayName, IdParams } from "../fields.ts";
import { newId } from "../id.ts";
import { IdempotencyHeaders, once } from "../idempotency.ts";
import type { Mailer } from "../mail/mailer.ts";
import { loadOwned, pageOfOwned } from "../owned-objects.ts";
import { cutPage, decodeCursor, pageOf, PageQuery } from "../page.ts";
import { FAILURE } from "../problem.ts";
import {
  type AccountDeps,
  createAccount,
  findAccount,
  replaceCredentials,
  retireAccount,
} from "./accounts.ts";
import { accountView, AccountView } from "./view.ts";

/** Custom resources that one list request reads at a time. */
export const READS_AT_ONCE = 8;

const KEY_EXAMPLE = { apiKey: "the-key-of-the-exchange", apiSecret: "and-its-secret" };
const Key = z.strictObject(Credentials.shape).meta({ examples: [KEY_EXAMPLE] });
const NewAccount = z
  .strictObject({
    exchange: Exchange,
    name: DisplayName,
    testnet: z.boolean().default(false),
    credentials: Key,
  })
  .meta({
    examples: [{ exchange: "bybit", name: "Main", testnet: true, credentials: KEY_EXAMPLE }],
  });
const Retired = z
  .object({ id: z.string() })
  .meta({ examples: [{ id: "acct-2k9d7w4q8m1z6x3c5v0b" }] });
const tags = ["accounts"];

const SCHEMAS = {
  create: {
    tags,
    summary: "Connect an exchange account",
    headers: IdempotencyHeaders,
    body: NewAccount,
    response: { 201: AccountView, ...FAILURE },
  },
  list: {
    tags,
    ...scoped("read"),
    summary: "My exchange accounts",
    querystring: PageQuery,
    response: { 200: pageOf(AccountView), ...FAILURE },
  },
  read: {
    tags,
    ...scoped("read"),
    summary: "One exchange account",
    params: IdParams,
    response: { 200: AccountView, ...FAILURE },
  },
  replaceKey: {
    tags,
    summary: "Replace the key",
    params: IdParams,
    body: Key,
    response: { 202: AccountView, ...FAILURE },
  },
  retire: {
    tags,
    ...scoped("accounts"),
    summary: "Give an exchange account up; its bots are retired first",
    params: IdParams,
    response: { 202: Retired, ...FAILURE },
  },
} as const;

interface AccountRouteDeps extends AccountDeps {
  readonly requireStepUp: RequireStepUp;
  /** Undefined when mails cannot be sent here: then nobody can be asked to confirm an address. */
  readonly mailer: Mailer | undefined;
}

/** /api/accounts: exchange accounts; a key goes in and never comes out. */
export function accountRoutes(deps: AccountRouteDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.post("", { schema: SCHEMAS.create }, async (request, reply) => {
      const caller = callerOf(request);
      const { body, headers } = request;
      // Before anybody's key is kept for nothing.
      assertRunnable(body.exchange);
      await deps.requireStepUp(caller);
      if (!body.testnet) await requireConfirmedAddress(deps, caller);
      const intended = {
        userId: caller.userId,
        key: headers["idempotency-key"],
        path: "POST /api/accounts",
        body,
        newId: newId("acct"),
        answer: AccountView,
      };
      const view = await once(deps.pool, intended, async (id) =>
        accountView(await createAccount(deps, caller, { ...body, id })),
      );
      return reply.code(201).send(view);
    });

    app.get("", { schema: SCHEMAS.list }, async (request) =>
      listAccounts(deps, callerOf(request).userId, request.query),
    );

    app.get("/:id", { schema: SCHEMAS.read }, async (request) => {
      const { account } = await findAccount(deps, callerOf(request), request.params.id);
      return accountView(account);
    });

    app.put("/:id/credentials", { schema: SCHEMAS.replaceKey }, async (request, reply) => {
      const caller = callerOf(request);
      await deps.requireStepUp(caller);
      const replacement = { id: request.params.id, credentials: request.body };
      const account = await replaceCredentials(deps, caller, replacement);
      return reply.code(202).send(accountView(account));
    });

    app.delete("/:id", { schema: SCHEMAS.retire }, async (request, reply) => {
      const { id } = request.params;
      await retireAccount(deps, callerOf(request), id);
      return reply.code(202).send({ id });
    });
  };
}

async function listAccounts({ pool, kube }: AccountDeps, userId: string, query: PageQuery) {
  const after = query.cursor === undefined ? "" : decodeCursor(query.cursor, DnsLabel);
  const rows = await asTenant(pool, { userId }, (database) =>
    pageOfOwned(database, "accounts", { userId, after, limit: query.limit }),
  );
  const { items, next } = cutPage(rows, query.limit, ({ id }) => id);
  const source = { pool, table: "accounts", objects: kube.accounts } as const;
  const accounts = await mapLimited(items, READS_AT_ONCE, (row) => loadOwned(source, userId, row));
  return { items: accounts.filter((account) => account !== undefined).map(accountView), next };
}

async function requireConfirmedAddress(deps: AccountRouteDeps, { userId }: Caller): Promise<void> {
  const user = await asTenant(deps.pool, { userId }, (database) => findUser(database, userId));
  if (user === undefined) throw new ApiError("unauthenticated", "the user is gone");
  assertConfirmed(deps, user);
}
