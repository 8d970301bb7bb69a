/** All cases written by hand. */
import type { Case } from './case.ts'
import { AUTH_CASES } from './auth.ts'
import { KV_CASES } from './kv.ts'
import { LEASE_CASES, LOCK_CASES } from './lease.ts'
import { OTHER_CASES } from './others.ts'
import { TXN_CASES } from './txn.ts'
import { WATCH_CASES } from './watch.ts'

export type { Case } from './case.ts'

export const CASES: readonly Case[] = [
  ...KV_CASES,
  ...TXN_CASES,
  ...LEASE_CASES,
  ...LOCK_CASES,
  ...WATCH_CASES,
  ...AUTH_CASES,
  ...OTHER_CASES,
]
