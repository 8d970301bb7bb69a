/** All cases written by hand. */
import type { Case } from './case.ts'
import { KV_CASES } from './kv.ts'

export type { Case } from './case.ts'

export const CASES: readonly Case[] = [...KV_CASES]
